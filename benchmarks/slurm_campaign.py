"""A coupled campaign on a real Slurm through all that befalls it, and the time lost.

Four simulations of two coupled stages live on four nodes of a Slurm that is started for
this, in jobs of three minutes. Meanwhile one job is cancelled, one node loses its
power, one is reserved for maintenance, and the driver is killed and started again. The
bar: at least five renewals, every bit that of a run which nobody disturbed, and no
segment committed twice. Told is what each of them cost: how long the simulations that
it struck got nowhere, and what they computed twice.

Needs root and Debian's slurmctld, slurmd, slurm-client and munge. Takes about ten
minutes; with ``--quick`` jobs of two, and four.

    uv run python benchmarks/slurm_campaign.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from benchmarks.bench import Figures, report
from benchmarks.slurm_stops import DRIVER, Event, Stop, attributed, stops
from climorch import Campaign
from climorch.engine.session import read_records
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import Script, committed_twice, records_of, until
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
    "measure",
    "problems_of",
]

SCRIPT = Path(__file__).parents[1] / "tests" / "slurm" / "campaign_script.py"
NAMES = "stuv"
NODES = 4
# Of the Slurm: successors start while what they succeed still computes.
HOSTS = 10
MOST_S = 900.0
RENEWAL = "renewal"


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
    renewals : int
        Least number of them.
    """

    segments: int
    work_s: float
    walltime_s: float
    first_s: float
    every_s: float
    renewals: int


WHOLE = Plan(
    segments=420,
    work_s=0.45,
    walltime_s=180.0,
    first_s=45.0,
    every_s=75.0,
    renewals=5,
)
# Long enough for the jobs that came in place of those that were struck to end.
QUICK = Plan(
    segments=165,
    work_s=0.4,
    walltime_s=120.0,
    first_s=15.0,
    every_s=28.0,
    renewals=1,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    stops : dict of str to list of Stop
        By what was done, then those of renewals.
    problems : list of str
        Empty: it ended as if nothing had happened.
    """

    stops: dict[str, list[Stop]]
    problems: list[str]

    @property
    def renewals(self) -> int:
        """Jobs whose simulations went to a successor before they ended."""
        return len({node for stop in self.stops[RENEWAL] for node in stop.nodes})


def measure(folder: Path, mini: MiniSlurm, plan: Plan) -> Outcome:
    """Run the campaign and do to it what is to be done."""
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
            done.append(_strike(name, mini, _newest_node(folder)))
        _sleep_until(begin_s + plan.first_s + len(done) * plan.every_s)
        done.append(Event(name=DRIVER, at_s=time.time()))
        first.send(signal.SIGKILL)
    with Script(SCRIPT, text) as second:
        code, printed = second.finish(timeout_s=MOST_S)
    problems = [] if code == 0 else [f"code {code}: {printed[-2000:]}"]
    problems += problems_of(folder, plan)
    found = stops(read_records(folder / "root", "c"))
    told = attributed(found, done, other=RENEWAL)
    problems += [
        f"{event.name} struck nobody" for event in done if not told[event.name]
    ]
    outcome = Outcome(stops=told, problems=problems)
    if outcome.renewals < plan.renewals:
        problems.append(f"{outcome.renewals} renewals, not {plan.renewals}")
    return outcome


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


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.time()))


def problems_of(folder: Path, plan: Plan) -> list[str]:
    """Return what is not as it must be in a campaign that ended.

    Parameters
    ----------
    folder : Path
        With its root.
    plan : Plan
        By which it was run.
    """
    campaign, found = Campaign("c", root=folder / "root"), []
    for name in NAMES:
        tree = campaign.checkpoints(name)[0] / "state.zarr"
        wanted = reference_run(name, segments=plan.segments)
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
