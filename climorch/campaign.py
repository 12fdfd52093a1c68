"""The facade: what a user's script calls.

Collects submissions and checks them; everything durable happens when the
campaign runs. Running the script again goes on where it ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import xarray as xr

from climorch.core.explain import Explanation, explain, summarise
from climorch.core.orchestrator import Orchestrator
from climorch.core.ports import Site
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.engine.driver import DriverSpec
from climorch.engine.keeper import RecordKeeper
from climorch.engine.session import Run, open_journal, read_state
from climorch.errors import ConflictError, Fault, InvalidInputError, NotFoundError
from climorch.intake.check import workflow_faults
from climorch.intake.planning import change_faults, make_plan, provenance
from climorch.intake.trace import trace_faults
from climorch.model import events as e
from climorch.model.names import name_fault
from climorch.model.scenario import DEFAULT_PROJECT, Project, Scenario
from climorch.model.workflow import Workflow
from climorch.report import CampaignStatus
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.results import ResultStore

__all__ = ["Campaign"]


class Campaign:
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
    """

    def __init__(
        self,
        name: str,
        *,
        root: str | Path = "checkpoints",
        projects: Iterable[Project] = (),
        policies: Policies | None = None,
    ) -> None:
        fault = name_fault(name, place="Campaign.name")
        if fault is not None:
            raise InvalidInputError("this campaign cannot be made", faults=[fault])
        self.name = name
        self.root = Path(root).absolute()
        self.policies = policies or Policies()
        self._projects = {project.name: project for project in projects}
        self._workflows: dict[str, Workflow] = {}
        self._submitted: dict[str, e.SimulationSubmitted] = {}
        self._traced: set[int] = set()
        self._known: CampaignState | None = None
        self._run: Run | None = None

    # -- submitting ---------------------------------------------------------

    def submit(self, workflow: Workflow, *, scenario: Scenario) -> None:
        """Add a simulation, or say again what it is.

        Parameters
        ----------
        workflow : Workflow
            Its stages; functions bind by the workflow's name.
        scenario : Scenario
            Its name, parameters, project and priority.

        Raises
        ------
        InvalidInputError
            With every fault of the workflow; nothing was started.
        ConflictError
            If a simulation of this name is another one: with other
            parameters, stages, couplings, chunks, calendar, start or
            segments, or with an end before what is committed.
        """
        faults = workflow_faults(workflow)
        faults += self._binding_faults(workflow)
        project = scenario.project
        if project not in self._projects and project != DEFAULT_PROJECT:
            faults.append(
                Fault(
                    place=f"scenario {scenario.name!r}, project",
                    problem=f"{project!r} is not among {sorted(self._projects)}",
                    remedy="declare it: Campaign(..., projects=[Project(...)])",
                )
            )
        if not faults and id(workflow) not in self._traced and self._is_new(scenario):
            faults += trace_faults(workflow, scenario)
            self._traced.add(id(workflow))
        if faults:
            raise InvalidInputError(
                f"workflow {workflow.name!r} cannot run", faults=faults
            )
        plan = make_plan(workflow, scenario)
        self._check_change(scenario, plan)
        for bound in (workflow, *workflow.templates):
            self._workflows[bound.name] = bound
        self._submitted[scenario.name] = e.SimulationSubmitted(
            simulation=scenario.name,
            scenario=scenario,
            plan=plan,
            provenance=provenance(workflow),
        )
        if self._run is not None and self._run.alive:
            self._run.bind(self._workflows)
            self._run.post(*self._news(self._run.state()))

    def _is_new(self, scenario: Scenario) -> bool:
        return scenario.name not in self._state().simulations

    def _binding_faults(self, workflow: Workflow) -> list[Fault]:
        return [
            Fault(
                place=f"workflow {bound.name!r}",
                problem="another workflow of this name was submitted",
                remedy="give each workflow its own name, or submit the same object",
            )
            for bound in (workflow, *workflow.templates)
            if self._workflows.get(bound.name, bound) is not bound
        ]

    def _check_change(self, scenario: Scenario, plan) -> None:  # type: ignore[no-untyped-def]
        known = self._state().simulations.get(scenario.name)
        if known is None:
            return
        committed = {
            stage: count
            for s in known.sets.values()
            for stage, count in s.committed_segments.items()
        }
        faults = list(change_faults(known.plan, plan, committed))
        if faults:
            raise ConflictError(
                f"simulation {scenario.name!r} exists and is another one:\n"
                + "\n".join(f"  - {fault}" for fault in faults),
                simulation=scenario.name,
            )

    def _news(self, state: CampaignState) -> list[e.Fact]:
        """Return what was submitted and the journal does not have."""
        facts: list[e.Fact] = [
            e.ProjectDeclared(project=project)
            for project in self._projects.values()
            if state.projects.get(project.name) != project
        ]
        for name, submitted in self._submitted.items():
            known = state.simulations.get(name)
            if known is None:
                facts.append(submitted)
            elif (known.plan, known.scenario) != (submitted.plan, submitted.scenario):
                facts.append(
                    e.SimulationChanged(
                        simulation=name,
                        scenario=submitted.scenario,
                        plan=submitted.plan,
                    )
                )
        return facts

    # -- running ------------------------------------------------------------

    def run(self, site: Site) -> CampaignStatus:
        """Run until nothing is left to do; call it again and it goes on.

        Ctrl-C or SIGTERM checkpoint every simulation at its next boundary and
        leave; a second one leaves at once, losing what is not checkpointed.

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
        InvalidInputError
            If a simulation can never run on this site.
        ConflictError
            If another driver runs this campaign.
        """
        run = self.start(site)
        run.wait(handle_signals=True)
        return self.status()

    def start(self, site: Site) -> Run:
        """Run in the background.

        Returns
        -------
        Run
            ``wait()``, ``stop()``, ``facts()``.
        """
        if self._run is not None and self._run.alive:
            raise ConflictError(
                f"campaign {self.name!r} runs already; stop it first or wait for it"
            )
        keeper = RecordKeeper(open_journal(self.root, self.name))
        try:
            orchestrator = Orchestrator(self.policies)
            orchestrator.replay(keeper.replayed())
            facts = self._news(orchestrator.state)
            self._refuse_unbound(orchestrator.state)
            self._refuse_impossible(orchestrator.state, site)
        except BaseException:
            keeper.release()
            raise
        spec = DriverSpec(
            root=self.root,
            campaign=self.name,
            workflows=dict(self._workflows),
            facts=tuple(facts),
            policies=self.policies,
        )
        self._known = None
        self._run = Run(spec, site, keeper)
        return self._run

    def _refuse_unbound(self, state: CampaignState) -> None:
        faults = [
            Fault(
                place=f"simulation {simulation.name!r}",
                problem=f"no workflow {simulation.plan.workflow!r} was submitted by "
                "this script",
                remedy="submit it again, or cancel the simulation",
            )
            for simulation in state.simulations.values()
            if simulation.wants_nodes
            and simulation.plan.workflow not in self._workflows
        ]
        if faults:
            raise InvalidInputError("the campaign cannot run", faults=faults)

    def _refuse_impossible(self, state: CampaignState, site: Site) -> None:
        plans = {name: s.plan for name, s in state.simulations.items() if s.wants_nodes}
        plans |= {name: s.plan for name, s in self._submitted.items()}
        faults = []
        for name, plan in plans.items():
            if plan.nodes > site.most_nodes:
                faults.append(
                    Fault(
                        place=f"simulation {name!r}",
                        problem=f"needs {plan.nodes} nodes, the site has at most "
                        f"{site.most_nodes}",
                        remedy="ask for fewer in Resources, or take a larger site",
                    )
                )
            if 0 < site.node_memory_bytes < plan.memory_bytes:
                faults.append(
                    Fault(
                        place=f"simulation {name!r}",
                        problem=f"needs {plan.memory_bytes} bytes of memory per node, "
                        f"the site's nodes have {site.node_memory_bytes}",
                        remedy="spread it over more nodes, or take larger ones",
                    )
                )
        if faults:
            raise InvalidInputError("this site is too small", faults=faults)

    # -- control ------------------------------------------------------------

    def pause(self, name: str) -> None:
        """Checkpoint a simulation at its next boundary and free its nodes."""
        self._control(e.PauseRequested(simulation=name))

    def resume(self, name: str) -> None:
        """Let a simulation go on after a pause or a failure."""
        self._control(e.ResumeRequested(simulation=name))

    def cancel(self, name: str) -> None:
        """End a simulation for good; what is committed stays."""
        self._control(e.CancelRequested(simulation=name))

    def prioritize(self, name: str, *, priority: int) -> None:
        """Change the priority of a simulation; higher goes first."""
        self._control(e.PriorityRequested(simulation=name, priority=priority))

    def _control(
        self,
        fact: e.PauseRequested
        | e.ResumeRequested
        | e.CancelRequested
        | e.PriorityRequested,
    ) -> None:
        if fact.simulation not in self._submitted:
            self._require(fact.simulation)
        if self._run is not None and self._run.alive:
            self._run.post(fact)
            return
        self._known = None
        keeper = RecordKeeper(open_journal(self.root, self.name))
        try:
            state = read_state(self.root, self.name)
            keeper.append_now([*self._news(state), fact], now_s=time.time())
        finally:
            keeper.release()

    # -- looking ------------------------------------------------------------

    def status(self) -> CampaignStatus:
        """Return how far every simulation is."""
        return CampaignStatus(
            campaign=self.name, simulations=summarise(self._state(), time.time())
        )

    def explain(self, name: str) -> Explanation:
        """Say why a simulation is where it is, with every number."""
        return explain(self._state(), name, time.time())

    def results(self, simulation: str, stage: str) -> xr.Dataset:
        """Open the results of a stage, lazily, up to the newest commit.

        Raises
        ------
        NotFoundError
            If there is no such simulation or it has published nothing.
        """
        return ResultStore(self.root, self.name).open(simulation, stage)

    def ensemble(self, stage: str) -> xr.DataTree:
        """Open the results of a stage of every simulation that has any.

        Returns
        -------
        xarray.DataTree
            One child per simulation, named as it.
        """
        store = ResultStore(self.root, self.name)
        return xr.DataTree.from_dict(
            {
                name: store.open(name, stage)
                for name in self._state().simulations
                if store.exists(name, stage)
            }
        )

    def checkpoints(self, simulation: str) -> list[Path]:
        """Return the checkpoints of a simulation, newest first.

        Returns
        -------
        list of Path
            Each opens with ``xr.open_zarr(path / "state.zarr" / stage)``.
        """
        known = self._require(simulation)
        store = CheckpointStore(self.root, self.name)
        found = [c for s in known.sets for c in store.list(simulation, s)]
        return [c.path for c in sorted(found, key=lambda c: c.path.name, reverse=True)]

    def _require(self, name: str):  # type: ignore[no-untyped-def]
        state = self._state()
        if name not in state.simulations:
            raise NotFoundError(
                f"simulation {name!r} is not in campaign {self.name!r}; it has "
                f"{sorted(state.simulations) or 'none'}"
            )
        return state.simulations[name]

    def _state(self) -> CampaignState:
        if self._run is not None and self._run.alive:
            return self._run.state()
        if self._known is None:
            self._known = read_state(self.root, self.name)
        return self._known
