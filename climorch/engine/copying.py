"""Copies of a set's state in the memory of partner nodes.

A copy is no second set of objects: Dask is made to hold the roots of a boundary
on two nodes, so what one of them loses it need not compute, and a checkpoint is
written from the other by the ordinary way.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from climorch.engine.attempt import Attempt
from climorch.engine.checkpointing import Cut, reroot, write
from climorch.engine.rooting import Block, blocks_in
from climorch.engine.services import Services
from climorch.engine.steps import cause_of, settle
from climorch.engine.tags import LIGHT
from climorch.engine.worker import take_copy
from climorch.engine.writing import holders_of, on_holders
from climorch.errors import BackendError, ConflictError, NotFoundError
from climorch.model.commands import BeginCheckpoint, BeginCopy, SalvageCopy
from climorch.model.events import Cause, CopyHeld
from climorch.policy.partnering import partners

__all__ = ["CARRYING_S_PER_BYTE", "Copies", "Copy"]

logger = logging.getLogger(__name__)

CARRYING_S_PER_BYTE = 1e-9
"""CPU seconds of both nodes to bring a byte from one to the other: 0.8 to 1.3 s per
GB by ``benchmarks/partner_copies.py``, between processes of one machine."""


RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A state of an attempt that nodes hold as long as this is there.

    Attributes
    ----------
    attempt : Attempt
        Whose; its outputs until the boundary are staged.
    boundary : int
        Where.
    cut : Cut
        The roots.
    """

    attempt: Attempt
    boundary: int
    cut: Cut


class Copies:
    """The newest copy of a set, and the next one on its way.

    Parameters
    ----------
    services : Services
        The world.
    simulation : str
        Whose set.
    """

    def __init__(self, services: Services, simulation: str) -> None:
        self.services = services
        self.simulation = simulation
        self.newest: Copy | None = None
        self._durable = 0

    def drop(self) -> None:
        """Hold nothing any more."""
        self.newest = None

    def outdated(self, boundary: int) -> None:
        """Let go of what a checkpoint that is committed covers.

        Parameters
        ----------
        boundary : int
            Of the checkpoint.
        """
        self._durable = max(self._durable, boundary)
        if self.newest is not None and self.newest.boundary <= boundary:
            self.newest = None

    def cut_of(self, attempt: Attempt, boundary: int) -> Cut:
        """Return the states that are held of a boundary which an attempt has passed.

        Parameters
        ----------
        attempt : Attempt
            The present one.
        boundary : int
            Where.

        Raises
        ------
        BackendError
            If a newer copy has taken its place, or it is gone.
        """
        copy = self.newest
        if copy is None or copy.boundary != boundary or copy.attempt is not attempt:
            raise BackendError(f"no copy of boundary {boundary} is held any more")
        return copy.cut

    async def cut(self, attempt: Attempt, boundary: int) -> Copy:
        """Cut here; from now on the attempt may go on.

        Parameters
        ----------
        attempt : Attempt
            The present one.
        boundary : int
            Where all its stages stand.

        Returns
        -------
        Copy
            To be held by `hold`.
        """
        made = await reroot(attempt, boundary)
        roots = Cut(datasets=attempt.present(), stall_s=made.stall_s)
        return Copy(attempt=attempt, boundary=boundary, cut=roots)

    async def hold(self, copy: Copy, command: BeginCopy) -> None:
        """Bring every block to a partner of its holder, and post the fact.

        Parameters
        ----------
        copy : Copy
            From `cut`.
        command : BeginCopy
            That it answers.

        Raises
        ------
        BackendError
            If the blocks are not on two nodes each, or would not stay there.
        """
        services, begin = self.services, self.services.clock()
        if await services.client.amm.running():
            raise BackendError(
                "Dask's active memory manager runs and drops second copies; start "
                "the Dask scheduler with active-memory-manager.start off"
            )
        blocks = blocks_in(copy.cut.datasets)
        await settle([block.future for block in blocks])
        bytes_copied = await self._carry(blocks)
        # Without them no checkpoint could be made of it.
        await copy.attempt.outputs.written(copy.attempt.set.segments_at[copy.boundary])
        if copy.boundary > self._durable:
            self.newest = copy
        seconds = services.clock() - begin + copy.cut.stall_s
        services.post(
            CopyHeld(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                seconds=seconds,
                cost_s=copy.cut.stall_s
                + CARRYING_S_PER_BYTE * bytes_copied / services.cores(self.simulation),
                bytes_copied=bytes_copied,
            )
        )
        logger.info(
            "copy simulation=%s set=%s boundary=%d attempt=%d seconds=%.3f "
            "bytes=%d stall_s=%.3f",
            command.simulation,
            command.set,
            command.boundary,
            command.attempt,
            seconds,
            bytes_copied,
            copy.cut.stall_s,
        )

    async def _carry(self, blocks: list[Block]) -> int:
        """Have each block on a second node of the lease; return the bytes."""
        services, simulation = self.services, self.simulation
        ring = partners(services.lease(simulation))
        groups = await holders_of(services, simulation, blocks)
        taken: dict[str, list[Block]] = {}
        for node, group in groups.items():
            if node not in ring:
                raise BackendError(f"node {node!r} has no partner in its lease")
            taken.setdefault(ring[node], []).extend(group)
        # No task of its own is needed to send: what takes the blocks as inputs
        # has Dask bring them, and keep them while the roots are held.
        sizes = await on_holders(
            services, simulation, taken, take_copy, lambda node, group: (), kind=LIGHT
        )
        lease = set(services.lease(simulation))
        names = {a: n for a, n in services.nodes.items() if n in lease}
        futures = [block.future for block in blocks]
        who_has = await services.client.who_has(futures)
        single = [
            block.key
            for block in blocks
            if len({names.get(a) for a in who_has[block.future.key]} - {None}) < 2
        ]
        if single:
            raise BackendError(
                f"{len(single)} of {len(blocks)} blocks are on one node only, "
                f"the first of them {single[0]}"
            )
        return sum(sizes)

    async def salvage(self, command: SalvageCopy) -> None:
        """Write the copy that is held as a checkpoint, and post that fact.

        Where only the storage fails it is tried again until somebody cancels it.

        Parameters
        ----------
        command : SalvageCopy
            Which; a newer one is as good.

        Raises
        ------
        NotFoundError
            If no such copy is held here; what else `checkpointing.write` says.
        """
        copy = self.newest
        if (
            copy is None
            or copy.attempt.number != command.attempt
            or copy.boundary < command.boundary
        ):
            raise NotFoundError(f"no copy of boundary {command.boundary} is held")
        copy.attempt.drop_states()
        begin = BeginCheckpoint(
            simulation=command.simulation,
            set=command.set,
            boundary=copy.boundary,
            attempt=command.attempt,
            why=command.why,
        )
        while True:
            try:
                await write(copy.attempt, begin, copy.cut)
            except ConflictError:
                # A newer driver has taken over.
                raise
            except Exception as error:
                if cause_of(error) is not Cause.STORAGE:
                    raise
                logger.warning("copy=%s is not written yet: %s", command, error)
                await asyncio.sleep(RETRY_S)
            else:
                self.outdated(copy.boundary)
                return
