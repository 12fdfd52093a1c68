"""Stories of copies in partners' memory: when they are made and what they save."""

from __future__ import annotations

import pytest

from climorch.core.fold import apply
from climorch.core.phases import Phase
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.commands import SalvageCopy
from climorch.model.events import Cause
from climorch.model.plan import Coupling, StagePlan
from climorch.policy.checkpointing import CheckpointStrategy, EverySegments, Pace
from climorch.policy.partnering import PartnerCopy
from tests.unit.core.script import Script, stage, submitted

RARELY = EverySegments(count=99)


def copying(
    *, every: int = 1, disk: CheckpointStrategy = RARELY, most_overhead: float = 1.0
) -> Policies:
    """Make rules that copy often and write rarely."""
    return Policies(
        checkpointing=PartnerCopy(disk=disk, every=every, most_overhead=most_overhead)
    )


def started(*stages: StagePlan, policies: Policies | None = None) -> Script:
    """Begin a simulation on four nodes that has its states."""
    script = Script(policies or copying())
    script.tell(submitted(*(stages or (stage(nodes=4),))))
    script.nodes("k", "l", "m", "n")
    script.restored()
    return script


def held(s: Script, boundary: int, *, cost_s: float = 0.5) -> e.CopyHeld:
    """Make the fact that the present attempt's state is held twice."""
    return e.CopyHeld(
        simulation="s",
        set="a",
        boundary=boundary,
        attempt=s.set().attempt,
        seconds=1.0,
        cost_s=cost_s,
        bytes_copied=8,
    )


def not_held(s: Script, boundary: int) -> e.CopyFailed:
    """Make the fact that a copy was not made."""
    return e.CopyFailed(
        simulation="s",
        set="a",
        boundary=boundary,
        attempt=s.set().attempt,
        message="made to fail",
    )


def not_saved(s: Script, boundary: int) -> e.SalvageFailed:
    """Make the fact that a copy was not written."""
    return e.SalvageFailed(
        simulation="s",
        set="a",
        boundary=boundary,
        attempt=s.set().attempt,
        message="two partners were lost",
    )


def with_copy(boundary: int = 2, *, policies: Policies | None = None) -> Script:
    """Compute up to a boundary and one segment further, with a copy there."""
    s = started(policies=policies)
    for k in range(boundary):
        s.finished(k)
        s.tell(held(s, k + 1))
    return s


def test_a_copy_is_made_at_every_boundary_and_nothing_waits_for_it() -> None:
    """The stages meet, the copy begins, the next segment goes on at once."""
    s = started()

    assert s.finished(0) == ["plan copy s.a 1", "copy s.a 1 #1", "segment s.a 1 #1"]
    assert s.set().held.copying == 1
    assert s.tell(held(s, 1)) == []
    assert (s.set().held.boundary, s.set().held.copying) == (1, None)
    assert s.finished(1) == ["plan copy s.a 2", "copy s.a 2 #1", "segment s.a 2 #1"]


def test_a_copy_that_is_on_its_way_lets_the_next_one_be_skipped() -> None:
    """One at a time; the boundary after it is tried again."""
    s = started()
    s.finished(0)

    assert s.finished(1) == ["segment s.a 2 #1"]
    assert s.tell(not_held(s, 1)) == []
    assert s.finished(2) == ["plan copy s.a 3", "copy s.a 3 #1", "segment s.a 3 #1"]
    assert s.set().held.boundary is None


def test_copies_may_be_rarer_than_boundaries() -> None:
    """With every=2 the second boundary is copied, not the first."""
    s = started(policies=copying(every=2))

    assert s.finished(0) == ["segment s.a 1 #1"]
    assert s.finished(1) == ["plan copy s.a 2", "copy s.a 2 #1", "segment s.a 2 #1"]


def test_copies_that_cost_too_much_are_made_rarer() -> None:
    """Half a second in 20 s is more than 2 %, in 26 s it is not."""
    s = started(policies=copying(most_overhead=0.02))
    s.finished(0)
    s.tell(held(s, 1, cost_s=0.5))
    begun_s = s.set().held.begun_s

    assert s.at(begun_s + 20, s.finish(1)) == ["segment s.a 2 #1"]
    assert s.at(begun_s + 26, s.finish(2))[:2] == ["plan copy s.a 3", "copy s.a 3 #1"]


def test_a_lease_of_one_node_has_no_partner() -> None:
    """Nothing is copied; the disk is used as without."""
    s = started(stage(nodes=1), policies=copying(disk=EverySegments(count=2)))

    assert s.finished(0) == ["segment s.a 1 #1"]
    assert s.finished(1) == [
        "plan s.a 2",
        "checkpoint s.a 2 #1 full",
        "segment s.a 2 #1",
    ]


def test_coupled_stages_meet_for_a_copy() -> None:
    """A stage that could run ahead waits for the other at the boundary."""
    two = (
        stage("a", nodes=2, reads={"b": Coupling.PREVIOUS}),
        stage("b", nodes=2, reads={"a": Coupling.PREVIOUS}),
    )
    s = started(*two)

    assert s.finished(0, "a") == ["plan copy s.a 1"]
    assert s.finished(0, "b") == [
        "copy s.a 1 #1",
        "segment s.a 1 #1",
        "segment s.b 1 #1",
    ]


def test_a_checkpoint_where_a_copy_is_made_writes_the_same_state() -> None:
    """The copy is begun first; once committed, the copy is not needed any more."""
    s = started(policies=copying(disk=EverySegments(count=1)))

    assert s.finished(0) == [
        "plan s.a 1",
        "plan copy s.a 1",
        "copy s.a 1 #1",
        "checkpoint s.a 1 #1 full",
        "segment s.a 1 #1",
    ]
    s.tell(held(s, 1))
    assert s.set().held.boundary == 1
    s.committed(1)
    assert s.set().held.boundary is None


def test_a_copy_that_comes_after_its_checkpoint_is_not_kept() -> None:
    """What is on the disk already needs no partner."""
    s = started(policies=copying(disk=EverySegments(count=1)))
    s.finished(0)
    s.committed(1)

    s.tell(held(s, 1))

    assert (s.set().held.boundary, s.set().held.copying) == (None, None)


def test_a_loss_has_the_newest_copy_written_before_the_next_attempt() -> None:
    """The lease stays until it is committed; one segment is lost."""
    s = with_copy(2)

    assert s.tell(e.NodeLost(node="k")) == [
        f"salvage s.a 2 #1 until {s.now_s + 60:g}",
        "lease s: l,m,n",
    ]
    assert s.set().phase is Phase.SALVAGING
    assert s.wakes_after() == 60
    assert s.committed(2) == [
        "committed s.a 0",
        "committed s.a 1",
        "abandon s.a #1",
        "back s.a to 2: 0 segments, 2 s, NODE_LOST",
        "publish s.a 2",
        "lease s: none",
    ]
    assert s.set().held.salvaged == 2
    s.nodes("k")
    assert s.set().from_boundary == 2
    assert s.set().phase is Phase.RESTORING


def test_a_newer_copy_than_was_known_of_may_be_written() -> None:
    """It was held when the attempt broke, and nobody had told yet."""
    s = with_copy(2)
    s.finished(2)
    s.tell(e.NodeLost(node="k"))

    assert s.committed(3)[3:5] == [
        "abandon s.a #1",
        "back s.a to 3: 0 segments, 1 s, NODE_LOST",
    ]
    assert s.set().held.salvaged == 3


def test_without_the_rule_the_same_loss_costs_all_since_the_disk() -> None:
    """The attempt falls back to its beginning."""
    s = started(policies=Policies(checkpointing=RARELY))
    s.finished(0)
    s.finished(1)

    assert s.tell(e.NodeLost(node="k"))[:2] == [
        "abandon s.a #1",
        "back s.a to 0: 2 segments, 21 s, NODE_LOST",
    ]


def test_a_copy_that_is_not_all_there_leaves_the_older_checkpoint() -> None:
    """Two partners were lost: all since the disk is computed again."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"), e.NodeLost(node="l"))

    assert s.tell(not_saved(s, 2)) == [
        "abandon s.a #1",
        "back s.a to 0: 2 segments, 22 s, NODE_LOST",
        "lease s: none",
    ]
    assert s.set().held.salvaged is None


def test_a_salvage_that_nobody_answers_is_given_up_in_time() -> None:
    """After its limit the older checkpoint is taken."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"))

    assert s.tell(after_s=59) == []
    assert s.tell(after_s=1)[:2] == [
        "abandon s.a #1",
        "back s.a to 0: 2 segments, 22 s, NODE_LOST",
    ]


def test_a_second_loss_while_salvaging_changes_nothing_as_long_as_nodes_are_left() -> (
    None
):
    """The engine finds out whether the blocks are there; without nodes it cannot."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"))

    assert s.tell(e.NodeLost(node="l")) == ["lease s: m,n"]
    assert s.set().phase is Phase.SALVAGING
    assert s.tell(e.NodeLost(node="m"), e.NodeLost(node="n"))[0] == "abandon s.a #1"


def test_all_nodes_at_once_leave_nothing_to_salvage() -> None:
    """There is nobody to write what nobody holds."""
    s = with_copy(2)

    assert s.tell(*(e.NodeLost(node=node) for node in "klmn"))[0] == "abandon s.a #1"


@pytest.mark.parametrize("cause", [Cause.MODEL, Cause.HANG, Cause.MEMORY])
def test_a_segment_that_fails_starts_again_from_the_copy(cause: Cause) -> None:
    """Not only lost nodes cost less."""
    s = with_copy(2)

    assert s.failed(2, cause)[0].startswith("salvage s.a 2 #1")
    assert s.committed(2)[2] == "abandon s.a #1"


def test_a_state_that_blew_up_is_not_salvaged() -> None:
    """A blow-up blames the state itself."""
    s = with_copy(2)

    assert s.failed(2, Cause.NUMERICAL)[0] == "abandon s.a #1"


def test_a_budget_that_is_used_up_ends_the_simulation_as_without_copies() -> None:
    """A model that fails again and again at one place is given up."""
    s = with_copy(2)
    s.failed(2, Cause.MODEL)
    s.committed(2)
    s.restored()
    s.failed(2, Cause.MODEL)
    s.restored()

    assert s.failed(2, Cause.MODEL) == [
        "abandon s.a #3",
        "back s.a to 2: 0 segments, 1 s, MODEL",
        "failed s: MODEL",
        "lease s: none",
    ]


def test_what_is_late_of_an_attempt_that_is_salvaged_changes_nothing() -> None:
    """Segments that failed or finished meanwhile do not break it again."""
    s = with_copy(2)
    failed = e.SegmentFailed(
        simulation="s",
        stage="a",
        segment=2,
        attempt=1,
        cause=Cause.NODE_LOST,
        message="late",
    )
    finished = s.finish(2)
    s.tell(e.NodeLost(node="k"))

    assert s.tell(failed, finished, held(s, 3), not_held(s, 3), not_saved(s, 1)) == []
    assert s.set().phase is Phase.SALVAGING
    assert s.set().held.boundary == 2


def test_what_an_old_attempt_tells_of_copies_changes_nothing() -> None:
    """Facts and commands of an attempt that is over are only kept."""
    s = with_copy(2)
    late = (held(s, 2), not_held(s, 2), not_saved(s, 2))
    s.tell(e.NodeLost(node="k"))
    s.committed(2)
    s.nodes("k")
    salvage = SalvageCopy(simulation="s", set="a", boundary=2, attempt=1, until_s=1.0)
    before = s.set().phase

    s.tell(*late)
    apply(s.orchestrator.state, salvage, s.now_s)

    assert s.set().phase is before
    assert s.set().held.boundary is None


def test_a_user_who_cancels_does_not_wait_for_copies() -> None:
    """What is on the disk stays, the copy goes."""
    s = with_copy(2)

    told = s.tell(e.CancelRequested(simulation="s"), e.NodeLost(node="k"))

    assert told[0] == "abandon s.a #1"


def test_cancelling_ends_a_salvage() -> None:
    """The attempt is abandoned at once."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"))

    assert s.tell(e.CancelRequested(simulation="s"))[0] == "abandon s.a #1"


def test_pausing_lets_a_salvage_end_first() -> None:
    """The copy is committed, then the nodes go back."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"))

    assert s.tell(e.PauseRequested(simulation="s")) == []
    assert s.committed(2)[-1] == "lease s: none"


def test_a_new_driver_holds_no_copies() -> None:
    """They died with the Dask scheduler: it starts from the disk."""
    s = with_copy(2)

    assert s.restart("k", "l", "m", "n") == [
        "abandon s.a #1",
        "back s.a to 0: 2 segments, 21 s, NODE_LOST",
        "lease s: k,l,m,n",
        "attempt s.a #2 from 0",
    ]
    assert s.set().held.boundary is None


def test_a_copy_beyond_an_end_that_was_moved_is_not_written() -> None:
    """The simulation was made shorter than what is held."""
    s = with_copy(3)
    shorter = submitted(stage(boundaries=(0, 1, 2), nodes=4))
    moved = e.SimulationChanged(
        simulation="s", scenario=shorter.scenario, plan=shorter.plan
    )

    assert s.tell(moved)[0] == "abandon s.a #1"


def test_a_copy_is_held_until_the_next_one_is() -> None:
    """A loss while the second is on its way falls back to the first."""
    s = with_copy(1)
    s.finished(1)

    assert s.set().held.copying == 2
    assert s.tell(e.NodeLost(node="k"))[0].startswith("salvage s.a 1 #1")


def test_held_stages_are_not_copied_but_checkpointed() -> None:
    """What is drained meets at the planned copy's boundary and is written."""
    s = started()
    s.tell(e.DrainRequested(node="k"))

    assert s.finished(0) == ["checkpoint s.a 1 #1"]


def test_the_cost_of_copies_is_remembered_over_attempts() -> None:
    """Recent ones weigh more."""
    s = with_copy(1)
    assert s.set().held.cost_s == pytest.approx(0.5)
    s.finished(1)
    s.tell(held(s, 2, cost_s=1.5))
    s.tell(e.NodeLost(node="k"))
    s.committed(2)

    assert s.set().held.cost_s == pytest.approx(0.7 * 0.5 + 0.3 * 1.5)


class Asked:
    """A strategy for the disk that remembers what it was asked."""

    def __init__(self) -> None:
        self.paces: list[Pace] = []

    def due(self, pace: Pace) -> str | None:
        """Never write."""
        self.paces.append(pace)
        return None


def test_the_disk_is_told_of_rarer_failures_while_a_copy_is_held() -> None:
    """One of four fails in 456 days; its neighbour within 10 minutes of it, hardly."""
    asked = Asked()
    partner = PartnerCopy(disk=asked, most_overhead=1.0, severe_mtbf_s=1e12)
    s = started(policies=Policies(checkpointing=partner))
    s.finished(0)
    s.tell(held(s, 1))
    s.finished(1)

    first, second = asked.paces
    assert [pace.nodes for pace in asked.paces] == [4, 4]
    assert [pace.copied for pace in asked.paces] == [False, True]
    assert first.mtbf_s == pytest.approx(5 * 365 * 86400 / 4, rel=1e-6)
    assert second.mtbf_s == pytest.approx(
        1 / (2 * 600 / 4 / first.mtbf_s**2 + 1e-12), rel=1e-6
    )
