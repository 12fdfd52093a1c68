"""What a virtual site leaves open is taken from what the campaign knows."""

from __future__ import annotations

import math

import pytest

from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.model.resources import Resources
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.twin.costs import Amdahl, Costs, Overheads, StageCost, Work
from climorch.twin.learning import Expected, Lucky, learn, with_luck
from climorch.twin.site import TwinSite
from tests.unit.core.script import Script, submitted
from tests.unit.twin.stage import stage

SITE = TwinSite(nodes=4)


def measured(
    *, segments: int = 5, nodes: int = 1, most: int | None = None, up: int = 1
) -> CampaignState:
    """Make the state of a campaign that computed segments in ten seconds each."""
    script = Script()
    script.nodes(*(f"n{i}" for i in range(up)))
    script.tell(submitted(stage(segments=40, nodes=nodes, most=most)))
    script.restored()
    for segment in range(segments):
        script.finished(segment)
        script.committed(segment + 1)
    return script.orchestrator.state


def workflow(name: str, *stages: str, templates: tuple[Workflow, ...] = ()) -> Workflow:
    """Declare a workflow; those with templates have a rule."""
    made = Workflow(name, templates=templates)
    span = Span("2000-01-01", "2001-01-01", every="1YS")
    for each in stages:
        made.stage(each, lambda s, i, g: s, span=span)
    if templates:
        made.rule("branch", when=stages[0], then=lambda committed: [])
    return made


def cost_of(site: TwinSite, stage: str = "a", workflow: str = "w") -> StageCost:
    """Return the cost of a stage."""
    assert site.costs is not None
    cost = site.costs.of(workflow, stage)
    assert cost is not None
    return cost


def seconds(site: TwinSite, simulation: str, nodes: float, *, base: int = 1) -> float:
    """Return what a segment of stage ``a`` takes."""
    return cost_of(site)(Work(simulation, "w", "a", 0, base, {}), nodes)


def test_segments_take_as_long_as_they_did() -> None:
    """Its own measurements, and those of others of its workflow."""
    site = learn(SITE, measured(), [submitted(stage(), name="new")], {})

    # The mean of noise that is still mostly assumed lies above the median.
    assert seconds(site, "s", 1) == pytest.approx(10.0, rel=0.02)
    assert seconds(site, "new", 1) == pytest.approx(10.0, rel=0.02)
    assert site.costs is not None
    assert 0 < site.costs.noise_cv < 0.2


def test_other_widths_are_expected_as_admission_expects_them() -> None:
    """Measured on four nodes; on two a segment takes longer, not twice as long."""
    site = learn(SITE, measured(nodes=2, most=4, up=4), [], {})

    on_four, on_two = (seconds(site, "s", n, base=2) for n in (4, 2))
    assert on_four == pytest.approx(10.0, rel=0.02)
    assert 1.1 * on_four < on_two < 2 * on_four
    # One that lost a node, beyond what was asked about.
    assert on_two < seconds(site, "s", 1, base=2) < 2 * on_two


def test_a_guess_counts_where_nothing_was_measured() -> None:
    """``segment_s`` of the resources, on the nodes that are asked for."""
    guess = stage()
    fact = submitted(
        type(guess)(
            name="a",
            calendar="noleap",
            boundaries=guess.boundaries,
            resources=Resources(segment_s=600.0),
        )
    )

    site = learn(SITE, CampaignState(), [fact], {})

    assert seconds(site, "s", 1) == pytest.approx(600.0, rel=0.05)


def test_what_is_not_known_for_sure_differs_from_seed_to_seed() -> None:
    """Each seed has its own error of the guess, alike in both directions."""
    site = learn(SITE, measured(segments=1), [], {})
    assert site.costs is not None
    place = Work("s", "w", "a", 0, 1, {})

    takes = []
    for seed in range(200):
        cost = with_luck(site.costs, seed).of("w", "a")
        assert isinstance(cost, Lucky)
        takes.append(cost(place, 1))
        assert cost(place, 1) == takes[-1]

    expected = cost_of(site)
    assert isinstance(expected, Expected)
    common = expected.of("s").known[1].common
    logs = [math.log(x / seconds(site, "s", 1)) for x in takes]
    mean = sum(logs) / 200
    spread = math.sqrt(sum((x - mean) ** 2 for x in logs) / 199)
    assert abs(mean) < 4 * common / math.sqrt(200)
    assert spread == pytest.approx(common, rel=4 / math.sqrt(400))
    assert with_luck(site.costs, 3).noise_cv == site.costs.noise_cv


def test_what_the_user_says_goes_before_what_was_measured() -> None:
    """For costs and for overheads; noise, drift and luck stay as given."""
    costs = Costs(stages={("w", "a"): Amdahl(seconds=99.0)}, noise_cv=0.2)
    overheads = Overheads(checkpoint_s=7.0)
    given = TwinSite(nodes=1, costs=costs, overheads=overheads)

    site = learn(given, measured(), [], {})

    assert site == given
    assert with_luck(costs, 1) == costs


def test_stages_of_which_nothing_is_known_are_named_all_at_once() -> None:
    """One clear error, with every stage that may run."""
    with pytest.raises(InvalidInputError) as error:
        learn(SITE, CampaignState(), [submitted(stage("a"), stage("b"))], {})

    assert [fault.place for fault in error.value.faults] == [
        "workflow 'w', stage 'a'",
        "workflow 'w', stage 'b'",
    ]


def test_what_is_complete_needs_no_cost() -> None:
    """Only what may still run is asked for."""
    script = Script()
    script.nodes("n")
    script.tell(submitted(stage(segments=1)))
    script.restored()
    script.finished(0)
    script.committed(1)

    assert learn(SITE, script.orchestrator.state, [], {}).costs == Costs()


def test_templates_of_rules_to_come_need_a_cost() -> None:
    """Also those of their own templates, and none twice."""
    leaf = workflow("leaf", "c")
    branch = workflow("branch", "b", templates=(leaf,))
    root = workflow("w", "a", templates=(branch,))
    fact = submitted(stage("a"), rules=[("branch", "a")])
    site = TwinSite(nodes=1, costs=Costs(stages={("w", "a"): Amdahl(seconds=1.0)}))

    with pytest.raises(InvalidInputError) as error:
        learn(site, CampaignState(), [fact], {"w": root, "branch": branch})

    assert [fault.place for fault in error.value.faults] == [
        "workflow 'branch', stage 'b'",
        "workflow 'leaf', stage 'c'",
    ]


def test_what_a_rule_will_add_is_expected_by_the_guess_of_its_template() -> None:
    """The plan of a template stands for those to come."""
    leaf = Workflow("leaf")
    leaf.stage(
        "a",
        lambda s, i, g: s,
        span=Span("2000-01-01", "2002-01-01", every="1YS"),
        resources=Resources(segment_s=60.0),
    )
    state = measured()
    root = workflow("w", "a", templates=(leaf,))
    fact = submitted(stage("a"), name="t", rules=[("branch", "a")])

    site = learn(SITE, state, [fact], {"w": root, "leaf": leaf})

    cost = cost_of(site, workflow="leaf")
    takes = cost(Work("added", "leaf", "a", 0, 1, {}), 1)
    assert takes == pytest.approx(60.0, rel=0.05)
    assert seconds(site, "unheard", 1) == pytest.approx(10.0, rel=0.05)


def test_checkpoints_and_restores_cost_what_they_did() -> None:
    """Written in three seconds of which two were lost, restored in one."""
    site = learn(SITE, measured(), [], {})

    assert site.overheads is not None
    assert site.overheads.checkpoint_s == pytest.approx(3.0)
    assert site.overheads.stall_s == 2.0
    assert site.overheads.restart_s == 0.0
    assert site.overheads.restore_s == site.overheads.init_s == pytest.approx(1.0)


def test_what_was_never_written_costs_what_is_usual() -> None:
    """As long as nothing was measured."""
    fact = submitted(stage())
    site = TwinSite(nodes=1, costs=Costs(default=Amdahl(seconds=1.0)))

    assert learn(site, CampaignState(), [fact], {}).overheads == Overheads()
