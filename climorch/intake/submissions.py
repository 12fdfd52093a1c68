"""What a script submits: checked, bound to its functions, compared with the journal.

Decides which facts a script adds. Ignores where they go: the facade hands them
to the driver or to the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from climorch.core.site_ports import LaunchingSite, Site
from climorch.core.state import CampaignState
from climorch.errors import ConflictError, Fault, InvalidInputError
from climorch.intake.check import workflow_faults
from climorch.intake.kinds import require_site, require_submission, strategy_faults
from climorch.intake.planning import change_faults, make_plan, provenance, require_no
from climorch.intake.resubmitting import renewed_plan, resubmitted
from climorch.intake.templating import template_faults
from climorch.intake.trace import trace_faults
from climorch.model.events import (
    Fact,
    ProjectDeclared,
    SimulationSubmitted,
)
from climorch.model.numerics import Remedy
from climorch.model.pace import CheckpointStrategy
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import DEFAULT_PROJECT, Project, Scenario
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import Overrides

__all__ = ["Submissions"]


class Submissions:
    """Projects, workflows and simulations of one script.

    Parameters
    ----------
    projects : iterable of Project
        Who may be named by scenarios; ``"default"`` always may.

    Attributes
    ----------
    workflows : dict of str to Workflow
        Where functions bind, templates included.
    overrides : Overrides
        Strategies that stages and scenarios ask for; filled in with each `add`.
    remedies : dict of str to Remedy
        Workflow to what is done when its numbers blow up; likewise.

    Raises
    ------
    InvalidInputError
        If a project is declared twice, or an institution belongs to another.
    """

    def __init__(self, projects: Iterable[Project]) -> None:
        self.workflows: dict[str, Workflow] = {}
        declared = tuple(projects)
        faults = [*_twice(declared), *_nested(declared)]
        if faults:
            raise InvalidInputError("these projects cannot share", faults=faults)
        self._projects = {project.name: project for project in declared}
        self._submitted: dict[str, SimulationSubmitted] = {}
        self._stages: dict[tuple[str, str], CheckpointStrategy] = {}
        self._scenarios: dict[str, CheckpointStrategy] = {}
        # Filled in as simulations come, also while a driver runs.
        self.overrides = Overrides(stages=self._stages, scenarios=self._scenarios)
        self.remedies: dict[str, Remedy] = {}
        self._traced: set[int] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._submitted

    @property
    def holders(self) -> set[str]:
        """Projects and simulations of this script."""
        return {DEFAULT_PROJECT, *self._projects, *self._submitted}

    def add(
        self,
        workflow: Workflow,
        *,
        scenario: Scenario,
        state: CampaignState,
        checkpointing: CheckpointStrategy | None = None,
    ) -> SimulationSubmitted:
        """Take a simulation, or say what is wrong with it.

        Parameters
        ----------
        workflow : Workflow
            Its stages.
        scenario : Scenario
            Its name, parameters, project and priority.
        state : CampaignState
            What the campaign knows.
        checkpointing : CheckpointStrategy or None
            When it is checkpointed, in place of the campaign's strategy.

        Returns
        -------
        SimulationSubmitted
            What it is.

        Raises
        ------
        InvalidInputError
            With every fault of the workflow.
        ConflictError
            If a simulation of this name is another one.
        """
        faults = self._faults(workflow, scenario)
        faults += strategy_faults(f"scenario {scenario.name!r}", checkpointing)
        new = scenario.name not in state.simulations
        if not faults and new and id(workflow) not in self._traced:
            faults += trace_faults(workflow, scenario)
            self._traced.add(id(workflow))
        require_no(faults, f"workflow {workflow.name!r} cannot run")
        plan = make_plan(workflow, scenario)
        self._refuse_another(workflow, scenario, plan, state)
        for bound in (workflow, *workflow.templates):
            self.workflows[bound.name] = bound
            if bound.on_blow_up is not None:
                self.remedies[bound.name] = bound.on_blow_up
            for stage in bound.stages:
                if stage.checkpointing is not None:
                    self._stages[bound.name, stage.name] = stage.checkpointing
        if checkpointing is not None:
            self._scenarios[scenario.name] = checkpointing
        else:
            self._scenarios.pop(scenario.name, None)
        submitted = self._submitted[scenario.name] = SimulationSubmitted(
            simulation=scenario.name,
            scenario=scenario,
            plan=plan,
            provenance=provenance(workflow),
        )
        return submitted

    def plan(
        self, workflow: Workflow, *, scenario: Scenario, state: CampaignState
    ) -> SimulationPlan:
        """Return what a simulation would consist of, without taking it.

        Parameters
        ----------
        workflow, scenario, state
            As for `add`; no step is called.

        Returns
        -------
        SimulationPlan
            Its plan.

        Raises
        ------
        InvalidInputError, ConflictError
            As for `add`.
        """
        require_no(
            self._faults(workflow, scenario), f"workflow {workflow.name!r} cannot run"
        )
        plan = make_plan(workflow, scenario)
        self._refuse_another(workflow, scenario, plan, state)
        return plan

    def news(self, state: CampaignState) -> list[Fact]:
        """Return what was submitted and the journal does not have."""
        facts: list[Fact] = [
            ProjectDeclared(project=project)
            for project in self._projects.values()
            if state.projects.get(project.name) != project
        ]
        for name, submitted in self._submitted.items():
            known = state.simulations.get(name)
            if known is None:
                facts.append(submitted)
            elif (change := resubmitted(known, submitted)) is not None:
                facts.append(change)
        return facts

    def require_runnable(self, state: CampaignState, site: Site) -> None:
        """Refuse what can never run, before a driver starts.

        Parameters
        ----------
        state : CampaignState
            As journaled.
        site : Site
            Where it is to run.

        Raises
        ------
        InvalidInputError
            If it is no site, a function is missing or the site is too small.
        """
        require_site(site)
        unbound = [
            Fault(
                place=f"simulation {simulation.name!r}",
                problem=f"no workflow {simulation.plan.workflow!r} was submitted by "
                "this script",
                remedy="submit it again, or cancel the simulation",
            )
            for simulation in state.simulations.values()
            if simulation.wants_nodes and simulation.plan.workflow not in self.workflows
        ]
        if unbound:
            raise InvalidInputError("the campaign cannot run", faults=unbound)
        plans = {name: s.plan for name, s in state.simulations.items() if s.wants_nodes}
        plans |= {name: s.plan for name, s in self._submitted.items()}
        small = [
            f for name, plan in plans.items() for f in _size_faults(name, plan, site)
        ]
        if small:
            raise InvalidInputError("this site is too small", faults=small)

    def _faults(self, workflow: Workflow, scenario: Scenario) -> list[Fault]:
        require_submission(workflow, scenario)
        own = workflow_faults(workflow)
        return [
            # Of plans, which there are where nothing is wrong.
            *(own or template_faults(workflow)),
            *self._binding_faults(workflow),
            *self._project_faults(scenario),
        ]

    def _refuse_another(
        self,
        workflow: Workflow,
        scenario: Scenario,
        plan: SimulationPlan,
        state: CampaignState,
    ) -> None:
        """Refuse two simulations of one name: the later would take its place."""
        _refuse_changed(workflow, scenario, plan, state)
        before = self._submitted.get(scenario.name)
        if before is None:
            return
        faults = list(change_faults(before.plan, plan, {}))
        if faults:
            raise _conflict(scenario.name, "was submitted as another one", faults)

    def _binding_faults(self, workflow: Workflow) -> list[Fault]:
        return [
            Fault(
                place=f"workflow {bound.name!r}",
                problem="another workflow of this name was submitted",
                remedy="give each workflow its own name, or submit the same object",
            )
            for bound in (workflow, *workflow.templates)
            if self.workflows.get(bound.name, bound) is not bound
        ]

    def _project_faults(self, scenario: Scenario) -> list[Fault]:
        if scenario.project in self._projects or scenario.project == DEFAULT_PROJECT:
            return []
        return [
            Fault(
                place=f"scenario {scenario.name!r}, project",
                problem=f"{scenario.project!r} is not among {sorted(self._projects)}",
                remedy="declare it: Campaign(..., projects=[Project(...)])",
            )
        ]


def _twice(projects: Iterable[Project]) -> list[Fault]:
    counts = Counter(project.name for project in projects)
    return [
        Fault(
            place=f"project {name!r}",
            problem=f"it is declared {count} times",
            remedy="declare it once, with its share and its budget",
        )
        for name, count in counts.items()
        if count > 1
    ]


def _nested(projects: Iterable[Project]) -> list[Fault]:
    """Find the institutions that are projects of another one."""
    institutions = {project.institution for project in projects}
    return [
        Fault(
            place=f"project {project.name!r}, institution",
            problem=f"it is an institution itself and belongs to "
            f"{project.institution!r}; there are two levels",
            remedy="leave its institution empty",
        )
        for project in projects
        if project.name in institutions
        and project.institution not in ("", project.name)
    ]


def _refuse_changed(
    workflow: Workflow, scenario: Scenario, plan: SimulationPlan, state: CampaignState
) -> None:
    known = state.simulations.get(scenario.name)
    if known is None:
        return
    plan = renewed_plan(known, plan)
    names = {stage.name for stage in workflow.stages}
    faults = [
        Fault(
            place=f"stage {stage.name!r}",
            problem="a rule has added it, and the script has it no more",
            remedy="declare it again, with on_demand=True",
        )
        for stage in plan.stages
        if stage.name not in names
    ]
    faults += list(change_faults(known.plan, plan, known.committed_segments))
    if faults:
        raise _conflict(scenario.name, "exists and is another one", faults)


def _conflict(name: str, what: str, faults: Iterable[Fault]) -> ConflictError:
    told = "\n".join(f"  - {fault}" for fault in faults)
    return ConflictError(f"simulation {name!r} {what}:\n{told}", simulation=name)


def _size_faults(name: str, plan: SimulationPlan, site: Site) -> list[Fault]:
    faults = []
    if plan.nodes > site.most_nodes:
        faults.append(
            Fault(
                place=f"simulation {name!r}",
                problem=f"needs {plan.nodes} nodes, the site has at most "
                f"{site.most_nodes}",
                remedy="ask for fewer in Resources, or take a larger site",
            )
        )
    if (
        plan.together
        and isinstance(site, LaunchingSite)
        and site.job_nodes < plan.nodes <= site.most_nodes
    ):
        faults.append(
            Fault(
                place=f"simulation {name!r}",
                problem=f"needs {plan.nodes} nodes of one job, within which "
                f"{site.launcher} starts programs; jobs have {site.job_nodes}",
                remedy=f"give the site nodes_per_job={plan.nodes}, or Command a "
                "launcher that reaches further",
            )
        )
    faults += [
        Fault(
            place=f"simulation {name!r}",
            problem=f"needs {needs} {what} per node, the site's nodes have {has}",
            remedy="spread it over more nodes, or take larger ones",
        )
        for what, needs, has in (
            ("cores", plan.cores, site.node_cores),
            ("bytes of memory", plan.memory_bytes, site.node_memory_bytes),
            ("bytes of scratch", plan.scratch_bytes, site.node_scratch_bytes),
        )
        if 0 < has < needs
    ]
    return faults
