"""The facade: what a user's script calls.

Collects submissions and checks them; everything durable happens when the
campaign runs. Running the script again goes on where it ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import xarray as xr

from climorch.core.explain import Explanation, explain
from climorch.core.pacing import too_long_before
from climorch.core.progress import Policies
from climorch.core.site_ports import Site
from climorch.core.statuses import known, nodes_of, require_stage, summarise
from climorch.core.supplying import supply_told
from climorch.core.window_statuses import windows_in
from climorch.engine.launch import launch
from climorch.engine.session import Run
from climorch.errors import ConflictError, InvalidInputError
from climorch.foresight import Foresight
from climorch.intake.submissions import Submissions
from climorch.model import events as e
from climorch.model.alarm import Alarm
from climorch.model.kinds import checks_kinds
from climorch.model.names import name_fault
from climorch.model.pace import CheckpointStrategy
from climorch.model.scenario import Project, Scenario
from climorch.model.workflow import Workflow
from climorch.report import CampaignStatus, Estimate, estimate
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.holding import Checkpoints
from climorch.storage.results import ResultStore
from climorch.twin.rehearsal import Play, rehearse, seconds_until
from climorch.twin.rehearsed import Rehearsal
from climorch.twin.site import TwinSite

__all__ = ["Campaign"]

logger = logging.getLogger(__name__)

# For a driver in this process to know what is submitted to it.
_TAKEN_S, _POLL_S = 10.0, 0.005


class Campaign(Foresight):
    """A study: simulations, projects and the rules they run by.

    Parameters
    ----------
    name : str
        Its folder below the root.
    root : str or Path
        Folder of journals, checkpoints and results, on a file system that
        every node sees.
    projects : iterable of Project
        Who may be named by scenarios; ``"default"`` always may.
    policies : Policies or None
        When to checkpoint, what to keep, how often to retry.
    on_alarm : callable or None
        Given each `Alarm` of a driver in this process, on a thread of its own;
        what it raises is logged. The log has every alarm too.
    """

    @checks_kinds
    def __init__(
        self,
        name: str,
        *,
        root: str | Path = "checkpoints",
        projects: Iterable[Project] = (),
        policies: Policies | None = None,
        on_alarm: Callable[[Alarm], None] | None = None,
    ) -> None:
        fault = name_fault(name, place="Campaign.name")
        if fault is not None:
            raise InvalidInputError("this campaign cannot be made", faults=[fault])
        self.name = name
        self.root = Path(root).absolute()
        self.on_alarm = on_alarm
        super().__init__(self.root / name, Submissions(projects))
        self.policies = self._with_overrides(policies or Policies())

    def submit(
        self,
        workflow: Workflow,
        *,
        scenario: Scenario,
        checkpointing: CheckpointStrategy | None = None,
    ) -> None:
        """Add a simulation, or say again what it is.

        Parameters
        ----------
        workflow : Workflow
            Its stages; functions bind by the workflow's name.
        scenario : Scenario
            Its name, parameters, project and priority.
        checkpointing : CheckpointStrategy or None
            When it is checkpointed, in place of the campaign's strategy; like
            functions it comes from the script. None: as the campaign.

        Raises
        ------
        InvalidInputError
            With every fault of the workflow; nothing was started.
        ConflictError
            If a simulation of this name is another one: with other
            parameters, stages, couplings, chunks, calendar, start or
            segments, or with an end before what is committed.
        """
        state = self._state()
        submitted = self._submissions.add(
            workflow, scenario=scenario, state=state, checkpointing=checkpointing
        )
        for fault in too_long_before(state, submitted, self.policies.limits):
            logger.warning("campaign=%s: %s", self.name, fault)
        run = self._live()
        if run is not None:
            run.bind(self._submissions.workflows)
            run.post(*self._submissions.news(run.state()))
            self._await_news(run)

    def estimate(self, workflow: Workflow, *, scenario: Scenario) -> Estimate:
        """Say what a simulation will take and cost, before it is submitted or later.

        From ``Resources(segment_s=...)``, then from other simulations of the
        workflow, then from its own segments. Waiting for nodes is not in it.

        Parameters
        ----------
        workflow, scenario
            As for `submit`.

        Returns
        -------
        Estimate
            Seconds and node-hours, each with 10, 50 and 90 percent.

        Raises
        ------
        InvalidInputError, ConflictError
            As for `submit`; or with each stage of which nothing is known.
        """
        state = self._state()
        plan = self._submissions.plan(workflow, scenario=scenario, state=state)
        return estimate(
            state,
            plan,
            name=scenario.name,
            policies=self.policies,
            now_s=time.time(),
        )

    def run(self, site: Site) -> CampaignStatus:
        """Run until nothing is left to do; call it again and it goes on.

        Ctrl-C or SIGTERM checkpoint every simulation at its next boundary and
        leave; a second one leaves at once, losing what is not checkpointed. Where
        work is left then, the script ends as by that signal.

        Parameters
        ----------
        site : Site
            Where nodes come from.

        Returns
        -------
        CampaignStatus
            Status of every simulation at the end.

        Raises
        ------
        ClimorchError, KeyboardInterrupt, SystemExit
            As for `start`, and what ended the run if it did not by itself.
        """
        run = self.start(site)
        run.wait(handle_signals=True)
        return self.status()

    def start(self, site: Site) -> Run:
        """Run in the background.

        Parameters
        ----------
        site : Site
            Where nodes come from.

        Returns
        -------
        Run
            ``wait()``, ``stop()``, ``facts()``.

        Raises
        ------
        InvalidInputError
            If a simulation can never run on this site.
        ConflictError
            If this campaign runs already, here or in another process.
        """
        if self._live() is not None:
            raise ConflictError(
                f"campaign {self.name!r} runs already; stop it first or wait for it"
            )
        self._run = launch(
            self.root,
            self.name,
            self._submissions,
            self.policies,
            site,
            self.on_alarm,
        )
        return self._run

    def status(self) -> CampaignStatus:
        """Return how far every simulation is, who has which node, and windows."""
        state = self._state()
        now_s = time.time()
        return CampaignStatus(
            campaign=self.name,
            simulations=summarise(state, now_s, self.policies),
            nodes=nodes_of(state, now_s),
            windows=windows_in(state, now_s),
            site=supply_told(state),
        )

    @checks_kinds
    def explain(self, name: str) -> Explanation:
        """Say why a simulation is where it is.

        Parameters
        ----------
        name : str
            Simulation.

        Returns
        -------
        Explanation
            Its status, and every number that the decisions rest on.
        """
        return explain(self._state(), name, time.time(), policies=self.policies)

    @checks_kinds
    def rehearse(
        self,
        site: TwinSite,
        *,
        until: datetime | timedelta,
        seeds: int | Iterable[int] = 5,
        policies: Policies | None = None,
        script: Iterable[tuple[timedelta, e.Fact]] = (),
        coarse: bool = False,
        processes: int = 1,
    ) -> Rehearsal:
        """Play what is left of the campaign on a virtual cluster.

        Starts from the campaign as it is and as this script submitted it, as if
        it were run again now, and does not touch the campaign. What is computed
        and not committed is computed again.

        Parameters
        ----------
        site : TwinSite
            Where. What it does not say is taken from what the campaign knows.
        until : datetime or timedelta
            End of the rehearsal, with a time zone; or how long from now.
        seeds : int or iterable of int
            How many runs, each with its own luck; or their seeds.
        policies : Policies or None
            Rules to try instead of the campaign's.
        script : iterable of (timedelta, Fact)
            What else happens, and how long from now.
        coarse : bool
            Whether to be faster by what nobody has to decide about.
        processes : int
            Runs side by side; with more than one the script must call this
            below ``if __name__ == "__main__":``.

        Returns
        -------
        Rehearsal
            Ends, utilisation, lost work and timelines, over the seeds.

        Raises
        ------
        InvalidInputError, BackendError
            If nobody knows how long some segments take; if a process died.
        """
        state = self._state()
        begin_s = max(time.time(), state.now_s)
        play = Play(
            state=state,
            facts=tuple(self._submissions.news(state)),
            policies=self._with_overrides(policies or self.policies),
            workflows=dict(self._submissions.workflows),
            site=site,
            begin_s=begin_s,
            until_s=seconds_until(until, begin_s),
            script=tuple((after.total_seconds(), fact) for after, fact in script),
            coarse=coarse,
        )
        chosen = range(seeds) if isinstance(seeds, int) else seeds
        return rehearse(play, chosen, processes=processes)

    @checks_kinds
    def results(self, simulation: str, stage: str) -> xr.Dataset:
        """Open the results of a stage, lazily, up to the newest commit.

        Parameters
        ----------
        simulation, stage : str
            Whose.

        Returns
        -------
        xarray.Dataset
            What the stage returned as ``output``, along ``time``.

        Raises
        ------
        NotFoundError
            If there is no such simulation or stage, or it has published nothing.
        """
        store = ResultStore(self.root, self.name)
        if not store.exists(simulation, stage):
            state = self._state()
            if simulation in state.simulations or simulation not in self._submissions:
                require_stage([known(state, simulation)], stage)
        return store.open(simulation, stage)

    @checks_kinds
    def ensemble(self, stage: str) -> xr.DataTree:
        """Open the results of a stage of every simulation that has any.

        Parameters
        ----------
        stage : str
            Which.

        Returns
        -------
        xarray.DataTree
            One child per simulation, named as it.

        Raises
        ------
        NotFoundError
            If no simulation has such a stage.
        """
        store = ResultStore(self.root, self.name)
        simulations = self._state().simulations
        require_stage(simulations.values(), stage)
        names = [name for name in simulations if store.exists(name, stage)]
        return xr.DataTree.from_dict({name: store.open(name, stage) for name in names})

    @checks_kinds
    def checkpoints(self, simulation: str) -> Checkpoints:
        """Return the checkpoints of a simulation, newest first; ``verify()`` them.

        Parameters
        ----------
        simulation : str
            Which.

        Returns
        -------
        Checkpoints
            A sequence of paths; each opens with
            ``xr.open_zarr(path / "state.zarr" / stage)``.
        """
        store = CheckpointStore(self.root, self.name)
        sets = known(self._state(), simulation).sets
        found = [c for s in sets for c in store.list(simulation, s)]
        found.sort(key=lambda c: (c.manifest.model_time, c.boundary), reverse=True)
        return Checkpoints([c.path for c in found])

    def _with_overrides(self, policies: Policies) -> Policies:
        """Let the strategies of stages and scenarios count beside some rules."""
        return replace(
            policies,
            overrides=self._submissions.overrides,
            remedies=self._submissions.remedies,
        )

    def _await_news(self, run: Run) -> None:
        """Return once `status` shows what was submitted, or it takes too long."""
        end_s = time.monotonic() + _TAKEN_S
        while run.alive and self._submissions.news(run.state()):
            if time.monotonic() > end_s:
                # With a journal that cannot be written, which is an alarm.
                logger.warning("campaign=%s: the driver takes its time", self.name)
                return
            time.sleep(_POLL_S)
