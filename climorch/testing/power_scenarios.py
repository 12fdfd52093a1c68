"""What is done while the power goes, and what must hold afterwards.

Each scenario is recorded once: first what lies on the disk already, then what is
done, with a note whenever somebody is told that something is durable.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from climorch.errors import ClimorchError
from climorch.model.events import PauseRequested
from climorch.storage import files, inbox
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import Owner
from climorch.testing.power_archive import (
    archive_and_recall,
    judge_archive,
    look_into_archive,
)
from climorch.testing.power_loss import Effort, Findings, explore
from climorch.testing.recording import RecordingFiles
from climorch.testing.small_campaign import (
    CAMPAIGN,
    SET,
    SIMULATION,
    Outcome,
    SmallCampaign,
    recover,
)

__all__ = ["SCENARIOS", "Scenario", "cut_power"]

T = TypeVar("T")
Note = Callable[[str], None]

GO_ON_EVERY = 10
"""After one in so many recoveries the campaign goes on; that takes long."""

OWNER = Owner(host="node1", boot_id="boot1", pid=4242, start_ticks=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario(Generic[T]):
    """Something that is done while the power may go.

    Attributes
    ----------
    prepare : callable
        Makes what is durable beforehand, in a folder that is empty.
    act : callable
        Does it, in that folder, and notes what users are told.
    recover : callable
        Recovers, in a folder with what was left, and says what it found.
    judge : callable
        Says what is wrong with that, given what users had been told.
    told : tuple of str
        What they were told beforehand.
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path, Note], None]
    recover: Callable[[Path], T]
    judge: Callable[[T, Sequence[str]], Sequence[str]]
    told: tuple[str, ...] = ()


def cut_power(
    scenario: Scenario[Any],
    folder: Path,
    effort: Effort,
    *,
    deaf: Collection[str] = (),
    planted: AbstractContextManager[object] | None = None,
) -> Findings:
    """Record a scenario, and cut the power at each of its moments.

    Parameters
    ----------
    scenario : Scenario
        What is done.
    folder : Path
        Empty; best in memory, for all that is laid out there.
    effort : Effort
        How much is tried.
    deaf : collection of str
        As in `RecordingFiles`.
    planted : context manager or None
        Makes the library do something wrong while it is recorded.

    Returns
    -------
    Findings
        How much was tried, and what was wrong.
    """
    done = folder / "done"
    done.mkdir()
    scenario.prepare(done)
    disk = RecordingFiles(done, deaf=deaf)
    with files.using(disk), planted or nullcontext():
        scenario.act(done, disk.note)
    states = folder / "states"
    states.mkdir()
    return explore(
        disk.operations,
        states,
        recover=scenario.recover,
        judge=lambda outcome, notes: scenario.judge(outcome, (*scenario.told, *notes)),
        effort=effort,
        beforehand=disk.beforehand,
    )


def _nothing(folder: Path) -> None:
    """Begin with an empty disk."""


def _told(notes: Sequence[str], verb: str) -> set[int]:
    return {int(n.split()[1]) for n in notes if n.split()[0] == verb}


def _judge(outcome: Outcome, notes: Sequence[str]) -> list[str]:
    """Say which promises about checkpoints and results do not hold."""
    faults = list(outcome.faults)
    there = set(outcome.committed)
    begun, committed = _told(notes, "begun"), _told(notes, "committed")
    kept = committed - _told(notes, "deleting")
    if lost := sorted(kept - there):
        faults.append(f"checkpoints {lost} were committed and are lost")
    if extra := sorted(there - begun):
        faults.append(f"checkpoints {extra} were never begun, or deleted")
    if back := sorted(there & _told(notes, "deleted")):
        faults.append(f"checkpoints {back} were deleted and are there again")
    if outcome.published < max(_told(notes, "published"), default=0):
        faults.append(f"only {outcome.published} segments are published")
    if outcome.published > max(there, default=0):
        faults.append(f"{outcome.published} segments are published, not committed")
    return faults


def _commit(campaign: SmallCampaign, boundary: int, note: Note) -> None:
    note(f"begun {boundary}")
    checkpoint = campaign.commit(boundary)
    note(f"committed {boundary}")
    campaign.publish(checkpoint)
    note(f"published {boundary}")


def _first_commits(root: Path, note: Note) -> None:
    """Begin a campaign; commit and publish two checkpoints."""
    campaign = SmallCampaign(root)
    for boundary in (1, 2):
        _commit(campaign, boundary, note)


def _two_committed(root: Path) -> None:
    _first_commits(root, lambda text: None)


def _broken_attempt(root: Path, note: Note) -> None:
    """Give an attempt up half-way, and commit the next one with its chunks."""
    campaign = SmallCampaign(root, 2)
    note("begun 3")
    first = campaign.begin(3, attempt=1)
    campaign.write(first, lambda key: "/T/" in key)
    campaign.checkpoints.abandon(first)
    checkpoint = campaign.commit(3, attempt=2)
    note("committed 3")
    campaign.publish(checkpoint)
    note("published 3")


def _left_in_flight(root: Path) -> None:
    """Commit two; leave a third with all of its chunks and without a manifest."""
    _two_committed(root)
    campaign = SmallCampaign(root, 2)
    in_flight = campaign.begin(3)
    campaign.write(in_flight)
    campaign.add_output(in_flight)


def _takeover(root: Path, note: Note) -> None:
    """Fence the driver before off, finish what it left, and go on."""
    note("begun 3")
    campaign = SmallCampaign(root, 3)
    note("committed 3")
    campaign.publish(campaign.checkpoints.load(SIMULATION, SET, 3))
    note("published 3")


def _three_committed(root: Path) -> None:
    _two_committed(root)
    _commit(SmallCampaign(root, 2), 3, lambda text: None)


def _retention(root: Path, note: Note) -> None:
    """Delete checkpoints, and empty the trash."""
    store = SmallCampaign(root, 3).checkpoints
    for boundary in (1, 2):
        note(f"deleting {boundary}")
        store.delete(SIMULATION, SET, boundary, now_s=100.0)
        note(f"deleted {boundary}")
    store.purge_trash(200.0, older_than_s=0)


def _rotten(root: Path) -> None:
    """Commit three, the second with a copy of what the others share; one bit flips."""
    campaign = SmallCampaign(root)
    for boundary, full in ((1, False), (2, True), (3, False)):
        campaign.publish(campaign.commit(boundary, full=full))
    path = campaign.checkpoints.load(SIMULATION, SET, 3).path
    mask = path / f"state.zarr/{SET}/mask/c/0"
    data = bytearray(mask.read_bytes())
    data[20] ^= 1
    mask.chmod(0o644)
    mask.write_bytes(data)


def _repair(root: Path, note: Note) -> None:
    """Find the rot, and repair it in every checkpoint that has it."""
    store = SmallCampaign(root, 2).checkpoints
    found = store.scrub(SIMULATION, SET, 3)
    note(f"repaired {len(found.repaired)}")


def _mended(root: Path) -> tuple[int, list[str]]:
    """Return how many files are bad, and what is worse than before."""
    problems = []
    bad = 0
    for boundary, checkpoint, problem in SmallCampaign(root, 9).committed():
        bad += bool(problem)
        if checkpoint is None or (problem and "mask/c/0" not in problem):
            problems.append(f"checkpoint {boundary}: {problem}")
    return bad, problems


def _judge_mended(outcome: tuple[int, list[str]], notes: Sequence[str]) -> list[str]:
    bad, problems = outcome
    done = [f"{bad} checkpoints are bad after the repair"] if notes and bad else []
    return [*problems, *done]


def _give_wishes(root: Path, note: Note) -> None:
    """Give wishes, act on one, and set junk aside."""
    folder = root / CAMPAIGN / inbox.FOLDER
    for number in (1, 2, 3):
        taken = inbox.put(folder, PauseRequested(simulation=f"s{number}"), by="me")
        note(f"given {number}")
        if number == 2:
            note("removing 2")
            inbox.remove(folder, taken.id)
    inbox.set_aside(folder, f"{taken.id}.json")
    note("aside 3")


def _wishes(root: Path) -> tuple[list[str], list[str]]:
    """Return which wishes are found, and what is wrong."""
    folder = root / CAMPAIGN / inbox.FOLDER
    try:
        found = inbox.look(folder)
        kept = [*folder.glob(f"{inbox.JUNK}/*")]
    except (ClimorchError, OSError) as error:
        return [], [str(error)]
    named = [w.wish.simulation for w in found.wishes if hasattr(w.wish, "simulation")]
    named += ["s3"] * bool(kept)
    return named, [junk.problem for junk in found.junk]


def _judge_wishes(
    outcome: tuple[list[str], list[str]], notes: Sequence[str]
) -> list[str]:
    named, faults = outcome
    given = _told(notes, "given") - _told(notes, "removing")
    lost = {f"s{n}" for n in given} - set(named)
    return [*faults, *(f"wish {name} is lost" for name in sorted(lost))]


def _journal_path(root: Path) -> Path:
    return root / "journal.sqlite"


def _open_journal(root: Path) -> SqliteJournal:
    return SqliteJournal.open(
        _journal_path(root),
        campaign=CAMPAIGN,
        owner=OWNER,
        now_s=100.0,
        alive=lambda owner: False,
        ballast_bytes=4096,
    )


def _make_journal(root: Path, note: Note) -> None:
    """Make a journal; what SQLite itself writes is not recorded here."""
    _open_journal(root).close()
    note("made 1")


def _journal_there(root: Path) -> tuple[bool, list[str]]:
    """Return whether there is a journal; open it, or make one."""
    there = _journal_path(root).exists()
    try:
        journal = _open_journal(root)
        report = journal.verify()
        journal.close()
    except (ClimorchError, OSError) as error:
        return there, [str(error)]
    return there, [] if report.good else [str(report)]


def _judge_journal(outcome: tuple[bool, list[str]], notes: Sequence[str]) -> list[str]:
    there, faults = outcome
    lost = ["the journal is lost"] if "made 1" in notes and not there else []
    return [*faults, *lost]


def _of_checkpoints(
    prepare: Callable[[Path], None],
    act: Callable[[Path, Note], None],
    before: int,
    *,
    begun: int = 0,
) -> Scenario[Outcome]:
    count = itertools.count()
    verbs = ("begun", "committed", "published")
    told = [f"{verb} {k}" for k in range(1, before + 1) for verb in verbs]
    # Whole on the disk before anything is done: the first to look commits it.
    told += [f"begun {k}" for k in range(before + 1, begun + 1)]

    def recovered(root: Path) -> Outcome:
        return recover(root, go_on=next(count) % GO_ON_EVERY == 0)

    return Scenario(
        prepare=prepare, act=act, recover=recovered, judge=_judge, told=tuple(told)
    )


SCENARIOS: dict[str, Scenario[Any]] = {
    "first commits and results": _of_checkpoints(_nothing, _first_commits, 0),
    "a broken attempt": _of_checkpoints(_two_committed, _broken_attempt, 2),
    "takeover": _of_checkpoints(_left_in_flight, _takeover, 2, begun=3),
    "retention": _of_checkpoints(_three_committed, _retention, 3),
    "repair": Scenario(
        prepare=_rotten, act=_repair, recover=_mended, judge=_judge_mended
    ),
    "wishes": Scenario(
        prepare=_nothing, act=_give_wishes, recover=_wishes, judge=_judge_wishes
    ),
    "a new journal": Scenario(
        prepare=_nothing,
        act=_make_journal,
        recover=_journal_there,
        judge=_judge_journal,
    ),
    "archive": Scenario(
        prepare=_two_committed,
        act=archive_and_recall,
        recover=look_into_archive,
        judge=judge_archive,
    ),
}
"""By name."""
