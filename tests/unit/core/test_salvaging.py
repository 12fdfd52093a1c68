"""Stories of copies in partners' memory that are written out after a loss."""

from __future__ import annotations

import pytest

from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.core.lifecycle import Phase
from climorch.core.progress import Policies
from climorch.core.statuses import summarise
from climorch.model import events as e
from climorch.model.commands import SalvageCopy
from climorch.model.events import Cause
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.copy_script import (
    held,
    not_held,
    not_saved,
    started,
    with_copy,
)
from tests.unit.core.script import stage, submitted

RARELY = EverySegments(count=99)


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


def test_the_status_says_what_is_being_saved() -> None:
    """Which boundary, of which set, and what broke it."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"))

    (status,) = summarise(s.orchestrator.state, s.now_s)
    assert status.why == (
        "writes boundary 2 of set a from the copies that partners hold: 1 nodes lost"
    )


def test_a_new_attempt_says_that_its_states_came_from_partners() -> None:
    """And what the failure before it cost."""
    s = with_copy(2)
    s.tell(e.NodeLost(node="k"))
    s.committed(2)
    s.nodes("k")
    s.tell(
        e.SetRestored(simulation="s", set="a", attempt=2, boundary=2, rung="partner")
    )

    factors = explain(s.orchestrator.state, "s", s.now_s).factors["set a"]
    assert factors["states came from"] == "partner"
    assert factors["lost by the newest failure, s"] == 2.0
    assert factors["last written from a copy"] == 2


def test_a_late_second_fact_of_a_copy_changes_nothing() -> None:
    """Only the one that is on its way counts."""
    s = with_copy(2)

    s.tell(held(s, 1), not_held(s, 2), not_saved(s, 2))

    assert (s.set().held.boundary, s.set().phase) == (2, Phase.ACTIVE)


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
