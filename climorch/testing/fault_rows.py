"""The faults of the matrix: what each does to a campaign that runs.

A fault strikes while a process is held at a moment, or is a deed of that process. What
it needs to know of the campaign it finds in a `Scene`. To add one, add it to a table of
`Row` and name it in `climorch.testing.fault_cells`.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from climorch.errors import InternalError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.fault_campaign import Variant
from climorch.testing.faults import Script, records_of, until, until_record
from climorch.testing.injector import Injection
from climorch.testing.moments import VICTIM
from climorch.testing.namespaces import Namespaces
from climorch.testing.trouble import TROUBLES, TroubledStorage

__all__ = ["PATTERNS", "STORAGE", "Row", "Scene"]

# How often a flapping node goes, and how long a slow one is slowed down for.
_FLAPS = 3
_SLOW_S = 4.0
_RUN_S, _STOP_S = 0.02, 0.1
# How long a node stays cut off once it was given up, and storage in trouble once
# something has met it.
_LINGER_S, _TROUBLE_S = 1.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A campaign that runs, as faults see it.

    Attributes
    ----------
    root : Path
        Folder of all campaigns.
    campaign : str
        Its name.
    job : Script
        Its driver.
    injection : Injection
        Knows the processes of its nodes.
    storage : TroubledStorage or None
        What is wrong with its disks, where that is the fault.
    network : Namespaces or None
        Of its nodes, where they have networks of their own.
    """

    root: Path
    campaign: str
    job: Script
    injection: Injection
    storage: TroubledStorage | None = None
    network: Namespaces | None = None

    def nodes(self) -> list[tuple[str, int]]:
        """Return nodes and their process ids: those of the victim's lease first.

        Of these, whichever is held at the moment comes first.
        """
        leases = [
            record.nodes
            for record in records_of(self.root, self.campaign)
            if isinstance(record, c.SetLease) and record.simulation == VICTIM
        ]
        lease = leases[-1] if leases else ()
        held = set(self.injection.victims()) if self.injection.fired else set()
        living = self.injection.workers().items()
        return sorted(
            living, key=lambda item: (item[1] not in held, item[0] not in lease)
        )

    def kill(self, count: int) -> list[str]:
        """Kill so many nodes at once; return their names."""
        chosen = self.nodes()[:count]
        for _, pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [name for name, _ in chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A fault of the matrix.

    Attributes
    ----------
    moments : tuple of str
        When it is tried; names of `climorch.testing.fault_cells.MOMENTS_OF_CELLS`.
    strike : callable or None
        Does it, told the scene, while a process is held. None: the deed does it.
    deed : str
        Of the process at the moment, as of `ArmedFault`.
    lasting : bool
        Whether the deed lasts until the script runs again.
    driver_dies : bool
        Whether the script must be run again.
    fails : bool
        Whether the victim fails, the others end well, and a script that was mended
        takes it to its end.
    elsewhere : bool
        Whether it runs again on what looks like another machine.
    memory : str
        Limit of each node; empty: none.
    apart : bool
        Whether nodes have network namespaces of their own; else they are the
        site's.
    trouble : str
        Of `climorch.testing.trouble.TROUBLES`: what is wrong with the storage.
    lost : int
        How many losses of nodes the journal must tell, at least.
    detect_s : float
        Seconds until it can be noticed at all, which count as lost: a node that is
        silent computes, for all that is known.
    cause : str
        Name of the cause that the journal must tell; empty: it need not.
    unheard : tuple of str
        Moments at which nobody waits for what fails, so that it need not either.
    shows, spares : tuple of str
        Kinds of records that the journal must have, and must not have.
    variant : Variant
        What the campaign has to be otherwise for it. A misdeed strikes in the
        segment of `SEGMENT_AT`, and nothing else does.
    blows_up : bool
        Whether results must tell of tries.
    """

    moments: tuple[str, ...]
    strike: Callable[[Scene], None] | None = None
    deed: str = "hold"
    lasting: bool = False
    driver_dies: bool = False
    fails: bool = False
    elsewhere: bool = False
    memory: str = ""
    apart: bool = False
    trouble: str = ""
    lost: int = 0
    detect_s: float = 0.0
    cause: str = ""
    unheard: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()
    variant: Variant = field(default_factory=Variant)
    blows_up: bool = False


def kill_nodes(scene: Scene, *, count: int) -> None:
    """Kill nodes at once."""
    scene.kill(count)


def kill_rack(scene: Scene) -> None:
    """Kill the two nodes of a rack: neighbours by name."""
    first = scene.nodes()[0][0]
    rack = int(first.removeprefix("node")) // 2
    pids = scene.injection.workers()
    for number in (2 * rack, 2 * rack + 1):
        with suppress(ProcessLookupError, KeyError):
            os.kill(pids[f"node{number:03d}"], signal.SIGKILL)


def flap(scene: Scene) -> None:
    """Kill a node, and again whenever it has come back."""
    name, pid = scene.nodes()[0]
    os.kill(pid, signal.SIGKILL)
    scene.injection.let_go()
    for times in range(2, _FLAPS + 1):
        # Only once the campaign knows it again: else it was never back.
        until_record(
            scene.root,
            scene.campaign,
            e.NodeJoined,
            count=times,
            where=lambda record: record.node == name,
        )
        os.kill(scene.injection.workers()[name], signal.SIGKILL)


def slow_down(scene: Scene) -> None:
    """Give a node a sixth of its time for a few seconds."""
    _, pid = scene.nodes()[0]
    scene.injection.let_go()
    threading.Thread(target=_throttle, args=(pid,), daemon=True).start()


def _throttle(pid: int) -> None:
    end_s = time.monotonic() + _SLOW_S
    with suppress(ProcessLookupError):
        while time.monotonic() < end_s:
            os.kill(pid, signal.SIGSTOP)
            # Intervals of the load, not waits for an event.
            time.sleep(_STOP_S)
            os.kill(pid, signal.SIGCONT)
            time.sleep(_RUN_S)


def freeze(scene: Scene) -> None:
    """Stop a node for ever."""
    os.kill(scene.nodes()[0][1], signal.SIGSTOP)


def cut_off(scene: Scene) -> None:
    """Cut a node off until it is given up, and a second longer."""
    if scene.network is None:
        raise InternalError("these nodes have no networks of their own")
    name, _ = scene.nodes()[0]
    scene.network.cut(name)
    scene.injection.let_go()
    try:
        until_record(
            scene.root,
            scene.campaign,
            e.NodeLost,
            where=lambda record: record.node == name,
        )
        time.sleep(_LINGER_S)
    finally:
        scene.network.heal(name)


def trouble(scene: Scene) -> None:
    """Let the storage be in trouble until something has met it, and for a while."""
    if scene.storage is None:
        raise InternalError("nothing is wrong with this storage")
    scene.storage.begin()
    scene.injection.let_go()
    try:
        until(lambda: scene.storage and scene.storage.touched, what="it is noticed")
        time.sleep(_TROUBLE_S)
    finally:
        scene.storage.end()


def kill_driver(scene: Scene) -> None:
    """Kill the driver, and with it the Dask scheduler."""
    scene.job.send(signal.SIGKILL)


def end_driver(scene: Scene) -> None:
    """Ask the driver to leave, as a batch system does."""
    scene.job.send(signal.SIGTERM)


ALL_MOMENTS = (
    "at start",
    "mid-segment",
    "at a boundary",
    "during checkpoint write",
    "between receipts and commit",
    "during restore",
    "during export",
)
_IN_MODEL = ("at start", "mid-segment", "during restore")

PATTERNS: Mapping[str, Row] = {
    "one node killed": Row(
        moments=ALL_MOMENTS, strike=functools.partial(kill_nodes, count=1), lost=1
    ),
    "several nodes at once": Row(
        moments=ALL_MOMENTS, strike=functools.partial(kill_nodes, count=3), lost=3
    ),
    "a rack": Row(moments=ALL_MOMENTS, strike=kill_rack, lost=2),
    "all nodes": Row(
        moments=ALL_MOMENTS, strike=functools.partial(kill_nodes, count=4), lost=4
    ),
    "flapping node": Row(moments=ALL_MOMENTS, strike=flap, lost=_FLAPS),
    "slow node": Row(moments=ALL_MOMENTS[:5], strike=slow_down),
    "frozen node": Row(
        moments=("mid-segment", "during checkpoint write", "during restore"),
        strike=freeze,
        detect_s=15.0,
        lost=1,
    ),
    "out of memory": Row(
        moments=(*_IN_MODEL, "during checkpoint write"),
        deed="eat memory",
        memory="600 MiB",
        # Until it is full.
        detect_s=3.0,
        cause="MEMORY",
        lost=1,
    ),
    "segfault": Row(
        moments=(*_IN_MODEL, "during checkpoint write"), deed="crash", lost=1
    ),
    "transient exception": Row(
        moments=_IN_MODEL,
        deed="fail in passing",
        cause="TRANSIENT",
        # It meets the lost attempt's blocks, which Dask reads once more before it
        # hears that nobody waits for them.
        unheard=("during restore",),
    ),
    "exception": Row(moments=_IN_MODEL[:2], deed="fail", cause="MODEL"),
    "permanent exception": Row(
        moments=_IN_MODEL[:2], deed="fail", lasting=True, fails=True, cause="MODEL"
    ),
    "network partition": Row(
        moments=("mid-segment", "during checkpoint write", "at a boundary"),
        strike=cut_off,
        apart=True,
        lost=1,
        detect_s=25.0,
    ),
    "driver killed": Row(moments=ALL_MOMENTS, strike=kill_driver, driver_dies=True),
    "driver told to leave": Row(
        moments=ALL_MOMENTS[1:5], strike=end_driver, driver_dies=True
    ),
    "driver on another machine": Row(
        moments=("mid-segment", "between receipts and commit"),
        strike=kill_driver,
        driver_dies=True,
        elsewhere=True,
    ),
}
"""Failure patterns: name to what happens."""

_WRITING = ("mid-segment", "during checkpoint write", "during export")

STORAGE: Mapping[str, Row] = {
    # Each in one of the moments, in turn: most of them meet the next write anyway.
    name: Row(moments=(_WRITING[i % 3],), strike=trouble, trouble=name)
    for i, name in enumerate(TROUBLES)
}
"""Storage in trouble: every kind in every place."""
