"""The README's main job: how long it takes, twice, and what orchestration costs.

Runs ``examples/coupled_ensemble.py`` as a user would, one node killed on purpose,
and once more when all is done. Orchestration is all CPU time of the driver's
process (Dask's scheduler among it) after its imports; compute is that of the
threads of the nodes in which steps run.

The bar: all in 120 s and again in 10 s, orchestration below a quarter of the
compute. With ``--quick`` one member only; its bar is a half of its compute, since
what a campaign costs once weighs more in so small a one.

    uv run python benchmarks/main_job.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.bench import RESULTS, Figures, report

ROOT = Path(__file__).resolve().parents[1]
JOB = ROOT / "examples" / "coupled_ensemble.py"
WALL_S, AGAIN_S = 120.0, 10.0
SHARE = {False: 0.25, True: 0.5}


def run(root: Path, *options: str) -> Figures:
    """Run the job once and look at its processes while it runs."""
    begin = time.monotonic()
    with (root.parent / "log.txt").open("a") as log:
        job = psutil.Popen(
            [sys.executable, str(JOB), "--root", str(root), *options],
            stdout=log,
            stderr=log,
        )
    threads: dict[tuple[int, int], float] = {}
    while job.poll() is None:
        with contextlib.suppress(psutil.Error):
            for process in [job, *job.children(recursive=True)]:
                threads |= cpu_of(process)
        time.sleep(0.5)
    if job.returncode:
        sys.exit((root.parent / "log.txt").read_text()[-2000:])
    return {
        "wall_s": time.monotonic() - begin,
        "driver_cpu_s": sum(s for (pid, _), s in threads.items() if pid == job.pid),
        # The first thread of a node is its event loop.
        "compute_cpu_s": sum(
            s for (pid, tid), s in threads.items() if job.pid != pid != tid
        ),
    }


def cpu_of(process: psutil.Process) -> dict[tuple[int, int], float]:
    """Return the CPU seconds of each thread of a process."""
    try:
        return {
            (process.pid, thread.id): thread.user_time + thread.system_time
            for thread in process.threads()
        }
    except psutil.Error:
        return {}


def imports_s() -> float:
    """Return the CPU seconds that importing the library takes."""
    code = "import climorch, time; print(time.process_time())"
    command = [sys.executable, "-c", code]
    return min(float(subprocess.check_output(command, cwd=ROOT)) for _ in range(2))


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one member")
    quick = parser.parse_args().quick
    options = ("--members", "1") if quick else ()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        first = run(Path(folder, "root"), *options)
        again = run(Path(folder, "root"), *options)
    orchestration_s = float(first["driver_cpu_s"]) - imports_s()
    share = orchestration_s / float(first["compute_cpu_s"])
    figures: Figures = {
        **first,
        "again_wall_s": again["wall_s"],
        "orchestration_cpu_s": orchestration_s,
        "share": share,
    }
    report("main_job", figures)
    margins = [SHARE[quick] / share]
    if not quick:
        margins += [
            WALL_S / float(first["wall_s"]),
            AGAIN_S / float(again["wall_s"]),
        ]
    print(
        f"bar: orchestration < {SHARE[quick]:.0%} of the compute"
        + ("" if quick else f", {WALL_S:.0f} s, again {AGAIN_S:.0f} s")
    )
    print(
        f"orchestration {share:.0%} of the compute, {first['wall_s']:.0f} s, again "
        f"{again['wall_s']:.1f} s; smallest margin {min(margins):.2f} (>= 1.00 holds)"
    )
    return 0 if min(margins) >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
