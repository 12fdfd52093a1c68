"""A coupled campaign on a real Slurm through all that befalls it, and the time lost.

Four simulations of two coupled stages live on four nodes of a Slurm that is started for
this, in jobs of three minutes. Meanwhile one job is cancelled, one node loses its
power, one is reserved for maintenance, and the driver is killed and started again; each
as soon as the one before was got over. The simulations go on until all of that and at
least five renewals have happened, however fast the machine is. The bar: every bit that
of a run as long which nobody disturbed, and no segment committed twice. Told is what
each of them cost: how long the simulations that it struck got nowhere, and what they
computed twice.

Needs root and Debian's slurmctld, slurmd, slurm-client and munge. Takes about six
minutes; with ``--quick`` jobs of two, and three.

    uv run python benchmarks/slurm_campaign.py [--quick]
"""

from __future__ import annotations

import argparse
import functools
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from benchmarks.bench import Figures, report
from benchmarks.slurm_stops import DRIVER, Event, Stop, attributed, stops
from climorch import Campaign
from climorch.engine.session import read_records
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import Script, committed_twice, records_of
from climorch.testing.models import reference_run
from tests.slurm.mini import MiniSlurm, missing, running

__all__ = [
    "HOSTS",
    "NODES",
    "QUICK",
    "RENEWAL",
    "WHOLE",
    "Outcome",
    "Plan",
    "lengths_of",
    "measure",
    "problems_of",
]

SCRIPT = Path(__file__).parents[1] / "tests" / "slurm" / "campaign_script.py"
NAMES = "stuv"
NODES = 4
# Of the Slurm: successors start while what they succeed still computes.
HOSTS = 10
# More than any of them computes.
MOST_SEGMENTS = 5000
# For one thing to happen: a renewal comes after a walltime at most.
MOST_S = 400.0
LOOK_S = 1.0
RENEWAL = "renewal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all of it is.

    Attributes
    ----------
    work_s : float
        Seconds that each task takes, at least.
    walltime_s : float
        Of each job.
    renewals : int
        Least number of them.
    """

    work_s: float
    walltime_s: float
    renewals: int


WHOLE = Plan(work_s=0.45, walltime_s=180.0, renewals=5)
QUICK = Plan(work_s=0.4, walltime_s=120.0, renewals=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    stops : dict of str to list of Stop
        By what was done, then those of renewals.
    lengths : dict of str to int
        Simulation to the segments of each of its stages.
    problems : list of str
        Empty: it ended as if nothing had happened.
    """

    stops: dict[str, list[Stop]]
    lengths: dict[str, int]
    problems: list[str]

    @property
    def renewals(self) -> int:
        """Jobs whose simulations went to a successor before they ended."""
        return _renewals(self.stops)


def measure(folder: Path, mini: MiniSlurm, plan: Plan) -> Outcome:
    """Run the campaign and do to it what is to be done."""
    enough = folder / "enough"
    given = {
        "root": str(folder / "root"),
        "folder": str(folder / "meet"),
        "segments": MOST_SEGMENTS,
        "work_s": plan.work_s,
        "walltime_s": plan.walltime_s,
        "names": NAMES,
        "nodes": NODES,
        "enough": str(enough),
    }
    text = json.dumps(given)
    done: list[Event] = []
    with Script(SCRIPT, text) as first:
        _await(lambda: _computed(folder), "a segment of each", first)
        for name in ("scancel", "node crash", "maintenance"):
            done.append(_strike(name, mini, _newest_node(folder)))
            _await(functools.partial(_got_over, folder, done), name, first)
        done.append(Event(name=DRIVER, at_s=time.time()))
        first.send(signal.SIGKILL)
    with Script(SCRIPT, text) as second:
        _await(functools.partial(_got_over, folder, done, NODES), DRIVER, second)
        _await(
            lambda: _renewals(_stops(folder, done)) >= plan.renewals,
            f"{plan.renewals} renewals",
            second,
        )
        enough.touch()
        code, printed = second.finish(timeout_s=MOST_S)
    problems = [] if code == 0 else [f"code {code}: {printed[-2000:]}"]
    lengths = lengths_of(folder)
    problems += [f"{name} did not end early" for name in NAMES if name not in lengths]
    problems += problems_of(folder, lengths)
    return Outcome(stops=_stops(folder, done), lengths=lengths, problems=problems)


def _await(happened: Callable[[], bool], what: str, script: Script) -> None:
    """Wait for what has to happen while a campaign runs; fail once it cannot."""
    end_s = time.monotonic() + MOST_S
    while not happened():
        if not script.alive:
            raise RuntimeError(f"ended before {what}: {script.printed[-2000:]}")
        if time.monotonic() > end_s:
            raise TimeoutError(f"{what}: not within {MOST_S:g} s")
        time.sleep(LOOK_S)


def _stops(folder: Path, done: Sequence[Event]) -> dict[str, list[Stop]]:
    """Return what each event cost so far, and what renewals did."""
    found = stops(read_records(folder / "root", "c"))
    return attributed(found, done, other=RENEWAL)


def _renewals(told: Mapping[str, Sequence[Stop]]) -> int:
    """Count jobs whose simulations went to a successor before they ended."""
    return len({node for stop in told[RENEWAL] for node in stop.nodes})


def _got_over(folder: Path, done: Sequence[Event], struck: int = 1) -> bool:
    """Whether those that the newest event struck compute what is new again."""
    return len(_stops(folder, done)[done[-1].name]) >= struck


def _newest_node(folder: Path) -> str:
    """Return the node of the newest job that a simulation computes on."""
    leases = {
        record.simulation: record.nodes
        for record in records_of(folder / "root", "c")
        if isinstance(record, c.SetLease)
    }
    # What goes soon anyway would be no loss.
    return max(
        (node for nodes in leases.values() for node in nodes),
        key=lambda node: int(node.rpartition(".")[2]),
    )


def _strike(name: str, mini: MiniSlurm, node: str) -> Event:
    """Do something to a job or to its host."""
    host, _, job = node.rpartition(".")
    match name:
        case "scancel":
            mini.call("scancel", job)
        case "node crash":
            mini.crash(host)
        case _:
            mini.call(
                *("scontrol", "create", "reservation", "reservationname=m1"),
                *("user=root", "starttime=now+20", "duration=2"),
                *(f"nodes={host}", "flags=maint,ignore_jobs"),
            )
    return Event(name=name, at_s=time.time(), node=node)


def _computed(folder: Path) -> bool:
    """Whether each simulation has computed a segment."""
    found = {
        record.simulation
        for record in records_of(folder / "root", "c")
        if isinstance(record, e.SegmentFinished)
    }
    return found == set(NAMES)


def lengths_of(folder: Path) -> dict[str, int]:
    """Return where each simulation ended by its condition, in segments of a stage.

    Parameters
    ----------
    folder : Path
        With the campaign's root.
    """
    return {
        record.simulation: record.at
        for record in records_of(folder / "root", "c")
        if isinstance(record, e.RuleEvaluated) and record.told
    }


def problems_of(folder: Path, lengths: Mapping[str, int]) -> list[str]:
    """Return what is not as it must be in a campaign that ended.

    Parameters
    ----------
    folder : Path
        With its root.
    lengths : mapping of str to int
        Simulation to its segments.
    """
    campaign, found = Campaign("c", root=folder / "root"), []
    for name, segments in lengths.items():
        tree = campaign.checkpoints(name)[0] / "state.zarr"
        wanted = reference_run(name, segments=segments)
        for stage, heat in wanted.items():
            stored = xr.open_zarr(tree / stage)["heat"].to_numpy()
            if stored.tobytes() != heat.tobytes():
                found.append(f"other bits in {name}, {stage}")
    if twice := committed_twice(records_of(folder / "root", "c")):
        found.append(f"committed twice: {twice}")
    return found


def _row(name: str, struck: Sequence[Stop]) -> str:
    lost_s = [stop.lost_s for stop in struck]
    again = sum(stop.again for stop in struck)
    median_s, most_s = statistics.median(lost_s), max(lost_s)
    return f"{name:16} {len(struck):6d} {median_s:10.1f} {most_s:9.1f} {again:15d}"


def _told(outcome: Outcome) -> Figures:
    """Print the table; return its figures."""
    head = f"{'event':16} {'struck':>6} {'median, s':>10} {'most, s':>9}"
    print(f"{head} {'computed twice':>15}")
    figures: Figures = {"renewals": outcome.renewals}
    figures["segments, fewest"] = min(outcome.lengths.values(), default=0)
    for name, struck in outcome.stops.items():
        if struck:
            print(_row(name, struck))
            lost_s = [stop.lost_s for stop in struck]
            figures[f"{name}: stops"] = len(struck)
            figures[f"{name}: median lost, s"] = statistics.median(lost_s)
            figures[f"{name}: most lost, s"] = max(lost_s)
            figures[f"{name}: segments again"] = sum(stop.again for stop in struck)
    for problem in outcome.problems:
        print(problem)
    return {**figures, "not as it must be": len(outcome.problems)}


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
    with running(nodes=HOSTS) as mini, tempfile.TemporaryDirectory() as scratch:
        outcome = measure(Path(scratch), mini, QUICK if given.quick else WHOLE)
        # Before all is deleted: there are many small files.
        seconds = round(time.monotonic() - begin_s, 1)
        report("slurm_campaign", {**_told(outcome), "seconds": seconds})
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
