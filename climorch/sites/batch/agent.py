"""Keeps one node of a batch job at the service of one driver after another.

Started by the job on each of its nodes, as a script of its own: it imports nothing
but the standard library, so that it is up at once and needs little. It starts a
Dask worker for each Dask scheduler that the driver announces, starts it again when
it dies, and gives the node back when no driver was there for a while. What the batch
system tells it by a signal it writes down for the driver.

    python agent.py FOLDER NODE-COMMAND...
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["Agent", "adopt", "descendants", "end_descendants", "node_name"]

# How often to look for another Dask scheduler, before one says how often.
LOOK_S = 1.0
# Assumed to be left after a warning that says no number.
GRACE_S = 30.0
# A driver that shows no life for so long will not come back: the node is given up.
PATIENCE_S = 900.0
# How long a worker that has to go may take.
LEAVE_S = 5.0
# Pause before a worker that died is started again, and the most it becomes.
AGAIN_S, LONGEST_AGAIN_S = 1.0, 60.0
# Who lived that long was well.
WELL_S = 60.0
# What was killed and is not gone by then hangs in the kernel.
END_S = 10.0
PR_SET_CHILD_SUBREAPER = 36
# Where batch systems tell a job its number.
JOB_NUMBERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


class Agent:
    """One node of a job.

    Parameters
    ----------
    folder : Path
        Where the driver is met.
    command : list of str
        Starts a worker; gets the path of a beacon and the name of the node.
    """

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self.command = command
        self.name = node_name()
        self.worker: subprocess.Popen[bytes] | None = None
        self.epoch: object = None
        self._beacon: dict[str, Any] = {}
        self._beat: object = None
        self._seen_s = time.monotonic()
        self._again_s = AGAIN_S
        self._started_s = self._may_start_s = 0.0
        self._told: set[int] = set()

    def run(self) -> int:
        """Serve until no driver is there for too long; return the exit code."""
        adopt()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._hear)
        try:
            while not self._beacon.get("over"):
                self._look()
                patience_s = float(self._beacon.get("patience_s", PATIENCE_S))
                if time.monotonic() - self._seen_s > patience_s:
                    say(f"no driver for {patience_s:.0f} s: giving the node back")
                    return 0
                self._serve()
                time.sleep(float(self._beacon.get("look_s", LOOK_S)))
            return 0
        finally:
            self._end()

    def _look(self) -> None:
        """Read the beacon; note when it changed by our own clock."""
        with contextlib.suppress(OSError, ValueError):
            read = json.loads((self.folder / "scheduler.json").read_bytes())
            if isinstance(read, dict) and read.get("beat") != self._beat:
                self._beacon, self._beat = read, read.get("beat")
                self._seen_s = time.monotonic()

    def _serve(self) -> None:
        """See to it that a worker serves the Dask scheduler that was announced."""
        epoch = self._beacon.get("epoch")
        if epoch is not None and epoch != self.epoch:
            self._end()
            self.epoch, self._may_start_s, self._again_s = epoch, 0.0, AGAIN_S
            self._told.clear()
        now_s = time.monotonic()
        if self.worker is not None and self.worker.poll() is not None:
            say(f"the worker ended with code {self.worker.returncode}")
            self._end()
            if now_s - self._started_s > WELL_S:
                self._again_s = AGAIN_S
            self._may_start_s = now_s + self._again_s
            self._again_s = min(2 * self._again_s, LONGEST_AGAIN_S)
        if self.worker is None and epoch is not None and now_s >= self._may_start_s:
            self._start()

    def _start(self) -> None:
        self._started_s = time.monotonic()
        self.worker = subprocess.Popen(
            [*self.command, str(self.folder / "scheduler.json"), self.name],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # The batch system's warning goes to all processes of a node; only we
            # heed it, and what computes goes on until its checkpoint is written.
            preexec_fn=ignore_warnings,
        )

    def _end(self) -> None:
        """End the worker and all that it has started, in whatever session."""
        worker, self.worker = self.worker, None
        if worker is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(LEAVE_S)
        end_descendants(os.getpid())
        worker.wait()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number in self._told:
            return
        self._told.add(number)
        name = signal.Signals(number).name
        # USR1 is what the job asked for itself; any other comes as it may.
        key = "warn_s" if number == signal.SIGUSR1 else "grace_s"
        left_s = float(self._beacon.get(key, GRACE_S))
        say(f"heard {name}")
        notice = {
            "node": self.name,
            "left_s": left_s,
            "recalled": number != signal.SIGUSR1,
            "why": f"the batch system takes it back ({name})",
        }
        path = self.folder / "notices" / f"{self.name}.{name}"
        with contextlib.suppress(OSError):
            path.with_suffix(".tmp").write_text(json.dumps(notice))
            path.with_suffix(".tmp").replace(path.with_name(path.name + ".json"))


def adopt() -> None:
    """Become the parent of all descendants whose own parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(process: int, spared: Collection[int] = ()) -> list[int]:
    """Return all that a process has started, and what that has; zombies too.

    Parameters
    ----------
    process : int
        Which; it is not among them.
    spared : collection of int
        Children that are left out, with all of theirs.
    """
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    waiting = [child for child in children.get(process, ()) if child not in spared]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], ())
    return found


def end_descendants(process: int, spared: Collection[int] = ()) -> None:
    """Kill all that this process has started and adopted, until nothing is left.

    Parameters
    ----------
    process : int
        This one, which has adopted what lost its parent.
    spared : collection of int
        Children that are left alone, with all of theirs.
    """
    end_s = time.monotonic() + END_S
    # Again and again: what is killed may have started something a moment before.
    while left := descendants(process, spared):
        for one in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)
        for one in left:
            # Only our own children can be waited for, and only once.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(one, os.WNOHANG)
        if time.monotonic() > end_s:
            say(f"cannot be ended: {left}")
            return
        time.sleep(0.002)


def ignore_warnings() -> None:
    """Let a process and all that it starts ignore the batch system's warnings."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def node_name() -> str:
    """Return host and job, as the driver knows them from the batch system."""
    host = os.environ.get("SLURMD_NODENAME") or os.uname().nodename.partition(".")[0]
    numbers = (os.environ.get(name) for name in JOB_NUMBERS)
    return f"{host}.{next(filter(None, numbers), os.getpid())}"


def say(text: str) -> None:
    """Write a line to the log of the job."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stdout.write(f"{now} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(Agent(Path(sys.argv[1]), sys.argv[2:]).run())
