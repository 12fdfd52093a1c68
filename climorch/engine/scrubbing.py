"""Reads checkpoints again while the campaign runs, at a limited rate.

One at a time, on a thread of its own: it competes with nobody but the disk. What it
finds is a fact; what is not repaired is not restored from.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from climorch.core.state import CampaignState
from climorch.engine.alarms import Alarms
from climorch.engine.telling import line_of
from climorch.engine.threads import DiskThreads
from climorch.errors import BackendError, ConflictError
from climorch.model.events import CheckpointScrubbed, Fact
from climorch.policy.scrubbing import Scrub
from climorch.storage.checkpoints import CheckpointStore, Scrubbed

__all__ = ["Scrubber"]

logger = logging.getLogger(__name__)

LOOK_S = 10.0
MOST_NAMED = 5

Key = tuple[str, str, int]


class _StoppedError(Exception):
    """The driver leaves in the middle of a reading."""


class Scrubber:
    """Scrubs the checkpoints that the state knows.

    Parameters
    ----------
    policy : Scrub
        When and how fast.
    state : CampaignState
        The orchestrator's; only read, on the driver's loop.
    checkpoints : CheckpointStore
        Of this driver.
    post : callable
        Takes a fact, on the driver's loop.
    disk : DiskThreads
        Where it reads.
    alarms : Alarms
        Told of diagnostics that are bad for good. A checkpoint that is set aside is
        told of by what watches the state.
    clock : callable
        UTC seconds.
    look_s : float
        Seconds between two looks for what is due.
    """

    def __init__(
        self,
        policy: Scrub,
        state: CampaignState,
        checkpoints: CheckpointStore,
        post: Callable[[Fact], None],
        *,
        disk: DiskThreads,
        alarms: Alarms,
        clock: Callable[[], float] = time.time,
        look_s: float = LOOK_S,
    ) -> None:
        self._policy = policy
        self._state = state
        self._checkpoints = checkpoints
        self._post = post
        self._disk = disk
        self._alarms = alarms
        self._clock = clock
        self._look_s = look_s
        self._read_s: dict[Key, float] = {}
        self._told: set[Key] = set()
        self._leaving = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; nothing where the policy reads nothing."""
        if self._policy.bytes_per_s:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End, in the middle of a file's pause if need be."""
        self._leaving.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def look(self) -> bool:
        """Read the one checkpoint that is most due; return whether there was one."""
        committed_s = {
            (simulation.name, s.name, c.boundary): c.committed_s
            for simulation, s in self._state.sets()
            for c in s.commits.values()
            # Not before its outputs are published: set aside, it would take them along.
            if c.good and not c.deleting and c.published
        }
        self._read_s = {k: at for k, at in self._read_s.items() if k in committed_s}
        for gone in self._told - committed_s.keys():
            self._over(gone)
        key = self._policy.next_due(committed_s, self._read_s, self._clock())
        if key is None:
            return False
        try:
            found = await self._disk.run(self._scrub, key)
        except (BackendError, ConflictError) as error:
            # Says nothing about the checkpoint. Who is superseded learns it elsewhere.
            logger.warning("scrub=%s put off: %s", key, error)
            self._read_s[key] = self._policy.put_off_s(self._clock())
            return False
        self._read_s[key] = self._clock()
        if found.good:
            self._over(key)
        else:
            self._tell(key, found)
        return True

    def _over(self, key: Key) -> None:
        self._told.discard(key)
        self._alarms.end("damage", subject=_subject(key))

    def _tell(self, key: Key, found: Scrubbed) -> None:
        simulation, name, boundary = key
        fact = CheckpointScrubbed(
            simulation=simulation,
            set=name,
            boundary=boundary,
            repaired=found.repaired,
            bad=tuple(f"{file} {problem}" for file, problem in found.bad),
            damaged=found.damaged,
        )
        logger.warning("%s", line_of(fact))
        if found.bad and not found.damaged:
            self._told.add(key)
            self._alarms.begin(
                "damage",
                f"diagnostics in checkpoint {boundary} of set {name} are bad, and so "
                f"are results that share their files; no other copy is left: "
                + ", ".join(fact.bad[:MOST_NAMED]),
                simulation=simulation,
                subject=_subject(key),
            )
        # Others may share what was bad: all of the set are read next.
        own = [k for k in self._read_s if k[:2] == key[:2] and k != key]
        for other in own:
            self._read_s[other] = float("-inf")
        self._post(fact)

    def _scrub(self, key: Key) -> Scrubbed:
        simulation, name, boundary = key
        begin_s, read_bytes = time.monotonic(), 0

        def pace(more_bytes: int) -> None:
            nonlocal read_bytes
            read_bytes += more_bytes
            took_s = time.monotonic() - begin_s
            if self._leaving.wait(self._policy.pause_s(read_bytes, took_s)):
                raise _StoppedError

        try:
            return self._checkpoints.scrub(simulation, name, boundary, pace=pace)
        except _StoppedError:
            return Scrubbed()

    async def _run(self) -> None:
        while True:
            try:
                busy = await self.look()
            except Exception:
                # Of no use to stop a campaign for.
                logger.exception("scrub failed")
                busy = False
            if not busy:
                await asyncio.sleep(self._look_s)


def _subject(key: Key) -> str:
    simulation, name, boundary = key
    return f"{simulation}/{name}-{boundary} diagnostics"
