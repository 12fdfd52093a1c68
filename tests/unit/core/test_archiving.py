"""Stories of checkpoints that go to an archive and are asked back."""

from __future__ import annotations

from typing import Any

from climorch.core.holds import is_over
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.policy.archiving import Archive
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

# Boundaries of the script's stage are seconds of model time.
RULES = Policies(
    checkpointing=EverySegments(),
    limits=UNLIMITED,
    retention=KeepLast(count=1),
    archive=Archive(url="file:///tape", every="1h"),
)


def begun(policies: Policies = RULES) -> Script:
    """Let a simulation of four segments have its states."""
    script = Script(policies)
    script.tell(submitted())
    script.nodes("n")
    script.restored()
    return script


def at(script: Script, boundary: int) -> list[str]:
    """Compute up to a boundary, commit and publish; tell about archives."""
    told = script.finished(boundary - 1)
    told += script.committed(boundary) + script.published(boundary)
    return about_archives(told)


def about_archives(told: list[str]) -> list[str]:
    """Keep what is about archives, and deletions."""
    words = ("archive", "recall", "delete", "attempt")
    return [line for line in told if line.startswith(words)]


def archived(script: Script, boundary: int) -> list[str]:
    """Let the archive have a checkpoint."""
    fact = e.CheckpointArchived(
        simulation="s",
        set="a",
        boundary=boundary,
        bytes=7,
        xxh3="0",
        url=f"file:///tape/{boundary}",
        folder=f"f{boundary}",
    )
    return about_archives(script.tell(fact))


def recalled(script: Script, boundary: int) -> list[str]:
    """Let a checkpoint be back."""
    fact = e.CheckpointRecalled(
        simulation="s", set="a", boundary=boundary, attempt=1, bytes=5, seconds=2.0
    )
    return about_archives(script.tell(fact))


def place(boundary: int) -> dict[str, Any]:
    """Where a checkpoint is."""
    return {"simulation": "s", "set": "a", "boundary": boundary}


def test_what_belongs_into_an_archive_goes_there_once() -> None:
    """The first of a unit and the end; then the results, when they are all out."""
    script = begun()

    assert at(script, 1) == ["archive s.a 1"]
    assert at(script, 2) == []
    # It stays on the disk until the archive has it.
    assert at(script, 3) == []
    assert sorted(script.set().commits) == [1, 2, 3]
    assert archived(script, 1) == ["delete s.a 1"]
    assert at(script, 4) == ["archive s.a 4", "delete s.a 2", "archive results s.a"]
    assert archived(script, 4) == []
    assert sorted(script.set().archived) == [1, 4]


def test_a_campaign_waits_for_its_archive_and_a_stop_does_not() -> None:
    """Nothing that was asked for is left half done, unless somebody is in a hurry."""
    script = begun()
    for boundary in (1, 2, 3, 4):
        at(script, boundary)
    deleted = (e.CheckpointDeleted(simulation="s", set="a", boundary=b) for b in (2,))
    script.tell(*deleted)
    state = script.orchestrator.state

    assert script.simulation().settled
    assert not is_over(state)
    archived(script, 1)
    script.tell(e.CheckpointDeleted(simulation="s", set="a", boundary=1))
    archived(script, 4)
    assert not is_over(state)
    state.stopping = True
    assert is_over(state)
    state.stopping = False
    script.tell(e.ResultsArchived(simulation="s", stage="a", bytes=0))
    assert is_over(state)
    assert script.simulation().results_archived["a"].bytes == 0


def longer(segments: int) -> e.SimulationChanged:
    """Let the script's plan go on for longer."""
    plan = submitted(stage(boundaries=tuple(range(segments + 1)))).plan
    return e.SimulationChanged(simulation="s", scenario=Scenario("s"), plan=plan)


def test_results_that_went_on_growing_are_archived_anew() -> None:
    """Once for each end; what grew while it was on its way counts as not there."""
    script = begun()
    for boundary in (1, 2, 3, 4):
        at(script, boundary)
    for boundary in (1, 4):
        archived(script, boundary)
    put = e.ResultsArchived(simulation="s", stage="a", bytes=9)
    assert about_archives(script.tell(put)) == []
    assert script.simulation().results_archived["a"].segments == 4

    script.tell(longer(5))
    script.nodes("m")
    script.restored()
    assert at(script, 5)[-1] == "archive results s.a"
    script.tell(longer(6))
    assert about_archives(script.tell(put)) == []
    script.restored()
    assert at(script, 6)[-1] == "archive results s.a"
    script.tell(put)
    assert script.simulation().results_archived["a"].segments == 6


def replaced(script: Script) -> list[str]:
    """Commit boundary 1 anew while the damaged one there is on its way."""
    script.tell(e.CheckpointScrubbed(**place(1), bad=("x",), damaged=True))
    lost = e.SegmentFailed(
        simulation="s",
        stage="a",
        segment=1,
        attempt=1,
        cause=e.Cause.NODE_LOST,
        message="lost",
    )
    script.tell(lost)
    script.restored()
    script.finished(0)
    return [x for x in about_archives(script.committed(1)) if "attempt" not in x]


def test_what_took_the_place_of_a_damaged_one_is_not_brought_twice() -> None:
    """The upload that is on its way finds it, and it stays on the disk until then."""
    script = begun()
    at(script, 1)

    assert replaced(script) == []
    assert script.set().commits[1].archiving
    assert archived(script, 1) == []
    assert not script.set().commits[1].archiving
    assert list(script.set().archived) == [1]


def test_what_took_the_place_of_a_damaged_one_is_not_to_blame_for_it() -> None:
    """An upload that found the damaged one says nothing of the next."""
    script = begun()
    at(script, 1)
    replaced(script)

    told = script.tell(e.ArchivingFailed(**place(1), message="damaged"))
    assert about_archives(told) == ["archive s.a 1"]
    told = script.tell(e.ArchivingFailed(**place(1), message="damaged again"))
    assert about_archives(told) == []
    assert script.set().commits[1].unfit


def test_what_is_damaged_is_not_tried_again_and_again() -> None:
    """A checkpoint that is not what was committed is no archive's business."""
    script = begun()
    at(script, 1)
    told = script.tell(e.ArchivingFailed(**place(1), message="no"))

    assert about_archives(told) == []
    assert at(script, 2) == ["archive s.a 2"] or script.set().commits[1].unfit
    assert not script.set().commits[1].archiving


def test_without_a_driver_nothing_is_on_its_way() -> None:
    """The next one asks for it again."""
    script = begun()
    at(script, 1)

    assert "archive s.a 1" in script.restart("n")


def test_without_an_archive_nothing_is_archived_or_recalled() -> None:
    """Though a journal may know of one."""
    script = begun(Policies(checkpointing=EverySegments(), limits=UNLIMITED))
    at(script, 1)
    archived(script, 1)

    assert "recall s.a 1: f1" not in failed_and_lost(script, 1)


def failed_and_lost(script: Script, *boundaries: int) -> list[str]:
    """Let an attempt fail whose checkpoints are all gone."""
    told = script.tell(
        e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=script.set().done["a"],
            attempt=script.set().attempt,
            cause=e.Cause.MODEL,
            message="made to fail",
        ),
        *(e.CheckpointDeleted(simulation="s", set="a", boundary=b) for b in boundaries),
    )
    return about_archives(told)


def test_what_the_disk_lost_is_asked_back_before_a_new_attempt() -> None:
    """Nobody computes again what an archive gives back at once."""
    script = begun()
    at(script, 1)
    archived(script, 1)

    assert failed_and_lost(script, 1) == ["recall s.a 1: f1"]
    assert script.at(script.now_s + 600) == []
    assert recalled(script, 1) == ["attempt s.a #2 from 1"]
    commit = script.set().commits[1]
    assert (commit.recalled, commit.own_bytes, commit.copy) == (True, 5, 2)


def test_a_recall_of_hours_holds_nobody_up() -> None:
    """The set starts from what there is, and goes over to what came back."""
    script = begun()
    at(script, 1)
    archived(script, 1)
    failed_and_lost(script, 1)
    delayed = e.RecallDelayed(**place(1))

    assert about_archives(script.tell(delayed)) == ["attempt s.a #2 from 0"]
    assert about_archives(script.tell(delayed)) == []
    script.restored()
    told = script.tell(
        e.CheckpointRecalled(**place(1), attempt=1, bytes=5, seconds=2.0)
    )
    assert "abandon s.a #2" in told
    assert "attempt s.a #3 from 1" in told


def test_an_archive_that_has_nothing_good_is_not_asked_again() -> None:
    """The rung below is taken; another copy there makes it worth it again."""
    script = begun()
    at(script, 1)
    archived(script, 1)
    failed_and_lost(script, 1)
    failed = e.RecallFailed(**place(1), message="damaged")

    assert about_archives(script.tell(failed)) == ["attempt s.a #2 from 0"]
    assert script.set().unreadable == {1}
    # Told again, it is not about another copy.
    archived(script, 1)
    assert script.set().unreadable == {1}
    script.restored()
    at(script, 1)
    script.set().commits[1].archiving = True
    archived(script, 1)
    assert script.set().unreadable == frozenset()


def test_what_comes_back_too_late_changes_nothing() -> None:
    """A good one is there, the end was moved, or nobody knows the simulation."""
    script = begun()
    at(script, 1)
    before = script.set().commits[1]
    for told in (place(1), place(9), {**place(1), "simulation": "gone"}):
        script.tell(e.CheckpointRecalled(**told, attempt=1, bytes=5))

    assert script.set().commits == {1: before}
    for kind in (e.RecallDelayed, e.RecallFailed, e.ArchivingFailed):
        script.tell(kind(**{**place(1), "simulation": "gone"}, message="m"))
    script.tell(e.RecallDelayed(**place(2)))
    script.tell(e.ResultsArchived(simulation="gone", stage="a", bytes=1))
    assert script.set().recall is None


def test_a_restore_settles_what_was_lost_before() -> None:
    """Each loss is told with one restore, and a repair is forgotten with it."""
    script = begun()
    at(script, 1)
    script.failed(1, e.Cause.MODEL)
    owed_s = script.set().owed_s
    attempt = script.set().attempt
    script.tell(
        e.RestoreFailed(
            **place(1),
            attempt=attempt,
            cause=e.Cause.CORRUPT,
            message="bad",
            repaired=("state.zarr/a",),
        )
    )

    assert owed_s > 0
    assert script.set().commits[1].repaired
    assert script.set().commits[1].good
    script.restored()
    assert script.set().owed_s == 0
    assert not script.set().commits[1].repaired
