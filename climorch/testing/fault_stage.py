"""Where a cell of the fault matrix plays: its folder, script, disks and networks."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from climorch.testing import fault_campaign as campaign
from climorch.testing import injector
from climorch.testing.fault_cells import ROWS, Cell
from climorch.testing.fault_misdeeds import SEGMENT_AT
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
    """Folder of one cell, and the scripts that run in it; a context manager.

    Parameters
    ----------
    folder : Path
        Empty.
    cell : Cell
        Which.
    preload : str
        As for `try_cell`.
    """

    def __init__(self, folder: Path, cell: Cell, *, preload: str = "") -> None:
        self.folder = folder
        self._preload = preload
        self.cell = cell
        self.row = row = ROWS[cell.fault]
        self.root = folder / "root"
        self.shm, self.marks = folder / "shm", folder / "marks"
        for path in (self.root, self.shm, self.marks):
            path.mkdir(parents=True)
        # Not in the folder, whose path may be long: sockets lie in it, and theirs has
        # at most 107 characters. Once no node could start, and the cell never ended.
        self.tmp = Path(tempfile.mkdtemp(prefix="cell-"))
        self._given: dict[str, Any] = {
            "root": str(self.root),
            "strategy": cell.strategy,
            "segments": SEGMENTS,
            "work_s": WORK_S,
            "memory": row.memory or 0,
        }
        self._variant = row.variant
        if row.variant.misdeed:
            segment = SEGMENT_AT[cell.moment]
            self._variant = replace(
                row.variant,
                misdeed={**row.variant.misdeed, "segment": segment},
                marks=str(self.marks),
            )

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.tmp, ignore_errors=True)

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
        again: bool = False,
        storage: TroubledStorage | None = None,
        network: Namespaces | None = None,
    ) -> Script:
        """Start the script.

        Parameters
        ----------
        injection : Injection
            It is armed with this.
        again : bool
            Whether it is run again: where the fault says so, on what looks like
            another machine; and mended.
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
        variant = replace(self._variant, misdeed={}) if again else self._variant
        given = {**self._given, "variant": asdict(variant)}
        if network is not None:
            given["address"] = network.address
        return Script(
            campaign.__file__,
            json.dumps(given),
            environment=environment,
            within=_within(self.shm, elsewhere=again and self.row.elsewhere),
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
