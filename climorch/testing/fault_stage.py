"""Where a cell of the fault matrix plays: its folder, script, disks and networks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from climorch.testing import fault_campaign as campaign
from climorch.testing import injector
from climorch.testing.fault_rows import Row
from climorch.testing.faults import Script
from climorch.testing.injector import Injection
from climorch.testing.namespaces import Namespaces
from climorch.testing.preload import build, environment_of
from climorch.testing.trouble import TROUBLES, TroubledStorage

__all__ = ["SEGMENTS", "Stage", "may_unshare"]

SEGMENTS = 8
WORK_S = 0.05


def may_unshare() -> bool:
    """Whether this process may make namespaces."""
    command = ["unshare", "--mount", "--uts", "--pid", "--net", "--fork", "true"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


class Stage:
    """Folder of one cell, and the scripts that run in it.

    Parameters
    ----------
    folder : Path
        Empty.
    strategy : str
        Of the campaign.
    row : Row
        The fault.
    preload : str
        As for `try_cell`.
    """

    def __init__(
        self, folder: Path, strategy: str, row: Row, *, preload: str = ""
    ) -> None:
        self.folder = folder
        self._preload = preload
        self.row = row
        self.root = folder / "root"
        self.shm, self.tmp = folder / "shm", folder / "tmp"
        for path in (self.root, self.shm, self.tmp):
            path.mkdir(parents=True)
        self._given: dict[str, Any] = {
            "root": str(self.root),
            "strategy": strategy,
            "segments": SEGMENTS,
            "work_s": WORK_S,
            "memory": row.memory or 0,
        }

    @contextmanager
    def world(
        self, injection: Injection
    ) -> Iterator[tuple[TroubledStorage | None, Namespaces | None]]:
        """Prepare the disks and the networks that the fault needs.

        Parameters
        ----------
        injection : Injection
            Nodes with networks of their own are armed with it.

        Yields
        ------
        (TroubledStorage or None, Namespaces or None)
            What is needed.
        """
        with ExitStack() as stack:
            storage = network = None
            if self.row.trouble:
                storage = stack.enter_context(
                    TroubledStorage(
                        self.folder / "trouble",
                        self.campaign,
                        TROUBLES[self.row.trouble],
                    )
                )
            if self.row.apart:
                network = stack.enter_context(
                    Namespaces(
                        self.folder,
                        nodes=campaign.NODES,
                        environment=self._environment(injection),
                    )
                )
            yield storage, network

    def _environment(self, injection: Injection) -> dict[str, str]:
        found = {
            "PYTHONPATH": str(Path(campaign.__file__).parents[2]),
            "TMPDIR": str(self.tmp),
            **injection.environment,
        }
        if self._preload:
            loaded = [injector.__name__, self._preload]
            found["DASK_DISTRIBUTED__WORKER__PRELOAD"] = repr(loaded)
        return found

    def script(
        self,
        injection: Injection,
        *,
        elsewhere: bool = False,
        storage: TroubledStorage | None = None,
        network: Namespaces | None = None,
    ) -> Script:
        """Start the script.

        Parameters
        ----------
        injection : Injection
            It is armed with this.
        elsewhere : bool
            Whether on what looks like another machine.
        storage, network
            From `world`.

        Returns
        -------
        Script
            Use it as a context manager.
        """
        environment = self._environment(injection)
        if storage is not None:
            environment |= environment_of(storage, build(self.folder))
        given = dict(self._given)
        if network is not None:
            given["address"] = network.address
        return Script(
            campaign.__file__,
            json.dumps(given),
            environment=environment,
            within=_within(self.shm, elsewhere=elsewhere),
        )

    @property
    def campaign(self) -> Path:
        """Folder of the campaign."""
        return self.root / campaign.NAME


def _within(shm: Path, *, elsewhere: bool) -> tuple[str, ...]:
    """Return the command that gives a script shared memory, and a host, of its own."""
    if not may_unshare():
        return ()
    other = ("--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
    name = "hostname elsewhere && " if elsewhere else ""
    return (
        *("unshare", "--mount", *(other if elsewhere else ())),
        *("sh", "-c", f'{name}mount --bind "$0" /dev/shm && exec "$@"', str(shm)),
    )
