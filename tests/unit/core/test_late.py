"""What is heard late about a course that was given up: nothing follows from it.

Each order by itself; in all orders: ``tests/property/test_late.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from climorch.core.progress import Policies
from climorch.core.sets import InArchive, Recall, SetState, is_new
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.numerics import Remedy, Retry
from climorch.model.plan import Branch, RulePlan, RuleTime
from climorch.model.scoring import ScorePlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

OWN: dict[str, Any] = {"simulation": "s", "set": "a"}
COPY = InArchive(folder="f", url="file:///a", bytes=1)
UNTIL = RulePlan(name="until", when="a", on=RuleTime.UNTIL)
POLICIES = Policies(
    checkpointing=EverySegments(),
    limits=UNLIMITED,
    retention=KeepLast(count=99),
    remedies={"w": Remedy(change=lambda _: Retry(), tries=9)},
)


def begun(segments: int = 2, **more: Any) -> Script:
    """One simulation that is committed and published up to a boundary."""
    s = Script(POLICIES)
    s.tell(submitted(stage(boundaries=range(7)), **more))
    s.nodes("n0")
    s.restored()
    for k in range(segments):
        on(s, k)
    return s


def on(s: Script, segment: int) -> None:
    """Compute a segment, commit and publish it."""
    s.finished(segment)
    s.committed(segment + 1)
    s.published(segment + 1)


def blow_up(s: Script, segment: int, back: int) -> None:
    """Let a segment blow up, and what is gone back over be gone."""
    number = len(s.set().blown.tried) + 1
    s.failed(segment, e.Cause.NUMERICAL)
    s.tell(e.RemedyGiven(**OWN, number=number, retry=True, back=back))
    for boundary in [b for b, x in s.set().commits.items() if x.deleting]:
        deleted(s, boundary)
    s.restored()


def deleted(s: Script, boundary: int, attempt: int = 0) -> list[str]:
    """Let a checkpoint be gone."""
    return s.tell(e.CheckpointDeleted(**OWN, boundary=boundary, attempt=attempt))


def commit(boundary: int, attempt: int) -> e.CheckpointCommitted:
    """Make the fact that an attempt committed a checkpoint."""
    return e.CheckpointCommitted(
        **OWN, boundary=boundary, attempt=attempt, seconds=1.0, cost_s=1.0
    )


def recalled(boundary: int, attempt: int) -> e.CheckpointRecalled:
    """Make the fact that a checkpoint came back from the archive."""
    return e.CheckpointRecalled(**OWN, boundary=boundary, attempt=attempt, bytes=1)


def good(s: Script) -> dict[int, int]:
    """Return the attempts of good checkpoints by boundary."""
    commits = s.set().commits.items()
    return {b: x.attempt for b, x in commits if x.good and not x.deleting}


@pytest.mark.parametrize("fact", [commit(3, 1), recalled(3, 1)])
def test_what_was_given_up_twice_ago_is_of_no_use_either(fact: e.Fact) -> None:
    """It lies below where the newest try goes back to, and above the one before."""
    s = begun()
    blow_up(s, 2, back=2)
    for k in range(1, 4):
        on(s, k)
    # As where retention let it go.
    deleted(s, 3)
    blow_up(s, 4, back=1)
    assert [(t.boundary, t.former) for t in s.set().blown.tried] == [(1, 1), (4, 2)]

    told = s.tell(fact)

    assert [x for x in told if x.startswith(("delete", "publish"))] == ["delete s.a 3"]
    assert good(s) == {1: 1, 2: 2, 4: 2}


def test_what_takes_the_place_of_a_late_one_stays() -> None:
    """Its deletion is under way when another is committed at the same boundary."""
    s = begun()
    blow_up(s, 2, back=2)
    assert "delete s.a 2" in s.tell(recalled(2, 1))
    (gone,) = (r for r, _ in s.journal[-1:] if isinstance(r, c.DeleteCheckpoint))
    assert gone.attempt == 1
    s.finished(1)

    told = s.committed(2)

    assert "committed s.a 1" in told
    assert not [x for x in told if x.startswith("delete")]
    assert deleted(s, 2, attempt=1) == []
    assert good(s) == {1: 1, 2: 2}
    assert s.published(2) == []


def test_what_the_present_course_commits_stays_while_a_late_one_goes() -> None:
    """It was on its way when the late one was heard of."""
    s = begun()
    blow_up(s, 2, back=2)
    s.finished(1)
    assert "delete s.a 3" in s.tell(commit(3, 1))

    told = s.committed(2)

    assert not [x for x in told if x.startswith(("delete", "abandon"))]
    assert good(s) == {1: 1, 2: 2}
    assert not s.set().blown.waits


def test_a_late_one_tells_nothing_of_progress() -> None:
    """Metrics, failures, turn and the partners' copy are of what is computed."""
    s = begun()
    simulation = s.simulation()
    blow_up(s, 2, back=2)
    s.tell(msgspec.structs.replace(s.finish(1), metrics={"x": 1.0}))
    simulation.fruitful, simulation.failures = False, {e.Cause.MEMORY: 1}
    s.set().held.boundary = 2

    s.tell(commit(3, 1))

    assert simulation.recent == {"a": {1: {"x": 1.0}}}
    assert simulation.metrics == {}
    assert (simulation.fruitful, simulation.failures) == (False, {e.Cause.MEMORY: 1})
    assert s.set().held.boundary == 2
    assert s.set().committed_segments == {"a": 1}


def test_one_that_takes_the_place_of_what_is_archived_waits_for_that() -> None:
    """It is neither published nor archived, and goes once the upload is over."""
    s = begun()
    s.set().commits[2].archiving = True
    s.set().commits[2].good = False
    blow_up(s, 2, back=1)
    assert s.set().blown.tried[0].boundary == 1

    told = s.tell(recalled(2, 1))

    assert not [x for x in told if x.startswith(("delete", "publish", "committed"))]
    archived = e.CheckpointArchived(
        **OWN, boundary=2, bytes=1, xxh3="0", url="file:///a", folder="f"
    )
    assert "delete s.a 2" in s.tell(archived)
    assert s.set().archived == {}
    # Told again, it is about nothing that is there.
    deleted(s, 2, attempt=1)
    s.tell(archived)
    assert s.set().archived == {}
    failed = e.ArchivingFailed(**OWN, boundary=1, message="m")
    s.tell(failed)
    assert not s.set().commits[1].unfit


def test_what_was_asked_back_before_says_nothing_of_what_is_asked_back_now() -> None:
    """Neither that it came nor that it cannot be read."""
    s = begun()
    blow_up(s, 2, back=2)
    s.set().archived, s.set().recall = {1: COPY}, Recall(boundary=1)

    s.tell(e.RecallFailed(**OWN, boundary=2, message="damaged"), recalled(2, 1))

    assert s.set().recall == Recall(boundary=1)
    assert s.set().unreadable == frozenset()
    s.tell(e.RecallFailed(**OWN, boundary=1, message="damaged"))
    assert s.set().recall is None
    assert s.set().unreadable == {1}


def test_a_score_of_a_former_course_counts_for_nothing() -> None:
    """However far the new course is when it answers; then it is asked again."""
    s = begun(scores=[ScorePlan(name="x", stage="a", threshold=1.0, every=2)])
    assert s.simulation().scores_asked == {"x": 2}
    blow_up(s, 2, back=2)
    on(s, 1)
    answer = e.ScoreEvaluated(simulation="s", score="x", mark=2, value=7.0)

    assert "score s.x at 2" in s.tell(answer)
    assert s.simulation().scores == {}
    s.tell(answer)
    assert s.simulation().scores["x"][2].value == 7.0


def test_a_driver_that_takes_over_waits_for_no_answer_to_another() -> None:
    """What it asks is about what there is."""
    s = begun(scores=[ScorePlan(name="x", stage="a", threshold=1.0, every=2)])
    blow_up(s, 2, back=2)
    assert s.set().blown.void == {("score", "x"): 1}
    s.restart("n0")
    s.restored()
    on(s, 1)

    s.tell(e.ScoreEvaluated(simulation="s", score="x", mark=2, value=7.0))

    assert s.simulation().scores["x"][2].value == 7.0


@pytest.mark.parametrize(("back", "holds"), [(1, True), (2, False)])
@pytest.mark.parametrize("fails", [False, True])
def test_a_condition_that_saw_a_former_course_says_nothing(
    back: int, holds: bool, fails: bool
) -> None:
    """Of what both courses share it holds."""
    s = begun(1, rules=[UNTIL])
    simulation = s.simulation()
    s.tell(e.RuleEvaluated(simulation="s", rule="until", at=1))
    on(s, 1)
    assert simulation.rules_asked == {"until"}
    blow_up(s, 2, back=back)
    answer: e.Fact = e.RuleEvaluated(simulation="s", rule="until", at=2, priority=5)
    if fails:
        answer = e.RuleFailed(simulation="s", rule="until", at=2, message="m")

    s.tell(answer)

    assert simulation.rules_asked == set()
    assert (simulation.priority == 5) == (holds and not fails)
    assert ("until" in simulation.rule_faults) == (holds and fails)


def test_nothing_branches_from_what_is_to_go() -> None:
    """A rule answered while the checkpoint was waited for."""
    s = begun(3)
    s.set().commits[3].published, s.set().commits[3].publishing = False, True
    s.failed(3, e.Cause.NUMERICAL)
    s.tell(e.RemedyGiven(**OWN, number=1, retry=True, back=2))
    assert not s.set().commits[3].deleting
    branch = Branch(simulation="s", rule="r", boundaries={"a": 3})

    s.tell(msgspec.structs.replace(submitted(name="t"), branch=branch))

    failed = s.simulation("t").failed
    assert failed is not None
    assert "to start from is gone" in failed[1]
    assert s.set().pins == frozenset()


@pytest.mark.parametrize(
    ("known", "attempt", "new"),
    [
        (None, 3, True),
        ((2, True), 3, False),
        ((2, False), 2, False),
        ((2, False), 3, True),
    ],
)
def test_a_driver_learns_of_what_took_the_place_of_one_of_no_use(
    known: tuple[int, bool] | None, attempt: int, new: bool
) -> None:
    """Renamed, and nobody lived to journal it."""
    s: SetState = begun(1).set()
    if known is None:
        s.commits.clear()
    else:
        s.commits[1].attempt, s.commits[1].good = known

    assert is_new(s, 1, attempt) is new


def test_a_checkpoint_is_of_the_copy_that_it_was_linked_from() -> None:
    """The one it was begun after went bad and came back, as a copy of its own."""
    s = begun(1)
    s.finished(1)
    late = msgspec.structs.replace(s.commit(2), independent=False)
    s.tell(e.CheckpointScrubbed(**OWN, boundary=1, damaged=True), recalled(1, 1))

    s.tell(late)

    assert {b: x.copy for b, x in s.set().commits.items()} == {1: 2, 2: 1}
    assert s.set().sources == {}


def test_what_waited_for_a_late_one_to_be_written_shares_its_files() -> None:
    """It was begun when nobody had heard of that."""
    s = begun(1)
    s.finished(1)
    late = msgspec.structs.replace(s.commit(2), independent=True)
    s.failed(2, e.Cause.MEMORY)
    s.tell(after_s=600.0)
    s.restored()
    s.finished(1)
    waits = msgspec.structs.replace(s.commit(2), independent=False)
    assert s.set().sources == {(1, 2): 1, (2, 2): 1}

    s.tell(late)

    assert s.set().sources == {(2, 2): 2}
    s.tell(waits)
    assert {b: x.copy for b, x in s.set().commits.items()} == {1: 1, 2: 2}


def test_a_score_that_comes_after_a_loss_skips_no_mark() -> None:
    """Those before it are to be taken again: their results were given up."""
    s = begun(scores=[ScorePlan(name="x", stage="a", threshold=1.0, every=1)])
    one, two = (
        e.ScoreEvaluated(simulation="s", score="x", mark=mark, value=1.0)
        for mark in (1, 2)
    )
    s.tell(one)
    assert s.simulation().scores_asked == {"x": 2}
    s.simulation().scores.clear()

    assert "score s.x at 1" in s.tell(two)
    assert s.simulation().scores == {}
