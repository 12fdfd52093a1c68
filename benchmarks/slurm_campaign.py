"""A coupled campaign on a real Slurm through all that befalls it, and the time lost.

Four simulations of two coupled stages live on four nodes of a Slurm that is started for
this, in jobs of three minutes. Meanwhile one job is cancelled, one node loses its
power, one is reserved for maintenance, and the driver is killed and started again. The
bar: at least five renewals, every bit that of a run which nobody disturbed, and no
segment committed twice. Reported is for each event how long it was until the
simulations that it struck computed a segment again, and what was computed twice.

Needs root and Debian's slurmctld, slurmd, slurm-client and munge. Takes about eight
minutes; with ``--quick`` jobs of a minute, and three.

    uv run python benchmarks/slurm_campaign.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from benchmarks.bench import Figures, report
from climorch import Campaign
from climorch.engine.session import read_records
from climorch.model import events as e
from climorch.testing.faults import Script, committed_twice, records_of, until
from climorch.testing.models import reference_run
from tests.slurm.mini import MiniSlurm, missing

__all__ = ["Event", "Plan", "measure"]

SCRIPT = Path(__file__).parents[1] / "tests" / "slurm" / "campaign_script.py"
NAMES = "stuv"
NODES = 4
MOST_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long all of it is.

    Attributes
    ----------
    segments : int
        Of each stage.
    work_s : float
        Seconds that each of its tasks takes, at least.
    walltime_s : float
        Of each job.
    first_s, every_s : float
        When the first event comes, and the next ones.
    """

    segments: int
    work_s: float
    walltime_s: float
    first_s: float
    every_s: float


WHOLE = Plan(segments=420, work_s=0.45, walltime_s=180.0, first_s=45.0, every_s=75.0)
QUICK = Plan(segments=150, work_s=0.4, walltime_s=60.0, first_s=25.0, every_s=30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was done to the campaign.

    Attributes
    ----------
    name : str
        What.
    at_s : float
        UTC seconds.
    silent_s : float
        Longest time that a simulation which was struck did not finish a segment, less
        what it takes without an event.
    again : int
        Segments that were computed twice for it.
    """

    name: str
    at_s: float
    silent_s: float = 0.0
    again: int = 0


@contextmanager
def slurm() -> Iterator[MiniSlurm]:
    """Start a Slurm; leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    mini = MiniSlurm(folder, nodes=NODES + 1)
    os.environ.update(mini.environment)
    try:
        mini.up()
        yield mini
    finally:
        mini.down()
        shutil.rmtree(folder)


def measure(folder: Path, mini: MiniSlurm, plan: Plan) -> tuple[list[Event], list[str]]:
    """Run the campaign and do to it what is to be done.

    Returns
    -------
    events : list of Event
        In order.
    problems : list of str
        Empty: it ended as if nothing had happened.
    """
    given = {
        "root": str(folder / "root"),
        "folder": str(folder / "meet"),
        "segments": plan.segments,
        "work_s": plan.work_s,
        "walltime_s": plan.walltime_s,
        "names": NAMES,
        "nodes": NODES,
    }
    text = json.dumps(given)
    done: list[Event] = []
    with Script(SCRIPT, text) as first:
        until(lambda: _computed(folder), what="a segment of each", timeout_s=120)
        begin_s = time.time()
        for name in ("scancel", "node crash", "maintenance"):
            _sleep_until(begin_s + plan.first_s + len(done) * plan.every_s)
            done.append(Event(name=name, at_s=time.time()))
            _strike(name, mini)
        _sleep_until(begin_s + plan.first_s + len(done) * plan.every_s)
        done.append(Event(name="driver killed", at_s=time.time()))
        first.send(signal.SIGKILL)
    with Script(SCRIPT, text) as second:
        code, printed = second.finish(timeout_s=MOST_S)
    problems = [] if code == 0 else [f"code {code}: {printed[-2000:]}"]
    problems += _problems(folder, plan)
    return _costs(folder, done), problems


def _strike(name: str, mini: MiniSlurm) -> None:
    told = mini.call("squeue", "-h", "-t", "R", "-o", "%A %N").split()
    jobs = dict(zip(told[::2], told[1::2], strict=True))
    match name:
        case "scancel":
            mini.call("scancel", min(jobs, key=int))
        case "node crash":
            mini.crash(jobs[max(jobs, key=int)])
        case _:
            mini.call(
                *("scontrol", "create", "reservation", "reservationname=m1"),
                *("user=root", "starttime=now+20", "duration=10"),
                *(f"nodes={jobs[min(jobs, key=int)]}", "flags=maint,ignore_jobs"),
            )


def _computed(folder: Path) -> bool:
    """Whether each simulation has computed a segment."""
    found = {
        record.simulation
        for record in records_of(folder / "root", "c")
        if isinstance(record, e.SegmentFinished)
    }
    return found == set(NAMES)


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.time()))


def _problems(folder: Path, plan: Plan) -> list[str]:
    """Return what is not as it must be."""
    campaign, found = Campaign("c", root=folder / "root"), []
    for name in NAMES:
        tree = campaign.checkpoints(name)[0] / "state.zarr"
        wanted = reference_run(name, segments=plan.segments)
        for stage, heat in wanted.items():
            stored: npt.NDArray[np.float64] = xr.open_zarr(tree / stage)["heat"].values
            if stored.tobytes() != heat.tobytes():
                found.append(f"other bits in {name}, {stage}")
    if twice := committed_twice(records_of(folder / "root", "c")):
        found.append(f"committed twice: {twice}")
    return found


def _costs(folder: Path, done: list[Event]) -> list[Event]:
    """Say what each event cost, from the journal."""
    ends: dict[str, list[float]] = {name: [] for name in NAMES}
    seen: set[tuple[str, str, int]] = set()
    again_s: list[float] = []
    for record, at_s in read_records(folder / "root", "c"):
        if isinstance(record, e.SegmentFinished):
            ends[record.simulation].append(at_s)
            key = (record.simulation, record.stage, record.segment)
            if key in seen:
                again_s.append(at_s)
            seen.add(key)
    until_s = [event.at_s for event in done[1:]] + [time.time()]
    found = []
    for event, next_s in zip(done, until_s, strict=True):
        silent_s = 0.0
        for times in ends.values():
            gaps = np.diff(times)
            usual_s = float(np.median(gaps))
            struck = [
                float(gap) - usual_s
                for begin_s, gap in zip(times, gaps, strict=False)
                if event.at_s <= begin_s + gap and begin_s < next_s
            ]
            silent_s = max(silent_s, max(struck, default=0.0))
        again = sum(event.at_s <= at_s < next_s for at_s in again_s)
        found.append(
            Event(name=event.name, at_s=event.at_s, silent_s=silent_s, again=again)
        )
    return found


def renewals(mini: MiniSlurm) -> int:
    """Count the jobs that were asked for beyond the first ones and those lost."""
    told = mini.call("squeue", "-h", "--states=all", "--name=c", "-o", "%A")
    # One was cancelled, one lost its node.
    return len(told.split()) - NODES - 2


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    lacking = missing()
    if lacking:
        print(f"no Slurm here, nothing was measured: {', '.join(lacking)} missing")
        return 0
    begin_s = time.monotonic()
    with slurm() as mini, tempfile.TemporaryDirectory() as scratch:
        events, problems = measure(Path(scratch), mini, QUICK if given.quick else WHOLE)
        renewed = renewals(mini)
    print(f"{'event':16} {'silent, s':>10} {'computed twice':>15}")
    for event in events:
        print(f"{event.name:16} {event.silent_s:10.1f} {event.again:15d}")
    for problem in problems:
        print(problem)
    figures: Figures = {
        "renewals": renewed,
        "not as it must be": len(problems),
        "silent, median, s": statistics.median(event.silent_s for event in events),
        "seconds": round(time.monotonic() - begin_s, 1),
    }
    report("slurm_campaign", figures)
    return 0 if not problems and renewed >= 5 else 1


if __name__ == "__main__":
    sys.exit(main())
