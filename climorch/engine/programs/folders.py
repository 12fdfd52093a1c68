"""The folders in which programs run: one for each attempt at a segment.

Two runs never share one, so a program that is thought dead writes beside its
successor. What a failed one has left stays as evidence, the newest few of a stage. What
left early with restart files says so, and an attempt that is given the same goes on
from there.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from climorch.engine.programs.restarts import copy, hash_file

__all__ = [
    "CHECKPOINT_NOTE",
    "FAILURE_NOTE",
    "note_checkpoint",
    "own_folder",
    "take_up",
]

CHECKPOINT_NOTE = "CHECKPOINTED.json"
FAILURE_NOTE = "FAILED.txt"
# A note names a few files: what is longer is none.
MOST_BYTES = 65_536


def own_folder(wanted: Path, keep_failed: int) -> Path:
    """Make a folder that nobody else has; remove what old runs have left.

    Parameters
    ----------
    wanted : Path
        Its name; a number is added where one is there already: Dask may compute a
        segment again within one attempt.
    keep_failed : int
        Other folders beside it that stay, the newest ones.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    left = sorted(wanted.parent.iterdir(), key=_age)
    for old in left[: max(0, len(left) - keep_failed)]:
        shutil.rmtree(old, ignore_errors=True)
    folder, number = wanted, 0
    while True:
        try:
            folder.mkdir(mode=0o755)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}~{number}")
        else:
            return folder


def note_checkpoint(folder: Path, digest: str, restart: Mapping[str, str]) -> None:
    """Note that a program left early, and which files it goes on from.

    Parameters
    ----------
    folder : Path
        Where it ran.
    digest : str
        Of all that it was given at the beginning of the segment.
    restart : mapping of str to str
        Its restart files, as written, to as read.
    """
    files = {
        written: [read, hash_file(folder / written)]
        for written, read in restart.items()
    }
    text = json.dumps({"digest": digest, "files": files})
    beside = folder / f"{CHECKPOINT_NOTE}.tmp"
    beside.write_text(text)
    beside.replace(folder / CHECKPOINT_NOTE)


def take_up(folder: Path, digest: str, restart: Mapping[str, str]) -> Path | None:
    """Bring the newest restart files of an earlier run of the same segment here.

    Parameters
    ----------
    folder : Path
        Of this run.
    digest, restart
        As for `note_checkpoint`: only what was given the same is taken up.

    Returns
    -------
    Path or None
        Where they came from; None: there are none, or they are not what was noted.
    """
    segment = folder.name.partition("-")[0]
    others = [p for p in folder.parent.glob(f"{segment}-*") if p != folder]
    for other in sorted(others, key=_age, reverse=True):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if _fits(other, digest, restart):
                for written, read in restart.items():
                    copy(other / written, folder / read)
                return other
    return None


def _fits(other: Path, digest: str, restart: Mapping[str, str]) -> bool:
    with (other / CHECKPOINT_NOTE).open("rb") as file:
        told = json.loads(file.read(MOST_BYTES))
    files = {written: [read] for written, read in restart.items()}
    return bool(
        told["digest"] == digest
        and {written: noted[:1] for written, noted in told["files"].items()} == files
        and all(
            hash_file(other / written) == noted[1]
            for written, noted in told["files"].items()
        )
    )


def _age(folder: Path) -> tuple[int, str]:
    try:
        return folder.stat().st_mtime_ns, folder.name
    except FileNotFoundError:
        return 0, folder.name
