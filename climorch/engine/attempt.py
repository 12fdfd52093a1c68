"""One attempt at a set: its states on the cluster, from a boundary onwards.

Holds the states and exports of every stage as futures and advances them
segment by segment. Everything in here dies with the attempt; what lasts is
written by `checkpointing`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dask

from climorch.core.frontier import needed_exports
from climorch.core.origins import origins
from climorch.core.remedying import changes_of
from climorch.core.state import SetState
from climorch.core.stretch import p99_s
from climorch.engine.checking import refuse_metrics
from climorch.engine.exchanging import inputs_of, require_dates, require_first
from climorch.engine.keys import futures_in
from climorch.engine.opaque import advance_opaque, is_opaque
from climorch.engine.outputs import Outputs
from climorch.engine.rooting import EXPORTS, STATE, root_dataset, root_tag
from climorch.engine.services import Services
from climorch.engine.steps import (
    Held,
    build_init,
    build_segment,
    hold,
    in_flight,
    load_others,
    scalars,
    settle,
)
from climorch.engine.tags import Watched, annotating, make_tag
from climorch.engine.took import Took
from climorch.engine.worker import RootSpec
from climorch.intake.trace import make_segment
from climorch.model.advance import Advance
from climorch.model.plan import SetPlan, SimulationPlan, StagePlan
from climorch.model.workflow import Stage
from climorch.policy.watching import stuck_after_s
from climorch.storage.checkpoints import Checkpoint

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Attempt", "persist_all", "reading"]

logger = logging.getLogger(__name__)

INITIAL = -1


class Attempt:
    """The live side of a set between two losses.

    Parameters
    ----------
    services : Services
        The world.
    simulation : str
        Whose.
    s : SetState
        The set, as the orchestrator knows it when the attempt starts.
    """

    def __init__(self, services: Services, simulation: str, s: SetState) -> None:
        self.services = services
        self.simulation = simulation
        self.plan: SimulationPlan = services.state.simulations[simulation].plan
        self._set: SetPlan = s.plan
        self.number = s.attempt
        self.states: dict[str, xr.Dataset] = {}
        self.exports: dict[str, dict[int, xr.Dataset]] = {}
        self.finals: dict[str, xr.Dataset] = {}
        self.not_finite: dict[str, int] = {}
        self.took: dict[str, Took] = {}
        # Boundary at which the states are roots and nothing was computed since.
        self.rooted_at: int | None = None
        self.outputs = Outputs(services, simulation, self.set.name, self.number)
        workflow = services.workflows[self.plan.workflow]
        self.stages: dict[str, Stage] = {stage.name: stage for stage in workflow.stages}

    @property
    def set(self) -> SetPlan:
        """What it advances; longer than at its start where its end was moved on."""
        simulation = self.services.state.simulations[self.simulation]
        self._set = _longer(self._set, simulation.sets[self._set.name].plan)
        return self._set

    @property
    def tag(self) -> str:
        """Name of everything on the cluster that belongs to this attempt."""
        services = self.services
        number = f"{services.identity}.{services.epoch}.{self.number}"
        return f"{self.simulation}/{self.set.name}/{number}"

    async def begin(self) -> int:
        """Build the first states from the inits; return their bytes."""
        await self._load_finals()
        seed = (self.tag, "init")
        for stage in self.set.stages:
            first = await asyncio.to_thread(
                build_init,
                self.stages[stage.name],
                self.finals,
                make_segment(self.simulation, self.plan, stage, 0),
                (*seed, stage.name),
            )
            require_first(self, stage, first)
            # Who waits for ever behind an init that does so has no segment to lose.
            limited = replace(
                self._watched(stage, 0), limit_s=self.services.watch.begin_s
            )
            tag = make_tag(self.simulation, watched=limited)
            held = hold(self.services.client, first, tag)
            with in_flight(held.fresh):
                state = await load_others(self.services.client, held.state, tag)
            self.states[stage.name] = state
            self.exports[stage.name] = {INITIAL: held.exports}
        return await _settled(self)

    async def restore(self, checkpoint: Checkpoint, boundary: int) -> int:
        """Load the states of a checkpoint; return their bytes."""
        done = self.set.segments_at[boundary]
        rooted = await self.services.disk.run(self._roots, checkpoint)
        persisted = self._persist(rooted)
        for stage in self.set.stages:
            self.states[stage.name] = persisted[STATE, stage.name]
            export = persisted.get((EXPORTS, stage.name), self.states[stage.name])
            self.exports[stage.name] = {done[stage.name] - 1: export}
        return await _settled(self)

    async def advance(self, stage: StagePlan, segment: int) -> dict[str, float]:
        """Compute a segment; return its metrics."""
        tag, built = await self._built(stage, segment)
        await self.outputs.require_later(stage, segment, built.output)
        held: Held = hold(self.services.client, built, tag)
        with in_flight(held.fresh):
            await settle(held.futures)
            state = await load_others(self.services.client, held.state, tag)
            exports = state if held.exports is held.state else held.exports
            metrics = await scalars(self.services.client, held.metrics)
            refuse_metrics(stage.name, segment, self.stages[stage.name].checks, metrics)
        self.rooted_at = None
        self.states[stage.name] = state
        self.exports[stage.name][segment] = exports
        self._forget_exports(stage.name)
        if held.output is not None:
            self.outputs.stage(stage, segment, held.output)
        return metrics

    async def _built(
        self, stage: StagePlan, segment: int
    ) -> tuple[dict[str, Any], Advance]:
        """Build the graph of a segment, or compute one that has no graph."""
        declared = self.stages[stage.name]
        state, inputs = self.states[stage.name], inputs_of(self, stage, segment)
        s = self.services.state.simulations[self.simulation].sets[self.set.name]
        changes = changes_of(s, stage.name, segment)
        told = make_segment(self.simulation, self.plan, stage, segment, changes=changes)
        chunk = await self.outputs.chunk(declared)
        watched = self._watched(stage, segment)
        if is_opaque(declared):
            tag, built, took = await advance_opaque(
                self.services, self.tag, declared, told, state, inputs, chunk, watched
            )
            self.took[stage.name] = took
            require_dates(self, stage, built, told)
            return tag, built
        seed = (self.tag, stage.name, segment)
        built = await asyncio.to_thread(
            build_segment, declared, state, inputs, told, seed, chunk
        )
        require_dates(self, stage, built, told)
        return make_tag(self.simulation, watched=watched, paced=stage.name), built

    def reroot(self, rooted: Mapping[tuple[str, str], xr.Dataset]) -> None:
        """Go on with rooted states; exports that nobody will read are dropped."""
        for (tree, stage), dataset in rooted.items():
            if tree == STATE:
                exports = self.exports[stage]
                newest = max(exports, default=INITIAL)
                same = exports.get(newest) is self.states[stage]
                self.states[stage] = dataset
                # What only SAME readers needed would keep the old lineage.
                self.exports[stage] = (
                    {newest: dataset if same else exports[newest]}
                    if stage in self.set.previous_read
                    else {}
                )
        for (tree, stage), dataset in rooted.items():
            if tree == EXPORTS:
                self.exports[stage] = {max(self.exports[stage]): dataset}
        self.finals.clear()

    def present(self) -> dict[tuple[str, str], xr.Dataset]:
        """All that a checkpoint here has to hold, by tree and stage."""
        datasets = {(STATE, name): d for name, d in self.states.items()}
        return datasets | {(EXPORTS, n): d for n, d in self.pending_exports().items()}

    def pending_exports(self) -> dict[str, xr.Dataset]:
        """Newest exports that a PREVIOUS reader will need and no state is."""
        pending = {}
        for name in sorted(self.set.previous_read):
            export = self.exports[name][max(self.exports[name])]
            if export is not self.states[name]:
                pending[name] = export
        return pending

    async def release(self) -> None:
        """Let go of everything but what lies on the disk; `sweep` does that."""
        await self.outputs.stop()
        self.drop_states()

    async def sweep(self) -> None:
        """Remove outputs that were staged and not committed."""
        await self.services.disk.run(
            self.services.results.drop, self.simulation, self.set.name, self.number
        )

    def drop_states(self) -> None:
        """Let go of all but the outputs that are staged."""
        self.states.clear()
        self.exports.clear()
        self.finals.clear()

    def _watched(self, stage: StagePlan, segment: int) -> Watched:
        """Return how long tasks of a segment may take; inf: that is not known."""
        services = self.services
        simulation = services.state.simulations[self.simulation]
        takes_s = p99_s(simulation, simulation.sets[self.set.name], stage.name)
        limit_s = stuck_after_s(services.watch, stage.name, takes_s)
        return Watched(
            stage=stage.name,
            segment=segment,
            attempt=self.number,
            limit_s=math.inf if limit_s is None else limit_s,
        )

    def _forget_exports(self, name: str) -> None:
        """Drop exports that every reader has passed."""
        done = self.services.state.simulations[self.simulation].sets[self.set.name].done
        oldest = _oldest(self.set, name, done, max(self.exports[name]))
        self.exports[name] = {
            k: export for k, export in self.exports[name].items() if k >= oldest
        }

    async def _load_finals(self) -> None:
        """Bring the last states of the stages before, or of the parent."""
        simulations = self.services.state.simulations
        roots: dict[tuple[str, str], tuple[xr.Dataset, dict[str, RootSpec]]] = {}
        for owner, of, name, boundary in origins(
            simulations, self.simulation, self.set
        ):
            checkpoint = await self.services.disk.run(
                self.services.checkpoints.load, owner, of, boundary
            )
            found = await self.services.disk.run(self._roots, checkpoint)
            roots[STATE, name] = found[STATE, name]
        for (_, name), dataset in self._persist(roots).items():
            self.finals[name] = dataset

    def _roots(
        self, checkpoint: Checkpoint
    ) -> dict[tuple[str, str], tuple[xr.Dataset, dict[str, RootSpec]]]:
        templates = self.services.checkpoints.opened(checkpoint)
        roots = {}
        for tree, stages in checkpoint.manifest.arrays.items():
            for stage, arrays in stages.items():
                specs = {
                    array.name: RootSpec(
                        tag="",
                        directory=str(checkpoint.path),
                        array=f"{tree}.zarr/{stage}/{array.name}",
                        dtype=array.dtype,
                        shape=tuple(array.shape),
                        chunk_shape=tuple(array.chunk_shape),
                    )
                    for array in arrays
                }
                roots[tree, stage] = (templates[tree][stage], specs)
        return roots

    def _persist(
        self,
        roots: Mapping[tuple[str, str], tuple[xr.Dataset, dict[str, RootSpec]]],
    ) -> dict[tuple[str, str], xr.Dataset]:
        datasets = {
            where: root_dataset(template, specs, salt=(self.tag, *where))
            for where, (template, specs) in roots.items()
        }
        tag = root_tag(
            self.simulation,
            list(datasets.values()),
            self.services.lease(self.simulation),
            watched=reading(self),
        )
        return persist_all(self.services, datasets, tag)


def _oldest(plan: SetPlan, name: str, done: Mapping[str, int], newest: int) -> int:
    """Return the oldest export of a stage that somebody will read."""
    oldest = newest
    for reader in (stage for stage in plan.stages if name in stage.reads):
        segment = done[reader.name]
        if segment < reader.segments:
            oldest = min([oldest, *needed_exports(plan, reader, segment, name)])
    return oldest


def _longer(old: SetPlan, new: SetPlan) -> SetPlan:
    """Return the plan that goes further.

    An end that moved back ends the attempt, which may need the old one until then.
    """
    return new if new.last > old.last else old


async def _settled(attempt: Attempt) -> int:
    """Wait for all that an attempt begins with; return the bytes of its states."""
    exports = (d for e in attempt.exports.values() for d in e.values())
    parts = [*attempt.states.values(), *exports]
    futures = [f for part in parts for f in futures_in(part)]
    with in_flight(futures):
        await settle(futures)
    return sum(state.nbytes for state in attempt.states.values())


def reading(attempt: Attempt) -> Watched:
    """Return how long a block of a checkpoint may be read."""
    services, stage = attempt.services, attempt.set.stages[0].name
    s = services.state.simulations[attempt.simulation].sets[attempt.set.name]
    return Watched(
        stage=stage,
        segment=s.done[stage],
        attempt=attempt.number,
        limit_s=services.watch.read_s,
        reads=True,
    )


def persist_all(
    services: Services,
    datasets: Mapping[tuple[str, str], xr.Dataset],
    tag: Mapping[str, Any],
) -> dict[tuple[str, str], xr.Dataset]:
    """Persist several datasets in one go; those without fields stay."""
    from_graph = {w: d for w, d in datasets.items() if d.__dask_graph__()}
    held = dict(datasets)
    if from_graph:
        with dask.annotate(**annotating(tag)):
            persisted = services.client.persist(list(from_graph.values()))
        held |= dict(zip(from_graph, persisted, strict=True))
    return held
