"""What is archived and brought back while the power goes.

The archive is a folder beside the campaign, on the same recorded disk: where it is a
bucket, an object is there or not, and whoever keeps it answers for that.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from climorch.errors import ClimorchError
from climorch.storage.archive import ArchiveStore
from climorch.storage.depot import Folder
from climorch.testing.small_campaign import (
    CAMPAIGN,
    SET,
    SIMULATION,
    SmallCampaign,
    mixed,
    recover,
)

__all__ = ["Found", "archive_and_recall", "judge_archive", "look_into_archive"]

HOME = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is left of a disk and of the archive on it.

    Attributes
    ----------
    committed : tuple of int
        Boundaries that have a checkpoint on the disk.
    archived : tuple of int
        Boundaries of which the archive has a good copy.
    results : bool
        Whether it has the results.
    faults : tuple of str
        Whatever is there and is not as it was written.
    """

    committed: tuple[int, ...]
    archived: tuple[int, ...]
    results: bool
    faults: tuple[str, ...]


def _archive(root: Path) -> ArchiveStore:
    return ArchiveStore(Folder(root / HOME), CAMPAIGN)


def archive_and_recall(root: Path, note: Callable[[str], None]) -> None:
    """Archive two checkpoints, one of them twice, and results; bring one back."""
    campaign, archive = SmallCampaign(root, 2), _archive(root)
    for boundary in (1, 2, 2):
        checkpoint = campaign.checkpoints.load(SIMULATION, SET, boundary)
        archive.put_checkpoint(checkpoint)
        note(f"archived {boundary}")
    archive.put_results(campaign.results, SIMULATION, SET)
    note("results 2")
    folder = campaign.checkpoints.load(SIMULATION, SET, 1).manifest.folder
    note("deleting 1")
    campaign.checkpoints.delete(SIMULATION, SET, 1, now_s=100.0)
    archive.fetch(campaign.checkpoints.layout, 2, (SIMULATION, SET, folder))
    note("recalled 1")


def look_into_archive(root: Path) -> Found:
    """Take the disk over, and bring everything that is archived back elsewhere.

    Parameters
    ----------
    root : Path
        Folder of all campaigns.
    """
    outcome = recover(root, go_on=False)
    faults, archived = list(outcome.faults), []
    elsewhere = SmallCampaign(root / "elsewhere", 1).checkpoints
    home = root / HOME / CAMPAIGN
    for path in sorted((home / "checkpoints" / SIMULATION / SET).glob("*.zip")):
        place = (SIMULATION, SET, path.stem)
        try:
            back = _archive(root).fetch(elsewhere.layout, 1, place)
            problem = mixed(back)
        except (ClimorchError, OSError) as error:
            problem = str(error)
        else:
            archived.append(back.boundary)
        if problem:
            faults.append(f"archive {path.name}: {problem}")
    results = home / "results" / SIMULATION / f"{SET}.zip"
    if results.exists():
        faults += _of_zip(results)
    return Found(
        committed=outcome.committed,
        archived=tuple(archived),
        results=results.exists(),
        faults=tuple(faults),
    )


def _of_zip(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        return [f"archive {path.name}: {error}"]
    return [f"archive {path.name}: {bad} is bad"] if bad else []


def judge_archive(found: Found, notes: Sequence[str]) -> list[str]:
    """Say which promises about the archive do not hold.

    Parameters
    ----------
    found : Found
        What was left.
    notes : sequence of str
        What users had been told.
    """
    faults = list(found.faults)
    kept = {2} if "deleting 1" in notes and "recalled 1" not in notes else {1, 2}
    if lost := sorted(kept - set(found.committed)):
        faults.append(f"checkpoints {lost} were committed and are lost")
    told = {int(n.split()[1]) for n in notes if n.startswith("archived ")}
    if gone := sorted(told - set(found.archived)):
        faults.append(f"checkpoints {gone} were archived and are lost")
    if "results 2" in notes and not found.results:
        faults.append("results were archived and are lost")
    return faults
