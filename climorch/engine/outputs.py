"""Diagnostics on their way: from the cluster to a staging folder.

Written as soon as a segment is computed, so that they do not fill the nodes;
part of the next checkpoint, so that they count only once that is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from climorch.engine.rooting import Block, blocks_of
from climorch.engine.services import Services
from climorch.engine.worker import StateNotDurableError
from climorch.engine.writing import write_grouped
from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import seconds_of
from climorch.intake.dating import ROUNDED, earlier_faults, ends_of
from climorch.model.plan import StagePlan
from climorch.model.workflow import Stage
from climorch.storage import durable
from climorch.storage.chunks import ChunkReceipt
from climorch.storage.results import StagedOutput, newest_before

if TYPE_CHECKING:
    import cftime
    import xarray as xr

__all__ = ["Outputs", "Staged"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """An output that is written but not committed.

    Attributes
    ----------
    output : StagedOutput
        Where it was staged.
    receipts : tuple of ChunkReceipt
        Of its chunks.
    cpu_s : float
        What writing them took.
    taken_to : Path or None
        Where a checkpoint took it that then failed, if it may still be there.
    """

    output: StagedOutput
    receipts: tuple[ChunkReceipt, ...]
    cpu_s: float
    taken_to: Path | None = None

    def bring_home(self) -> bool:
        """Move it back to where it was staged; return whether it is there.

        Raises
        ------
        OSError
            If the file system fails, which leaves it where it is.
        """
        home = self.output.directory
        if self.taken_to is not None and self.taken_to.exists():
            durable.rename_durably(self.taken_to, home)
        return home.exists()


class Outputs:
    """Staged outputs of one attempt.

    Attributes
    ----------
    nbytes : dict of str to int
        Bytes of the newest output of each stage, as it is in memory, until whoever
        measures takes them.
    """

    def __init__(
        self, services: Services, simulation: str, set_name: str, attempt: int
    ) -> None:
        self.services = services
        self.simulation = simulation
        self.set_name = set_name
        self.attempt = attempt
        self._writing: dict[tuple[str, int], asyncio.Future[Staged]] = {}
        self._failed: dict[tuple[str, int], tuple[StagePlan, xr.Dataset]] = {}
        self._chunks: dict[str, int] = {}
        self._newest: dict[str, cftime.datetime] = {}
        self.nbytes: dict[str, int] = {}

    async def chunk(self, stage: Stage) -> int | None:
        """Return the length of a stage's result chunks; None: not known yet."""
        if stage.name not in self._chunks:
            services = self.services
            published = await services.disk.run(
                services.results.chunk_length, self.simulation, stage.name
            )
            length = published or stage.output_chunk
            if length is None:
                return None
            self._chunks[stage.name] = length
        return self._chunks[stage.name]

    async def require_later(
        self, stage: StagePlan, segment: int, output: xr.Dataset | None
    ) -> None:
        """Refuse an output that does not come after those of the segments before.

        Before it is computed. Those that this attempt did not see are looked up
        where alone they can be in the way: at the start of the segment.

        Parameters
        ----------
        stage : StagePlan
            Whose.
        segment : int
            Which, counted as in the plan.
        output : xarray.Dataset or None
            With dates in that segment; None: it has none.

        Raises
        ------
        InvalidInputError
            If it begins where the one before ended, or earlier.
        """
        if output is None:
            return
        newest = self._newest.get(stage.name)
        start, end = stage.boundaries[segment // stage.parts * stage.parts :][:2]
        first, _ = ends_of(output, stage.calendar)
        if newest is None and seconds_of(first) <= start + ROUNDED * (end - start):
            services = self.services
            where = (services.results, self.simulation, stage.name, segment)
            published = await services.disk.run(newest_before, *where)
            if published is not None:
                _, newest = ends_of(published, stage.calendar)
        place = f"stage {stage.name!r}, segment {segment}, output"
        faults = [*earlier_faults(place, output, newest)]
        if faults:
            raise InvalidInputError("results cannot grow by this", faults=faults)

    def stage(self, stage: StagePlan, segment: int, output: xr.Dataset) -> None:
        """Start writing the output of a segment.

        Raises
        ------
        InvalidInputError
            If segments to come could not be appended behind it.
        """
        times = output.sizes["time"]
        chunk = self._chunks.setdefault(stage.name, times)
        if times % chunk and segment < stage.segments - 1:
            raise InvalidInputError(
                "results grow by whole chunks",
                faults=[
                    Fault(
                        place=f"stage {stage.name!r}, segment {segment}, output",
                        problem=f"has {times} times, no multiple of the chunks of "
                        f"{chunk}",
                        remedy="declare stage(..., output_chunk=n) with an n that "
                        "divides the times of every segment, 1 if need be",
                    )
                ],
            )
        _, self._newest[stage.name] = ends_of(output, stage.calendar)
        self.nbytes[stage.name] = output.nbytes
        self._start(stage, segment, output)

    def due(self, segments: dict[str, int]) -> dict[str, tuple[int, ...]]:
        """Return the segments before these counts that have outputs not committed."""
        due: dict[str, tuple[int, ...]] = {}
        for stage, segment in sorted({*self._writing, *self._failed}):
            if segment < segments[stage]:
                due[stage] = (*due.get(stage, ()), segment)
        return due

    async def written(self, segments: dict[str, int]) -> None:
        """Return once no output before these counts is being written any more."""
        due = [
            task
            for (stage, segment), task in self._writing.items()
            if segment < segments[stage]
        ]
        if due:
            await asyncio.wait(due)

    async def gather(self) -> None:
        """Bring home what checkpoints took that then failed.

        Raises
        ------
        BackendError
            If the storage does not allow it yet.
        StateNotDurableError
            If one is gone: its segment has to be computed again.
        """
        astray = {
            where: staged
            for where, task in self._writing.items()
            if task.done()
            and not task.cancelled()
            and task.exception() is None
            and (staged := task.result()).taken_to is not None
        }
        for where, staged in astray.items():
            await self.services.disk.run(_bring_home, staged)
            self.put_back({where: replace(staged, taken_to=None)})

    async def take(self, segments: dict[str, int]) -> dict[tuple[str, int], Staged]:
        """Return the outputs of all segments before these counts, once written.

        What could not be written is tried again, as the checkpoint is.
        """
        for where in [w for w in self._failed if w[1] < segments[w[0]]]:
            stage, output = self._failed.pop(where)
            self._start(stage, where[1], output)
        due = {
            (stage, segment): task
            for (stage, segment), task in self._writing.items()
            if segment < segments[stage]
        }
        staged = {where: await task for where, task in sorted(due.items())}
        for where in due:
            del self._writing[where]
        return staged

    def _start(self, stage: StagePlan, segment: int, output: xr.Dataset) -> None:
        task = asyncio.create_task(self._write(stage, segment, output))
        # Whoever takes it has its error; nobody may, if the attempt ends first.
        task.add_done_callback(lambda t: t.cancelled() or t.exception())
        self._writing[stage.name, segment] = task

    def put_back(self, staged: Mapping[tuple[str, int], Staged]) -> None:
        """Take outputs again whose checkpoint failed."""
        for where, output in staged.items():
            done: asyncio.Future[Staged] = asyncio.get_running_loop().create_future()
            done.set_result(output)
            self._writing[where] = done

    async def stop(self) -> None:
        """Stop writing; what is staged stays until the attempt is swept."""
        for task in self._writing.values():
            task.cancel()
        if self._writing:
            await asyncio.wait(self._writing.values())
        self._writing.clear()
        self._failed.clear()

    async def _write(
        self, stage: StagePlan, segment: int, output: xr.Dataset
    ) -> Staged:
        try:
            return await self._written(stage, segment, output)
        except Exception:
            self._failed[stage.name, segment] = stage, output
            raise

    async def _written(
        self, stage: StagePlan, segment: int, output: xr.Dataset
    ) -> Staged:
        staged = await self.services.disk.run(
            self.services.results.stage,
            simulation=self.simulation,
            set=self.set_name,
            attempt=self.attempt,
            stage=stage.name,
            segment=segment,
            output=output,
        )
        blocks: list[Block] = list(blocks_of("output", stage.name, output))
        jobs = [staged.jobs[block.variable, block.index] for block in blocks]
        written = await write_grouped(
            self.services,
            self.simulation,
            str(staged.directory),
            list(zip(jobs, blocks, strict=True)),
            params_digest="",
        )
        return Staged(
            output=staged,
            receipts=tuple(r for w in written for r in w.receipts),
            cpu_s=sum(w.cpu_s for w in written),
        )


def _bring_home(staged: Staged) -> None:
    with durable.translated("bring back an output", staged.output.directory):
        there = staged.bring_home()
    if not there:
        raise StateNotDurableError(
            f"the output staged at {staged.output.directory} is gone before it was "
            f"committed; the attempt starts anew from the checkpoint before"
        )
