"""Whether the rules of backfill give the published averages on real workloads.

Replays a trace in the Standard Workload Format, node by node, under one rule. The bar:
the mean bounded slowdown is within 3 % (SJBF: 5 %) of what was published or found by
an independent replay, where there is such a figure; 202,871 jobs would take at most
30 s, reading included (conservative: reported); the process stays below 1 GB. Without
a file: every trace in the folder named by CLIMORCH_TRACES under every rule, and the
order of the rules has to hold. Where that is not set: a synthetic workload, the order
of the rules, and 3,600 jobs/s under every rule. With ``--quick`` at most the first
30,000 jobs of a trace, or a shorter synthetic one. Time is CPU time of the process, so
that other work on the machine does not count.

    uv run python benchmarks/swf_replay.py [FILE --policy easy] [--clairvoyant]
                                           [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from climorch.forecast.swf import Jobs, read_swf
from climorch.policy.backfill import RULES
from climorch.twin.swf_replay import replay

RESULTS = Path(__file__).parent / "results"
RATE_BAR_PER_S = 202_871 / 30.0
SYNTHETIC_RATE_BAR_PER_S = 3600.0
MEMORY_BAR_BYTES = 10**9
# Reservations at once under conservative: more cost the square of a long queue.
DEPTH = 100
QUICK_JOBS = 30_000
# Worst first, by mean bounded slowdown; conservative lies at different places.
ORDER = ("fcfs", "easy", "sjbf")

Key = tuple[str, bool]

# Mean bounded slowdown by trace, rule and whether it is clairvoyant. KTH: published,
# Gaussier et al. (2015), SC'15, article 64. HPC2N: an independent replay, unpublished.
EXPECTED: Mapping[str, Mapping[Key, float]] = MappingProxyType(
    {
        "KTH-SP2-1996-2": {
            ("easy", False): 92.58,
            ("easy", True): 71.72,
            ("sjbf", False): 69.41,
            ("sjbf", True): 49.85,
        },
        "HPC2N-2002-2.2-cln": {
            ("easy", False): 87.70,
            ("easy", True): 77.93,
            ("sjbf", False): 83.42,
            ("sjbf", True): 64.16,
        },
    }
)
TOLERANCE = MappingProxyType({"easy": 0.03, "sjbf": 0.05})


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Jobs with a name.

    Attributes
    ----------
    name : str
        Of the file, without its endings.
    jobs : Jobs
        Its jobs.
    read_s : float
        CPU seconds that reading took.
    whole : bool
        Whether these are all jobs that it has.
    """

    name: str
    jobs: Jobs
    read_s: float
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one replay gave.

    Attributes
    ----------
    trace, policy : str
        What was replayed, by which rule.
    clairvoyant : bool
        Whether it knew the run times.
    jobs : int
        How many.
    slowdown, utilisation, wait_s, cpu_s, rate_per_s : float
        Mean bounded slowdown; share of processors used; mean wait; CPU time of reading
        and replay; jobs in a CPU second.
    expected, margin : float
        The figure compared with and tolerance over deviation; NaN where there is none.
    """

    trace: str
    policy: str
    clairvoyant: bool
    jobs: int
    slowdown: float
    utilisation: float
    wait_s: float
    cpu_s: float
    rate_per_s: float
    expected: float
    margin: float


def load(path: Path, *, quick: bool) -> Workload:
    """Read a trace; quick: its first jobs, if it has very many."""
    begin = time.process_time()
    jobs = read_swf(path)
    read_s = time.process_time() - begin
    name = path.name.removesuffix(".gz").removesuffix(".swf")
    if not quick or len(jobs) <= QUICK_JOBS:
        return Workload(name=name, jobs=jobs, read_s=read_s)
    first = Jobs(
        number=jobs.number[:QUICK_JOBS],
        submit_s=jobs.submit_s[:QUICK_JOBS],
        run_s=jobs.run_s[:QUICK_JOBS],
        request_s=jobs.request_s[:QUICK_JOBS],
        processors=jobs.processors[:QUICK_JOBS],
        machine=jobs.machine,
    )
    share = QUICK_JOBS / len(jobs)
    return Workload(name=name, jobs=first, read_s=read_s * share, whole=False)


def synthetic(count: int, machine: int = 128, seed: int = 20261126) -> Workload:
    """Make a workload that keeps a machine busy: many short, narrow jobs by day.

    Sizes are mostly powers of two, run times log-normal and longer for wide jobs,
    requests round numbers above them, arrivals denser by day; offered load 0.9.
    """
    rng = np.random.default_rng(seed)
    width = 2 ** rng.integers(0, int(math.log2(machine)), count)
    odd = rng.random(count) < 0.25
    width = np.where(odd, rng.integers(1, machine // 2, count), width)
    run_s = np.exp(rng.normal(6.5 + 0.25 * np.log2(width), 1.6)).astype(np.int64)
    run_s = np.clip(run_s, 1, 86_400)
    menu_s = np.array([300, 900, 3600, 7200, 14_400, 28_800, 43_200, 86_400])
    factor = 1.0 + rng.exponential(2.0, count)
    at = np.minimum(np.searchsorted(menu_s, run_s * factor), len(menu_s) - 1)
    load_s = float((run_s * width).sum()) / machine / 0.9
    even = np.sort(rng.random(count)) * load_s
    # A day of 86,400 s with most arrivals at noon; monotone, so order is kept.
    day_s = 86_400.0 / (2.0 * math.pi)
    submit_s = (even + 0.8 * day_s * np.sin(even / day_s)).astype(np.int64)
    jobs = Jobs(
        number=np.arange(1, count + 1),
        submit_s=submit_s,
        run_s=run_s,
        request_s=menu_s[at],
        processors=width,
        machine=machine,
    )
    return Workload(name="synthetic", jobs=jobs, read_s=0.0)


def measure(workload: Workload, policy: str, *, clairvoyant: bool) -> Row:
    """Replay a workload, and check that every job ran once and as it should."""
    jobs = workload.jobs
    begin = time.process_time()
    found = replay(jobs, policy=policy, clairvoyant=clairvoyant, depth=DEPTH)
    cpu_s = time.process_time() - begin + workload.read_s
    if (found.wait_s < 0).any() or busiest(jobs, found.start_s) > jobs.machine:
        sys.exit(
            f"{workload.name}, {policy}: a job before its time, or too many at once"
        )
    known = EXPECTED.get(workload.name, {}) if workload.whole else {}
    expected = known.get((policy, clairvoyant), math.nan)
    slowdown = found.mean_bounded_slowdown
    deviation = abs(slowdown / expected - 1.0)
    return Row(
        trace=workload.name,
        policy=policy,
        clairvoyant=clairvoyant,
        jobs=len(jobs),
        slowdown=slowdown,
        utilisation=found.utilisation,
        wait_s=found.mean_wait_s,
        cpu_s=cpu_s,
        rate_per_s=len(jobs) / cpu_s,
        expected=expected,
        margin=TOLERANCE.get(policy, math.nan) / max(deviation, 1e-6),
    )


def busiest(
    jobs: Jobs, start_s: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> int:
    """Count the processors in use in the busiest second, ends before starts."""
    times = np.concatenate([start_s + jobs.run_s, start_s])
    change = np.concatenate([-jobs.processors, jobs.processors])
    return int(np.cumsum(change[np.lexsort((change, times))]).max())


def broken_order(rows: Sequence[Row]) -> Iterator[str]:
    """Find rules that come in another order than they should."""
    found = {(row.policy, row.clairvoyant): row.slowdown for row in rows}
    for known in (False, True):
        for worse, better in itertools.pairwise(ORDER):
            if not found[worse, known] > found[better, known]:
                yield f"{rows[0].trace}: {better} is not better than {worse}"
    # No law: on other workloads a rule may gain by wrong requests.
    for policy in {row.policy for row in rows if not math.isnan(row.expected)}:
        if not found[policy, False] > found[policy, True]:
            yield f"{rows[0].trace}: {policy} is not better clairvoyant"


def traces(path: Path | None, *, quick: bool) -> Iterator[Workload]:
    """Read the trace asked for, or all that are found, or make one."""
    folder = os.environ.get("CLIMORCH_TRACES")
    if path is not None:
        yield load(path, quick=quick)
    elif folder:
        found = sorted([*Path(folder).glob("*.swf"), *Path(folder).glob("*.swf.gz")])
        if not found:
            sys.exit(f"CLIMORCH_TRACES={folder} holds no .swf or .swf.gz")
        for trace in found:
            yield load(trace, quick=quick)
    else:
        print(
            "CLIMORCH_TRACES is not set: NO REAL TRACE is replayed, a synthetic one is"
        )
        yield synthetic(6_000 if quick else 20_000)


def show(row: Row) -> None:
    """Print a line of the table."""
    name = row.policy + (" clairvoyant" if row.clairvoyant else "")
    expected = "" if math.isnan(row.expected) else f"{row.expected:.2f}"
    print(
        f"{row.trace:20} {name:24} {row.jobs:8,} {row.slowdown:10.2f} "
        f"{expected:>10} {row.utilisation:8.4f} {row.wait_s:10,.0f} "
        f"{row.cpu_s:8.2f} {row.rate_per_s:10,.0f}",
        flush=True,
    )


def written(row: Row) -> dict[str, float | int | str | None]:
    """Return a row as JSON has it, which knows no NaN."""
    values = dataclasses.asdict(row).items()
    return {name: None if value != value else value for name, value in values}


def judged(rows: Sequence[Row], faults: Sequence[str]) -> float:
    """Print the bar and the smallest figure over its bar; return that one."""
    made = any(row.trace == "synthetic" for row in rows)
    rate = SYNTHETIC_RATE_BAR_PER_S if made else RATE_BAR_PER_S
    memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    slowest = min(
        (row.rate_per_s for row in rows if made or row.policy != "conservative"),
        default=math.inf,
    )
    margins = [row.margin for row in rows if not math.isnan(row.margin)]
    margin = (
        0.0
        if faults
        else min([*margins, slowest / rate, MEMORY_BAR_BYTES / memory_bytes])
    )
    told = {
        "rows": [written(row) for row in rows],
        "faults": list(faults),
        "peak_memory_bytes": memory_bytes,
        "slowest_per_s": slowest,
        "rate_bar_per_s": rate,
        "margin": margin,
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "swf_replay.json").write_text(json.dumps(told, indent=2) + "\n")
    for fault in faults:
        print(fault)
    print(f"peak memory {memory_bytes / 1e6:,.0f} MB, slowest {slowest:,.0f} jobs/s")
    print(f"bar: within 3 % (SJBF 5 %) of what is expected, {rate:,.0f} jobs/s, < 1 GB")
    print(f"the smallest of these over its bar, 0 for a broken order: {margin:.2f}")
    return margin


def main() -> int:
    """Replay, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a trace; by default all")
    parser.add_argument("--policy", choices=sorted(RULES), default="easy")
    parser.add_argument("--clairvoyant", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer jobs")
    asked = parser.parse_args()
    rows: list[Row] = []
    faults: list[str] = []
    print(
        f"{'trace':20} {'rule':24} {'jobs':>8} {'slowdown':>10} {'expected':>10} "
        f"{'used':>8} {'wait s':>10} {'CPU s':>8} {'jobs/s':>10}"
    )
    for workload in traces(asked.file, quick=asked.quick):
        if asked.file is not None:
            wanted: list[Key] = [(asked.policy, asked.clairvoyant)]
        else:
            wanted = [(policy, known) for policy in RULES for known in (False, True)]
        here = []
        for policy, known in wanted:
            here.append(measure(workload, policy, clairvoyant=known))
            show(here[-1])
        if asked.file is None:
            faults.extend(broken_order(here))
        rows.extend(here)
    margin = judged(rows, faults)
    return 0 if margin >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
