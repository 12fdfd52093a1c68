"""The live driver: one loop that journals before it acts.

Facts from nodes, attempts and the user come together in one queue; the
orchestrator decides on all of them at once; records are journaled; then the
commands are carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client

from climorch.core.orchestrator import Orchestrator
from climorch.core.ports import Site
from climorch.core.progress import Policies
from climorch.engine.chores import Chores
from climorch.engine.keeper import RecordKeeper
from climorch.engine.plugin import LeasePlugin, set_leases
from climorch.engine.recovery import reconcile
from climorch.engine.runner import SetRunner
from climorch.engine.services import Services
from climorch.engine.tags import TOPIC
from climorch.engine.worker import NodePlugin
from climorch.errors import InternalError, InvalidInputError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.workflow import Workflow
from climorch.sites.settings import setting_faults
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.results import ResultStore

__all__ = ["Driver", "DriverSpec"]

logger = logging.getLogger(__name__)

# Commands that no later attempt could undo: they wait for their journal row.
IRREVOCABLE = (c.DeleteCheckpoint, c.PublishResults, c.EvaluateRule)


@dataclass(frozen=True, kw_only=True)
class DriverSpec:
    """What a driver is to run.

    Attributes
    ----------
    root : Path
        Folder of all campaigns.
    campaign : str
        Which one.
    workflows : mapping of str to Workflow
        Where functions bind, templates included.
    facts : tuple of Fact
        Submissions and projects of the script that the journal has not.
    policies : Policies
        The rules.
    alarm : callable
        Told of what needs a person, in words.
    """

    root: Path
    campaign: str
    workflows: Mapping[str, Workflow]
    facts: tuple[e.Fact, ...]
    policies: Policies = field(default_factory=Policies)
    alarm: Callable[[str], None] = field(
        default=lambda message: logger.error("%s", message)
    )


class Driver:
    """Runs a campaign on a site until nothing is left to do.

    Parameters
    ----------
    spec : DriverSpec
        What to run.
    site : Site
        Where; opened only if there is something to compute.
    keeper : RecordKeeper
        The journal, open.
    """

    def __init__(self, spec: DriverSpec, site: Site, keeper: RecordKeeper) -> None:
        self.spec = spec
        self.site = site
        self.keeper = keeper
        self.workflows = dict(spec.workflows)
        self.orchestrator = Orchestrator(spec.policies)
        self._inbox: asyncio.Queue[e.Fact | BaseException | None] = asyncio.Queue()
        self._runners: dict[tuple[str, str], SetRunner] = {}
        self._deferred: list[c.Command] = []
        self._wake_at_s: float | None = None
        self._told: tuple[dict[str, tuple[str, ...]], dict[str, int]] = ({}, {})

    def post(self, fact: e.Fact) -> None:
        """Take a fact; on the driver's loop only."""
        self._inbox.put_nowait(fact)

    def fail(self, error: BaseException) -> None:
        """Stop the campaign loudly with this error."""
        self._inbox.put_nowait(error)

    async def run(self) -> None:
        """Run to the end.

        Raises
        ------
        ConflictError
            If a newer driver has taken over.
        InternalError
            If a hook on the Dask scheduler failed.
        BackendError
            If the journal cannot be written and memory is used up.
        """
        spec, keeper = self.spec, self.keeper
        keeper.on_recovery = lambda: self._inbox.put_nowait(None)
        loop = asyncio.get_running_loop()

        def superseded(error: BaseException) -> None:
            loop.call_soon_threadsafe(self.fail, error)

        keeper.on_takeover = superseded
        self.orchestrator.replay(keeper.replayed())
        checkpoints = CheckpointStore(spec.root, spec.campaign, keeper.epoch)
        results = ResultStore(spec.root, spec.campaign, keeper.epoch)
        facts = [
            *keeper.opening_facts(spec.campaign),
            *await asyncio.to_thread(reconcile, self.orchestrator.state, checkpoints),
            *spec.facts,
        ]
        first = await self._decide(facts)
        if not self.orchestrator.over:
            await self._work(first, checkpoints, results)
        stopping = self.orchestrator.state.stopping
        # What came while everything was ending: a user's wish, a late outcome.
        late = self._taken()
        reason = "stop" if stopping else "done"
        await self._decide([*late, e.DriverStopped(reason=reason)])
        await keeper.close()

    async def _work(
        self,
        first: tuple[c.Command, ...],
        checkpoints: CheckpointStore,
        results: ResultStore,
    ) -> None:
        address = await self.site.open()
        try:
            async with Client(
                address, asynchronous=True, set_as_default=False
            ) as client:
                services = await self._connect(client, checkpoints, results)
                chores = Chores(services, self.spec.alarm)
                try:
                    await self._execute(first, services, chores)
                    await self.site.start_nodes()
                    await self._loop(services, chores)
                finally:
                    await self._unwind(chores)
        finally:
            await self.site.close()

    async def _connect(
        self, client: Client, checkpoints: CheckpointStore, results: ResultStore
    ) -> Services:
        faults = await client.run_on_scheduler(setting_faults)
        if faults:
            raise InvalidInputError("Dask is not set as it must be", faults=faults)
        services = Services(
            client=client,
            checkpoints=checkpoints,
            results=results,
            epoch=self.keeper.epoch,
            state=self.orchestrator.state,
            workflows=self.workflows,
            post=self.post,
            lost=self.fail,
            may_commit=self.keeper.writable,
            watch=self.spec.policies.watch,
        )
        ready = asyncio.Event()

        def hear(event: tuple[float, Mapping[str, Any]]) -> None:
            if event[1]["what"] == "ready":
                ready.set()
            else:
                self._hear(event[1], services)

        client.subscribe_topic(TOPIC, hear)
        # The subscription travels in a batch of its own time: a node that joined
        # before it arrived would never be heard of. Call until there is an echo.
        while not ready.is_set():
            await client.log_event(TOPIC, {"what": "ready"})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ready.wait(), 0.02)
        await client.register_plugin(LeasePlugin(self.spec.policies.watch))
        await client.register_plugin(NodePlugin())
        return services

    def _hear(self, message: Mapping[str, Any], services: Services) -> None:
        """Turn what the plugin tells into facts."""
        match message["what"]:
            case "joined":
                services.nodes[message["address"]] = message["node"]
                self.post(
                    e.NodeJoined(
                        node=message["node"],
                        cores=message["cores"],
                        memory_bytes=message["memory"],
                    )
                )
            case "lost":
                services.nodes.pop(message["address"], None)
                self.post(e.NodeLost(node=message["node"], reason=message["reason"]))
            case "stuck":
                self._take_stuck(message)
            case "alarm":
                self.spec.alarm(message["message"])
            case "mistagged":
                logger.warning("%s", message["message"])
            case "error":
                self.fail(
                    InternalError(
                        f"a hook on the Dask scheduler failed: {message['message']}; "
                        "placement can no longer be trusted"
                    )
                )

    def _take_stuck(self, message: Mapping[str, Any]) -> None:
        if message["lease"] in self.orchestrator.state.simulations:
            self.post(
                e.SegmentFailed(
                    simulation=message["lease"],
                    stage=message["stage"],
                    segment=message["segment"],
                    attempt=message["attempt"],
                    cause=e.Cause.HANG,
                    message=message["message"],
                )
            )

    async def _loop(self, services: Services, chores: Chores) -> None:
        while not self.orchestrator.over:
            facts = await self._next_facts()
            commands = await self._decide(facts)
            await self._execute(commands, services, chores)

    def _taken(self) -> list[e.Fact]:
        """Take the facts that are there."""
        facts: list[e.Fact] = []
        while not self._inbox.empty():
            item = self._inbox.get_nowait()
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                facts.append(item)
        return facts

    async def _next_facts(self) -> list[e.Fact]:
        """Wait for something, then take all that is there."""
        timeout = None
        if self._wake_at_s is not None:
            timeout = max(self._wake_at_s - time.time(), 0.01)
        first: e.Fact | BaseException | None = None
        with contextlib.suppress(TimeoutError):
            first = await asyncio.wait_for(self._inbox.get(), timeout)
        if isinstance(first, BaseException):
            raise first
        return [*([] if first is None else [first]), *self._taken()]

    async def _decide(self, facts: list[e.Fact]) -> tuple[c.Command, ...]:
        """Decide and journal; return what may be carried out."""
        now_s = time.time()
        outcome = self.orchestrator.handle(facts, now_s)
        now_s = self.orchestrator.state.now_s
        self._wake_at_s = outcome.wake_at_s
        durable = await self.keeper.append(outcome.records, now_s=now_s)
        commands = [*self._deferred, *outcome.commands]
        self._deferred = []
        if not durable:
            self.spec.alarm(self.keeper.trouble)
            self._deferred = [x for x in commands if isinstance(x, IRREVOCABLE)]
            commands = [x for x in commands if not isinstance(x, IRREVOCABLE)]
        return tuple(commands)

    async def _execute(
        self, commands: tuple[c.Command, ...], services: Services, chores: Chores
    ) -> None:
        # Before anything is submitted for a new lease.
        await self._tell_leases(services)
        for command in commands:
            match command:
                case c.SetLease():
                    logger.info(
                        "lease simulation=%s nodes=%s why=%s",
                        command.simulation,
                        ",".join(command.nodes),
                        command.why,
                    )
                case c.StartAttempt():
                    runner = self._runner(services, command.simulation, command.set)
                    runner.start(command)
                case c.StartSegment():
                    plan = self.orchestrator.state.simulations[command.simulation].plan
                    name = plan.set_of[command.stage]
                    self._runner(services, command.simulation, name).segment(command)
                case c.BeginCheckpoint():
                    runner = self._runner(services, command.simulation, command.set)
                    runner.checkpoint(command)
                case c.AbandonAttempt():
                    self._runner(services, command.simulation, command.set).abandon()
                case _:
                    chores.start(command)

    async def _tell_leases(self, services: Services) -> None:
        """Tell the Dask scheduler of leases and priorities, if they changed."""
        held = [s for s in self.orchestrator.state.simulations.values() if s.lease]
        leases = {s.name: s.lease for s in held}
        priorities = {s.name: s.priority for s in held}
        if self._told == (leases, priorities):
            return
        self._told = (leases, priorities)
        errors = await services.client.run_on_scheduler(set_leases, leases, priorities)
        if errors:
            raise InternalError(f"hooks on the Dask scheduler failed: {errors}")

    def _runner(self, services: Services, simulation: str, name: str) -> SetRunner:
        found = self._runners.get((simulation, name))
        if found is None:
            s = self.orchestrator.state.simulations[simulation].sets[name]
            found = SetRunner(services, simulation, s)
            self._runners[simulation, name] = found
        return found

    async def _unwind(self, chores: Chores) -> None:
        """Stop everything that still runs, however the loop ended."""
        for runner in self._runners.values():
            runner.abandon()
        for runner in self._runners.values():
            await runner.closed()
        await chores.close()
