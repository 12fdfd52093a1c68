"""A Dask cluster whose nodes have networks of their own, which can be cut.

Each node is a nanny and its worker in a network namespace that hangs on one bridge, as
a machine hangs on a switch. A node that is cut off runs on: nobody reaches it, and its
packets are lost without a word. Who ends is started again, as an outside supervisor
does it. Linux, as root, with ``ip``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from climorch.sites.settings import DASK_SETTINGS

__all__ = ["Namespaces"]

PORT = 8786
_LOOK_S = 0.2


class Namespaces:
    """Nodes in namespaces, and a Dask scheduler outside of them; a context manager.

    Parameters
    ----------
    folder : Path
        For what they print.
    nodes : int
        How many.
    environment : mapping of str to str
        Added to that of the nodes.
    """

    def __init__(
        self, folder: Path, *, nodes: int, environment: Mapping[str, str]
    ) -> None:
        self._id = f"co{os.getpid() % 100_000}"
        self._subnet = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._environment = {**os.environ, **_settings(), **environment}
        self._log = (folder / "nodes.log").open("ab")
        self._folder = folder
        self._count = nodes
        self._over = threading.Event()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    @property
    def address(self) -> str:
        """Where the Dask scheduler listens."""
        return f"tcp://{self._subnet}.1:{PORT}"

    def __enter__(self) -> Namespaces:
        try:
            self._make()
        except BaseException:
            self._take_away()
            raise
        self._supervisor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._supervisor.join()
        self._take_away()
        self._log.close()

    def cut(self, node: str) -> None:
        """Pull a node's cable.

        Parameters
        ----------
        node : str
            Its name.
        """
        _ip("link", "set", self._cable(node), "down")

    def heal(self, node: str) -> None:
        """Put it in again.

        Parameters
        ----------
        node : str
            Its name.
        """
        _ip("link", "set", self._cable(node), "up")

    def _cable(self, node: str) -> str:
        return f"{self._id}v{int(node.removeprefix('node'))}"

    def _make(self) -> None:
        bridge = f"{self._id}b"
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{self._subnet}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number in range(self._count):
            space, cable = f"{self._id}n{number}", f"{self._id}v{number}"
            _ip("netns", "add", space)
            peer = ("peer", "name", "eth0", "netns", space)
            _ip("link", "add", cable, "type", "veth", *peer)
            _ip("link", "set", cable, "master", bridge, "up")
            own = f"{self._subnet}.{number + 2}/24"
            _ip("-n", space, "addr", "add", own, "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")

    def _take_away(self) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for number in range(self._count):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", f"{self._id}n{number}")
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", f"{self._id}b")

    def _supervise(self) -> None:
        """Start whatever does not run, again and again."""
        while not self._over.wait(_LOOK_S):
            for name, command in self._commands().items():
                known = self._processes.get(name)
                if known is None or known.poll() is not None:
                    self._processes[name] = subprocess.Popen(
                        command,
                        env=self._environment,
                        cwd=self._folder,
                        stdout=self._log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )

    def _commands(self) -> dict[str, list[str]]:
        dask = (sys.executable, "-m", "distributed.cli.dask_")
        here = f"{self._subnet}.1"
        found = {
            "scheduler": [
                *dask[:2],
                f"{dask[2]}scheduler",
                *("--host", here, "--port", str(PORT), "--no-dashboard"),
            ]
        }
        for number in range(self._count):
            found[f"node{number:03d}"] = [
                *("ip", "netns", "exec", f"{self._id}n{number}", *dask[:2]),
                *(f"{dask[2]}worker", self.address, "--no-dashboard", "--nanny"),
                *("--host", f"{self._subnet}.{number + 2}", "--nthreads", "2"),
                *("--memory-limit", "0", "--name", f"node{number:03d}"),
            ]
        return found


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _settings() -> dict[str, str]:
    """Return what a Dask scheduler must be started with, as its environment."""
    return {
        "DASK_" + key.replace(".", "__").replace("-", "_").upper(): str(value)
        for key, value in DASK_SETTINGS.items()
        # Without our own preloads there is nothing to fork from.
        if key != "distributed.worker.multiprocessing-method"
    }
