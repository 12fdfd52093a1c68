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

from climorch.core.expecting import still_needed
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.site_ports import ExpectingSite, Site
from climorch.engine.archiving import Archiver, open_archive
from climorch.engine.chores import Chores
from climorch.engine.cluster import Cluster
from climorch.engine.facts import FactQueue
from climorch.engine.keeper import RecordKeeper
from climorch.engine.lodging import Who
from climorch.engine.lookout import Lookout
from climorch.engine.recovery import reconcile
from climorch.engine.runner import SetRunner
from climorch.engine.scrubbing import Scrubber
from climorch.engine.services import Services
from climorch.engine.threads import DiskThreads
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.alarm import Alarm
from climorch.model.workflow import Workflow
from climorch.storage.archive import ArchiveStore
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.results import ResultStore

__all__ = ["Driver", "DriverSpec"]

logger = logging.getLogger(__name__)

# Commands that no later attempt could undo: they wait for their journal row.
IRREVOCABLE = (
    c.DeleteCheckpoint,
    c.PublishResults,
    c.EvaluateRule,
    c.EvaluateScore,
    c.AskRemedy,
)


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
        Submissions and projects of the script, and wishes from the inbox, that
        the journal has not.
    policies : Policies
        The rules.
    on_alarm : callable or None
        Told of what needs a person.
    """

    root: Path
    campaign: str
    workflows: Mapping[str, Workflow]
    facts: tuple[e.Fact, ...]
    policies: Policies = field(default_factory=Policies)
    on_alarm: Callable[[Alarm], None] | None = None


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
        folder = spec.root / spec.campaign
        self.lookout = Lookout(
            folder, spec.facts, spec.on_alarm, spec.policies.limits.most_exposure_s
        )
        self._archive: ArchiveStore | None = None
        self._facts = FactQueue()
        self._runners: dict[tuple[str, str], SetRunner] = {}
        self._deferred: list[c.Command] = []
        self._wake_at_s: float | None = None
        self._told: tuple[dict[str, tuple[str, ...]], dict[str, int]] = ({}, {})

    def post(self, fact: e.Fact) -> None:
        """Take a fact; on the driver's loop only."""
        self._facts.put(fact)

    def fail(self, error: BaseException) -> None:
        """Stop the campaign loudly with this error."""
        self._facts.put(error)

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
        async with self.lookout:
            await self._run()

    async def _run(self) -> None:
        spec, keeper = self.spec, self.keeper
        keeper.on_recovery = lambda: self._facts.put(None)
        loop = asyncio.get_running_loop()

        def superseded(error: BaseException) -> None:
            loop.call_soon_threadsafe(self.fail, error)

        keeper.on_takeover = superseded
        self.orchestrator.replay(keeper.replayed())
        self._archive = open_archive(
            spec.policies.archive,
            spec.campaign,
            epoch=keeper.epoch,
            state=self.orchestrator.state,
        )
        checkpoints = CheckpointStore(spec.root, spec.campaign, keeper.epoch)
        checkpoints.donor = self._archive.file_of if self._archive else None
        results = ResultStore(spec.root, spec.campaign, keeper.epoch)
        facts = [
            *keeper.opening_facts(spec.campaign),
            *await asyncio.to_thread(reconcile, self.orchestrator.state, checkpoints),
            *spec.facts,
        ]
        first = await self._decide(facts)
        self.lookout.start(self.orchestrator.state, self._facts.put)
        if not self.orchestrator.over:
            await self._work(first, checkpoints, results)
        stopping = self.orchestrator.state.stopping
        # What came while everything was ending: a user's wish, a late outcome.
        late = self._facts.taken()
        reason = "stop" if stopping else "done"
        self.lookout.alarms.look(self.orchestrator.state)
        await self._decide([*late, e.DriverStopped(reason=reason)])
        await keeper.close()

    async def _work(
        self,
        first: tuple[c.Command, ...],
        checkpoints: CheckpointStore,
        results: ResultStore,
    ) -> None:
        disk = DiskThreads()
        folder = self.spec.root / self.spec.campaign
        cluster = Cluster(
            self.site,
            post=self.post,
            fail=self.fail,
            alarms=self.lookout.alarms,
            let_go=self._let_go,
            watch=self.spec.policies.watch,
            who=Who(
                folder=folder,
                identity=self.keeper.identity,
                epoch=self.keeper.epoch,
            ),
        )
        services = Services(
            cluster=cluster,
            checkpoints=checkpoints,
            results=results,
            identity=self.keeper.identity,
            epoch=self.keeper.epoch,
            state=self.orchestrator.state,
            workflows=self.workflows,
            post=self.post,
            lost=self.fail,
            may_commit=self.keeper.writable,
            watch=self.spec.policies.watch,
            disk=disk,
        )
        chores = Chores(services, self.lookout.alarms, self._archiver(services))
        scrubber = Scrubber(
            self.spec.policies.scrub,
            self.orchestrator.state,
            checkpoints,
            self.post,
            disk=disk,
            alarms=self.lookout.alarms,
        )
        with contextlib.closing(disk):
            cluster.start()
            scrubber.start()
            try:
                await self._execute(first, services, chores)
                await self._loop(services, chores)
            finally:
                await scrubber.close()
                await cluster.close()
                await chores.close()

    def _archiver(self, services: Services) -> Archiver | None:
        rules, alarms = self.spec.policies.archive, self.lookout.alarms
        if rules is None or self._archive is None:
            return None
        return Archiver(rules, self._archive, services, alarms)

    async def _loop(self, services: Services, chores: Chores) -> None:
        while not self.orchestrator.over:
            facts = await self._facts.next(self._wake_at_s)
            commands = await self._decide(facts)
            await self._execute(commands, services, chores)

    async def _decide(self, facts: list[e.Fact]) -> tuple[c.Command, ...]:
        """Decide and journal; return what may be carried out."""
        now_s = time.time()
        outcome = self.orchestrator.handle(facts, now_s)
        now_s = self.orchestrator.state.now_s
        self._wake_at_s = outcome.wake_at_s
        durable = await self.keeper.append(outcome.records, now_s=now_s)
        commands = [*self._deferred, *outcome.commands]
        self._deferred = []
        trouble = "" if durable else self.keeper.trouble or "rows wait"
        self.lookout.decided(self.orchestrator.state, trouble)
        if not durable:
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
                case c.BeginCopy():
                    self._runner(services, command.simulation, command.set).copy(
                        command
                    )
                case c.SalvageCopy():
                    self._runner(services, command.simulation, command.set).salvage(
                        command
                    )
                case c.AbandonAttempt():
                    self._runner(services, command.simulation, command.set).abandon()
                case _:
                    chores.start(command)

    async def _tell_leases(self, services: Services) -> None:
        """Tell the Dask scheduler who holds which nodes, and what goes first."""
        held = [s for s in self.orchestrator.state.simulations.values() if s.lease]
        await services.cluster.tell_leases(
            {s.name: s.lease for s in held}, {s.name: s.priority for s in held}
        )
        if isinstance(self.site, ExpectingSite):
            self.site.expect(still_needed(self.orchestrator.state))

    def _runner(self, services: Services, simulation: str, name: str) -> SetRunner:
        found = self._runners.get((simulation, name))
        if found is None:
            s = self.orchestrator.state.simulations[simulation].sets[name]
            found = SetRunner(services, simulation, s)
            self._runners[simulation, name] = found
        return found

    async def _let_go(self) -> None:
        """Abandon every attempt; return once nothing of them runs any more."""
        runners = list(self._runners.values())
        for runner in runners:
            runner.abandon()
        await asyncio.gather(*(runner.closed() for runner in runners))
