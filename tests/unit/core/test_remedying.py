"""Blow-ups: what is tried, from where, how often, and what of it is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.core.remedying import changes_of, params_now, tries_told
from climorch.core.sets import InArchive, Recall
from climorch.core.state import SetState
from climorch.intake.remedies import evaluate_remedy
from climorch.model import events as e
from climorch.model.commands import AskRemedy, RolledBack
from climorch.model.numerics import BlowUp, Remedy, Retry
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import UNLIMITED, Script, submitted

NUMERICAL = e.Cause.NUMERICAL


def script(*, tries: int = 2, remedies: bool = True) -> Script:
    """One simulation that was committed to boundary 2 and computes segment 2."""
    remedy = {"w": Remedy(change=lambda _: Retry(), tries=tries)} if remedies else {}
    s = Script(
        Policies(checkpointing=EverySegments(), limits=UNLIMITED, remedies=remedy)
    )
    s.tell(submitted())
    s.nodes("n0")
    s.restored()
    for k in range(2):
        go_on(s, k)
    return s


def go_on(s: Script, segment: int) -> None:
    """Compute a segment, commit and publish it."""
    s.finished(segment)
    s.committed(segment + 1)
    s.published(segment + 1)


def given(s: Script, number: int = 1, **more: Any) -> list[str]:
    """Let the remedy answer."""
    fact = e.RemedyGiven(simulation="s", set="a", number=number, retry=True, **more)
    return s.tell(fact)


def deleted(s: Script, boundary: int) -> list[str]:
    """Let a checkpoint be gone."""
    return s.tell(e.CheckpointDeleted(simulation="s", set="a", boundary=boundary))


def replayed(s: Script) -> SetState:
    """The set as a replay of the journal has it."""
    copy = Script(s.policies)
    copy.orchestrator.replay(s.journal)
    return copy.set()


def test_without_a_remedy_a_blow_up_ends_the_simulation() -> None:
    """With its cause."""
    s = script(remedies=False)
    assert "failed s: NUMERICAL" in s.failed(2, NUMERICAL)
    assert s.simulation().failed == (NUMERICAL, "made to fail")


def test_the_remedy_is_asked_and_nothing_starts_before_its_answer() -> None:
    """Then from the newest checkpoint, with other parameters."""
    s = script()
    told = s.failed(2, NUMERICAL)
    assert "remedy s #1" in told
    assert not [word for word in told if word.startswith(("attempt", "failed"))]
    assert s.tell(after_s=1000.0) == []
    assert s.outcome.commands == ()

    given(s, params={"dt": 450})
    assert s.set().from_boundary == 2
    assert s.set().attempt == 2
    assert changes_of(s.set(), "a", 1) == ({}, 0)
    assert changes_of(s.set(), "a", 2) == ({"dt": 450}, 0)
    assert params_now(s.simulation(), s.set()) == {"dt": 450}
    assert replayed(s) == s.set()


def test_an_answer_holds_once() -> None:
    """Told again, or of a number that was not asked for."""
    s = script()
    s.failed(2, NUMERICAL)
    given(s, number=7, params={"dt": 1})
    assert s.set().blown.tried == ()
    given(s, params={"dt": 450})
    before = s.set().attempt
    given(s, params={"dt": 1})
    s.tell(
        e.RemedyGiven(simulation="nobody", set="a", number=1, retry=True),
        e.RemedyGiven(simulation="s", set="nothing", number=1, retry=True),
    )
    assert s.set().attempt == before
    assert [t.params for t in s.set().blown.tried] == [{"dt": 450}]


def test_it_goes_back_further_and_nothing_of_the_former_course_is_left() -> None:
    """Newer checkpoints go first; their segments are not committed any more."""
    s = script()
    s.failed(2, NUMERICAL)
    told = given(s, back=2, reseed=True)
    assert "delete s.a 2" in told
    assert s.set().committed == 1
    assert s.set().committed_segments == {"a": 1}
    assert s.set().blown.waits
    rolled = [r for r, _ in s.journal if isinstance(r, RolledBack)]
    assert [(r.boundary, r.cause) for r in rolled][-1] == (1, NUMERICAL)

    deleted(s, 2)
    assert not s.set().blown.waits
    assert s.set().from_boundary == 1
    assert changes_of(s.set(), "a", 0) == ({}, 0)
    assert changes_of(s.set(), "a", 1) == ({}, 1)
    assert replayed(s) == s.set()


@pytest.mark.parametrize(("back", "boundary"), [(1, 2), (2, 1), (3, 0), (9, 0)])
def test_with_fewer_checkpoints_it_goes_back_to_the_beginning(
    back: int, boundary: int
) -> None:
    """The first states are one more checkpoint, as it were."""
    s = script()
    s.failed(2, NUMERICAL)
    given(s, back=back)
    assert s.set().blown.tried[0].boundary == boundary


def test_where_older_ones_were_deleted_the_oldest_that_is_kept_is_the_last() -> None:
    """The beginning is far from it."""
    s = script()
    s.set().deleted = 1
    s.failed(2, NUMERICAL)
    given(s, back=9)
    assert s.set().blown.tried[0].boundary == 1


def test_what_the_former_course_commits_late_is_removed() -> None:
    """Its rename had happened before it was abandoned."""
    s = script()
    late = s.commit(3)
    s.failed(2, NUMERICAL)
    given(s)
    told = s.tell(late)
    assert "delete s.a 3" in told
    assert s.set().committed == 2
    assert not [word for word in told if word.startswith("committed")]
    deleted(s, 3)
    assert not s.set().blown.waits


def test_what_is_being_published_is_removed_afterwards() -> None:
    """Its files are read."""
    s = script()
    s.finished(2)
    s.committed(3)
    s.failed(3, NUMERICAL)
    assert "delete s.a 3" not in given(s, back=2)
    assert "delete s.a 3" in s.published(3)


@pytest.mark.parametrize(("pinned", "boundary"), [(1, 1), (2, 2), (None, 0)])
def test_it_goes_back_to_no_earlier_than_what_is_pinned(
    pinned: int | None, boundary: int
) -> None:
    """A branch began there: it may have to begin anew."""
    s = script()
    if pinned is not None:
        s.tell(e.PinRequested(simulation="s", set="a", boundary=pinned))
    s.failed(2, NUMERICAL)
    gone = [word for word in given(s, back=9) if word.startswith("delete")]
    assert s.set().blown.tried[0].boundary == boundary
    assert gone == [f"delete s.a {b}" for b in (1, 2) if b > boundary]
    assert replayed(s) == s.set()


def test_what_comes_back_hours_later_takes_nothing_of_the_new_course_along() -> None:
    """Asked back before the blow-up; the new course has committed beyond since."""
    s = script()
    former = s.set().attempt
    s.failed(2, NUMERICAL)
    given(s, back=2)
    deleted(s, 2)
    s.restored()
    go_on(s, 1)
    assert s.set().committed == 2
    told = s.tell(
        e.CheckpointRecalled(
            simulation="s", set="a", boundary=3, attempt=former, seconds=1.0, bytes=1
        )
    )
    assert [word for word in told if word.startswith("delete")] == ["delete s.a 3"]
    assert s.set().committed == 2
    assert not s.set().blown.waits
    deleted(s, 3)
    s.finished(2)
    assert "delete s.a 3" not in s.committed(3)
    assert s.set().committed == 3
    assert replayed(s) == s.set()


def test_tries_are_bounded_until_it_gets_beyond_the_place() -> None:
    """Then it is quarantined with its cause; beyond it they count anew."""
    s = script(tries=2)
    for number in (1, 2):
        assert f"remedy s #{number}" in s.failed(2, NUMERICAL)
        given(s, number=number, params={"try": number})
        s.restored()
    assert "failed s: NUMERICAL" in s.failed(2, NUMERICAL)
    assert s.simulation().failed == (
        NUMERICAL,
        "quarantined after 2 tries: made to fail",
    )

    s = script(tries=1)
    s.failed(2, NUMERICAL)
    given(s)
    s.restored()
    go_on(s, 2)
    assert s.set().blown.count == 1
    assert "remedy s #2" in s.failed(3, NUMERICAL)


def test_a_commit_on_the_way_to_the_place_gives_no_further_try() -> None:
    """It went back beyond it: getting there again is no progress."""
    s = script(tries=1)
    s.failed(2, NUMERICAL)
    given(s, back=2)
    deleted(s, 2)
    s.restored()
    go_on(s, 1)
    assert "failed s: NUMERICAL" in s.failed(2, NUMERICAL)


def test_a_driver_that_died_before_the_answer_asks_again_once() -> None:
    """The same number, whatever the first one would have said; tries start anew."""
    s = script()
    s.failed(2, NUMERICAL)
    told = s.restart("n0")
    assert told.count("remedy s #1") == 1
    assert s.set().blown.count == 0
    given(s, params={"dt": 450})
    assert [t.number for t in s.set().blown.tried] == [1]
    s.restart("n0")
    assert changes_of(s.set(), "a", 2) == ({"dt": 450}, 0)


def test_a_driver_that_died_before_the_checkpoints_went_removes_them() -> None:
    """Nothing starts before."""
    s = script()
    s.failed(2, NUMERICAL)
    given(s, back=2)
    told = s.restart("n0")
    assert "delete s.a 2" in told
    assert not [word for word in told if word.startswith("attempt")]


def test_a_remedy_with_nothing_to_try_ends_it() -> None:
    """With what was found and why nothing is tried."""
    s = script()
    s.failed(2, NUMERICAL)
    fact = e.RemedyGiven(
        simulation="s", set="a", number=1, retry=False, message="it has nothing"
    )
    s.tell(fact)
    assert s.simulation().failed == (NUMERICAL, "made to fail; it has nothing")


def test_a_try_that_begins_earlier_replaces_those_that_began_later() -> None:
    """Theirs is a course that was given up; all are told."""
    s = script(tries=3)
    s.failed(2, NUMERICAL)
    given(s, params={"dt": 450}, reseed=True)
    s.restored()
    s.failed(2, NUMERICAL)
    given(s, number=2, params={"nu": 2.0}, back=2)
    assert changes_of(s.set(), "a", 3) == ({"nu": 2.0}, 0)
    assert [(t["try"], t["in force"]) for t in tries_told(s.set())] == [
        (1, False),
        (2, True),
    ]


def test_tries_and_what_is_asked_are_explained() -> None:
    """In the words of the failure."""
    s = script()
    state = s.orchestrator.state
    assert "blow-ups of a" not in explain(state, "s", s.now_s).factors
    s.failed(2, NUMERICAL)
    found = explain(state, "s", s.now_s).factors["blow-ups of a"]
    assert found == {"is asked": "made to fail"}
    given(s, params={"dt": 450})
    (told,) = explain(state, "s", s.now_s).factors["blow-ups of a"].values()
    assert '"params": {"dt": 450}' in told
    assert '"computed again from boundary": 2' in told


ASKED = AskRemedy(simulation="s", set="a", number=1, message="NaN", reached=3)


def answer(change: Any) -> e.RemedyGiven:
    """What a user's function becomes."""
    s = script()
    wf = Workflow("w")
    if change is not None:
        wf.remedy(change, tries=2)
    return evaluate_remedy(s.orchestrator.state, {"w": wf}, ASKED)


def test_a_remedy_is_told_what_happened_and_its_answer_is_a_fact() -> None:
    """Whatever it changes is part of it."""
    told: list[BlowUp] = []

    def change(blow_up: BlowUp) -> Retry:
        told.append(blow_up)
        return Retry(params={"dt": 450}, reseed=True, back=2)

    assert answer(change) == e.RemedyGiven(
        simulation="s",
        set="a",
        number=1,
        retry=True,
        params={"dt": 450},
        reseed=True,
        back=2,
    )
    assert told == [
        BlowUp(
            simulation="s",
            set="a",
            number=1,
            message="NaN",
            params={},
            boundary=2,
            reached=3,
        )
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "the script has no remedy for it any more"),
        (lambda _: None, "its remedy has nothing more to try"),
        (lambda _: {"dt": 1}, "its remedy returned a dict"),
        (lambda _: 1 / 0, "its remedy raised ZeroDivisionError: division by zero"),
    ],
)
def test_whatever_a_remedy_does_becomes_a_fact(change: Any, message: str) -> None:
    """No user's function ends a campaign."""
    found = answer(change)
    assert (found.retry, found.message) == (False, message)


def test_a_workflow_that_is_not_there_has_no_remedy() -> None:
    """As where a rule added a simulation and the script changed."""
    s = script()
    assert not evaluate_remedy(s.orchestrator.state, {}, ASKED).retry


def test_archived_copies_of_the_former_course_are_not_asked_back() -> None:
    """They stay in the archive; one on its way there is waited for, one back goes."""
    s = script()
    copy = InArchive(folder="f", url="file:///a", bytes=1)
    s.set().archived = {1: copy, 2: copy}
    s.set().recall = Recall(boundary=2)
    s.set().commits[2].archiving = True
    former = s.set().attempt
    s.failed(2, NUMERICAL)
    assert "delete s.a 2" not in given(s, back=2)
    assert s.set().archived == {1: copy}
    assert s.set().recall is None
    told = s.tell(
        e.CheckpointArchived(
            simulation="s",
            set="a",
            boundary=2,
            folder="f",
            url="file:///a",
            bytes=1,
            xxh3="0",
        )
    )
    assert "delete s.a 2" in told
    assert s.set().archived == {1: copy}
    deleted(s, 2)
    told = s.tell(
        e.CheckpointRecalled(
            simulation="s", set="a", boundary=2, attempt=former, seconds=1.0, bytes=1
        )
    )
    assert "delete s.a 2" in told
