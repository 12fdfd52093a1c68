"""What follows from a plan: sets, boundaries, phases, the size of a lease."""

from __future__ import annotations

import pytest

from climorch.errors import InternalError
from climorch.model.plan import Coupling, SimulationPlan, StagePlan
from climorch.model.resources import Resources

SAME, PREVIOUS = Coupling.SAME, Coupling.PREVIOUS


def stage(
    name: str,
    *boundaries: int,
    reads: dict[str, Coupling] | None = None,
    after: tuple[str, ...] = (),
    nodes: int = 1,
    most: int | None = None,
    memory: int = 0,
) -> StagePlan:
    """Make a stage of a plan."""
    return StagePlan(
        name=name,
        calendar="noleap",
        boundaries=boundaries or (0, 1, 2),
        reads=reads or {},
        after=after,
        resources=Resources(nodes=nodes, max_nodes=most, memory=memory),
    )


def plan(*stages: StagePlan) -> SimulationPlan:
    """Make a plan."""
    return SimulationPlan(workflow="w", stages=stages)


def test_stages_that_read_each_other_are_one_set() -> None:
    """Sets are connected through reads, in order of declaration."""
    p = plan(
        stage("a", reads={"c": PREVIOUS}),
        stage("b"),
        stage("c", reads={"d": SAME}),
        stage("d"),
        stage("e", after=("b",)),
    )

    assert [(s.name, [x.name for x in s.stages]) for s in p.sets] == [
        ("a", ["a", "c", "d"]),
        ("b", ["b"]),
        ("e", ["e"]),
    ]
    assert p.set_of == {"a": "a", "b": "b", "c": "a", "d": "a", "e": "e"}


def test_common_boundaries_are_those_of_every_stage() -> None:
    """A set can be checkpointed only where all its stages have a boundary."""
    (s,) = plan(
        stage("day", 0, 1, 2, 3, 4, reads={"year": PREVIOUS}), stage("year", 0, 2, 4)
    ).sets

    assert s.commons == (0, 2, 4)
    assert s.segments_at == (
        {"day": 0, "year": 0},
        {"day": 2, "year": 1},
        {"day": 4, "year": 2},
    )
    assert s.counts == {"day": (0, 2, 4), "year": (0, 1, 2)}
    assert s.last == 2
    assert [x.segments for x in s.stages] == [4, 2]


def test_a_set_knows_what_it_comes_after_and_what_is_read_from_before() -> None:
    """Stages of the same set are no prerequisite; PREVIOUS reads are listed."""
    p = plan(
        stage("spin"),
        stage("air", reads={"sea": PREVIOUS}, after=("spin", "sea")),
        stage("sea", reads={"air": SAME}),
    )
    _, coupled = p.sets

    assert coupled.after == {"spin"}
    assert coupled.previous_read == {"sea"}
    assert p.prerequisites == {"spin": (), "air": ("spin",)}


def test_a_stage_of_a_set_is_found_by_name() -> None:
    """Asking a set for a stage that it lacks is a bug of this library."""
    (s,) = plan(stage("a", reads={"b": SAME}), stage("b")).sets

    assert s.stage("b").name == "b"
    with pytest.raises(InternalError, match="set 'a' has no stage 'z'"):
        s.stage("z")


def test_phases_follow_the_longest_chain_before_them() -> None:
    """A set is in the phase after the last of its prerequisites."""
    p = plan(
        stage("spin"),
        stage("hist", after=("spin",)),
        stage("ssp", after=("hist", "spin")),
        stage("control", after=("spin",)),
        stage("free"),
    )

    assert [[s.name for s in phase] for phase in p.phases] == [
        ["spin", "free"],
        ["hist", "control"],
        ["ssp"],
    ]


def test_a_lease_is_for_what_runs_together_in_the_largest_phase() -> None:
    """Nodes of sets of one phase add up; the largest phase counts."""
    p = plan(
        stage("spin", nodes=3, most=3),
        stage("a", after=("spin",), nodes=2, most=4),
        stage("b", after=("spin",), nodes=2, memory=10),
    )

    assert (p.nodes, p.most_nodes, p.memory_bytes) == (4, 6, 10)
    assert [s.nodes for s in p.sets] == [3, 2, 2]


def test_a_node_must_have_what_the_neediest_stage_asks_for() -> None:
    """Cores and disk are those of the stage that asks for most of each."""
    asks = Resources(cores=8, scratch="1 kB"), Resources(cores=2, scratch=2000)
    p = plan(
        *(
            StagePlan(name=name, calendar="noleap", boundaries=(0, 1), resources=ask)
            for name, ask in zip("ab", asks, strict=True)
        )
    )

    assert (p.cores, p.scratch_bytes) == (8, 2000)


@pytest.mark.parametrize(
    ("reads_a", "reads_b", "fine", "nodes"),
    [
        # Neither waits for the other's present segment: they run side by side.
        ({"b": PREVIOUS}, {"a": PREVIOUS}, False, 5),
        ({}, {"a": PREVIOUS}, False, 5),
        ({}, {"a": SAME}, False, 5),
        # b needs this segment of a, a needs the one of b before: in turn.
        ({"b": PREVIOUS}, {"a": SAME}, False, 3),
        ({"b": SAME}, {"a": PREVIOUS}, False, 3),
        # With finer segments a may go on while b computes.
        ({"b": PREVIOUS}, {"a": SAME}, True, 5),
    ],
)
def test_stages_that_wait_for_each_other_share_their_nodes(
    reads_a: dict[str, Coupling],
    reads_b: dict[str, Coupling],
    fine: bool,
    nodes: int,
) -> None:
    """Coupled stages that can only run in turn need the larger of the two."""
    p = plan(
        stage("a", *((0, 1, 2) if fine else (0, 2)), reads=reads_a, nodes=2),
        stage("b", 0, 2, reads=reads_b or {"a": PREVIOUS}, nodes=3),
    )

    assert p.nodes == nodes


def test_stages_wait_for_each_other_through_others_too() -> None:
    """A ring of three equal stages with one PREVIOUS read runs one at a time."""
    p = plan(
        stage("a", reads={"c": PREVIOUS}, nodes=2),
        stage("b", reads={"a": SAME}, nodes=3),
        stage("c", reads={"b": SAME, "a": SAME}, nodes=1),
    )

    assert p.nodes == 3


def test_a_finer_stage_between_two_lets_them_run_together() -> None:
    """Only stages of equal boundaries carry the waiting on."""
    p = plan(
        stage("a", 0, 2, reads={"fine": PREVIOUS}, nodes=2),
        stage("fine", 0, 1, 2, reads={"b": PREVIOUS}, nodes=1),
        stage("b", 0, 2, reads={"a": SAME}, nodes=2),
    )

    assert p.nodes == 5


def test_a_set_of_very_many_stages_is_taken_to_run_together() -> None:
    """Beyond twelve stages the nodes are simply added up."""
    ring = [
        stage(f"s{i}", reads={f"s{i - 1}" if i else "s12": SAME if i else PREVIOUS})
        for i in range(13)
    ]

    assert plan(*ring).nodes == 13
    assert plan(*ring[:1], *ring[1:12], ring[12]).most_nodes == 13
