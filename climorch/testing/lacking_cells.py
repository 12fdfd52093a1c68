"""Campaigns on storage that lacks something, killed once, and what came of them.

One cell asks the probe about the storage, runs a small campaign in processes of its
own, kills its driver once results are published, lets the next one go on to the end,
and looks at what is there then. Meanwhile this process reads the journal, as users do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from climorch.model import events as e
from climorch.storage.baton import has_baton
from climorch.testing.faults import (
    committed_twice,
    records_of,
    until,
    until_record,
)
from climorch.testing.lacking import LACKS, Lack, LackingStorage
from climorch.testing.trouble_campaign import NAME, SIMULATIONS
from climorch.testing.trouble_cells import differing, script_of

__all__ = ["Managed", "try_lack"]

SEGMENTS, WORK_S = 8, 0.05
PROBE = """
import json, sys
from climorch.storage.probe import probe
print(json.dumps(probe(sys.argv[1], size_bytes=2**20, files=5).advice))
"""


@dataclass(slots=True, kw_only=True)
class Managed:
    """What a cell has shown.

    Attributes
    ----------
    name : str
        Of the lack.
    problems : list of str
        All that is not as it must be; none if all is well.
    touched : int
        Operations that met the lack.
    linked : int
        Files of checkpoints that are hard links.
    took_s : float
        From the start of the second driver to its end.
    """

    name: str
    problems: list[str] = field(default_factory=list)
    touched: int = 0
    linked: int = 0
    took_s: float = 0.0


def try_lack(
    folder: Path, name: str, library: Path, *, segments: int = SEGMENTS
) -> Managed:
    """Let a campaign manage with one lack and tell what came of it.

    Parameters
    ----------
    folder : Path
        Empty.
    name : str
        One of `LACKS`.
    library : Path
        `lacking.c`, from `climorch.testing.preload.build`.
    segments : int
        Of each stage.

    Raises
    ------
    TimeoutError
        If it makes no progress.
    NotFoundError
        If nothing met the lack.
    """
    lack, root, seen = LACKS[name], folder / "root", Managed(name=name)
    root.mkdir()
    with LackingStorage(folder / "control", root, lack) as storage:
        environment = storage.environment(library)
        script = partial(script_of, root, environment, segments=segments, work_s=WORK_S)
        seen.problems += _untold(_advice(root, environment), lack)
        with script() as killed:
            until_record(root, NAME, e.ResultsPublished, count=2, timeout_s=120.0)
            killed.send(signal.SIGKILL)
            killed.finish()
        begin_s = time.monotonic()
        with script() as driver:
            status, printed = driver.finish(timeout_s=240.0)
            seen.took_s = time.monotonic() - begin_s
            if status:
                seen.problems.append(f"exit status {status}: {printed[-2000:]}")
            until(lambda: not driver.orphans(), what="no process is left")
        seen.touched = storage.touched
    seen.linked = _linked(root / NAME)
    seen.problems += _judged(root, lack, segments, seen)
    return seen


def _advice(root: Path, environment: Mapping[str, str]) -> list[str]:
    """Ask the probe, in a process that meets the lack."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(root)],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, **environment},
    )
    return [str(line) for line in json.loads(done.stdout)]


def _untold(advice: list[str], lack: Lack) -> Iterator[str]:
    for wanted in lack.advice:
        if not any(line.startswith(wanted) for line in advice):
            yield f"the probe does not say that {wanted!r}, but {advice}"


def _linked(campaign: Path) -> int:
    files = (p for p in (campaign / "checkpoints").rglob("*") if p.is_file())
    return sum(p.stat().st_nlink > 1 for p in files)


def _judged(root: Path, lack: Lack, segments: int, seen: Managed) -> Iterator[str]:
    """Compare with what the model gives; look at what is on the disk."""
    for simulation in SIMULATIONS:
        yield from differing(root / NAME, simulation, segments)
    if twice := committed_twice(records_of(root, NAME)):
        yield f"committed twice: {twice}"
    # Where there are hard links they are used, so to have none makes a difference.
    if (seen.linked > 0) != lack.links:
        yield f"{seen.linked} files are linked"
    if has_baton(root / NAME / "journal.sqlite") != (not lack.locks):
        yield "there is a baton where there are locks, or none where there are none"
