"""A Dask cluster that somebody else runs: processes of their own, and a cluster."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import dask
import psutil
from distributed import LocalCluster, get_worker
from distributed.core import Status

from climorch import DaskSite
from climorch.testing.faults import until

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1000",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
}


def where(index: int) -> str:
    """Address of the worker that this runs on."""
    return str(get_worker().address)


def cluster(nodes: int, protocol: str = "inproc://", **more: Any) -> LocalCluster:
    """Make a cluster as a user would, in this process; more are settings of Dask."""
    with dask.config.set({**DaskSite.SETTINGS, **more}):
        made = LocalCluster(
            n_workers=nodes,
            threads_per_worker=2,
            processes=False,
            protocol=protocol,
            memory_limit=0,
            dashboard_address=":0",
        )
    assert made.status is Status.running
    return made


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Outside:
    """A Dask scheduler and workers that were started by hand.

    Use it as a context manager: whatever it started is killed at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "outside.log").open("ab")

    def __enter__(self) -> Outside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        started = [*self.workers, *([self.scheduler] if self.scheduler else [])]
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        until(lambda: self.left() == [], what="every process is gone")
        self._log.close()

    @property
    def address(self) -> str:
        """Where its Dask scheduler listens."""
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(
        self, *, within: Sequence[str] = (), **environment: str
    ) -> None:
        """Start a Dask scheduler at the address, perhaps within another command."""
        self.scheduler = self._start(
            within,
            "dask_scheduler",
            *("--host", "127.0.0.1", "--port", str(self.port)),
            **{**SETTINGS, **environment},
        )

    def start_worker(
        self, *arguments: str, within: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a worker with two threads, perhaps within another command."""
        worker = self._start(
            within,
            "dask_worker",
            self.address,
            *("--host", "127.0.0.1", "--nthreads", "2", "--memory-limit", "0"),
            *arguments,
            **SETTINGS,
        )
        self.workers.append(worker)
        return worker

    def kill_scheduler(self) -> None:
        """Kill the Dask scheduler with SIGKILL."""
        assert self.scheduler is not None
        self.scheduler.kill()
        self.scheduler.wait()

    def left(self) -> list[int]:
        """Processes of workers that still run, children included."""
        groups = {worker.pid for worker in self.workers}
        return [p for p in psutil.pids() if _group(p) in groups and _runs(p)]

    def wait_for_workers_to_leave(self) -> None:
        """Return once every worker has ended, as they do without a scheduler."""
        for worker in self.workers:
            until(functools.partial(_ended, worker), what="a worker ends")
        until(lambda: self.left() == [], what="no process of a worker is left")
        self.workers.clear()

    def _start(
        self,
        within: Sequence[str],
        module: str,
        *arguments: str,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *within,
                *(sys.executable, "-m", f"distributed.cli.{module}"),
                *("--no-dashboard", *arguments),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=Path(self._log.name).parent,
            start_new_session=True,
        )


def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def _runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _group(pid: int) -> int | None:
    with suppress(OSError):
        return os.getpgid(pid)
    return None
