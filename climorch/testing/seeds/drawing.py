"""Cases drawn from a seed: small campaigns to which everything may happen.

Small on purpose: what can go wrong shows with few stages and few segments, and
thousands of seeds are worth more than one long campaign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import Coupling, RulePlan, SimulationPlan, StagePlan
from climorch.model.protection import Protection
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.policy.checkpointing import (
    AnyOf,
    BeforeEvent,
    CheckpointStrategy,
    Daly,
    EverySegments,
    EveryWall,
    ModelCalendar,
)
from climorch.policy.limits import Limits
from climorch.policy.partnering import PartnerCopy
from climorch.policy.quarantine import Quarantine
from climorch.policy.recovery import Budget, RecoveryPolicy
from climorch.policy.retention import KeepLast
from climorch.policy.sharing import Sharing
from climorch.testing.seeds.case import Case
from climorch.testing.seeds.enriching import enriched
from climorch.testing.seeds.features import Shares
from climorch.testing.seeds.happening import draw_events, draw_poison, draw_troubles
from climorch.testing.strategies import COARSE_S, FINENESS, FOR_EVER_S
from climorch.twin.costs import Amdahl, Costs, Overheads
from climorch.twin.hazards import Failures
from climorch.twin.loads import Load, Loads
from climorch.twin.site import TwinSite
from climorch.twin.storage import BadSpell, Storage

__all__ = ["draw_case"]

T = TypeVar("T")
HOUR_S = 3600.0
PROJECTS = ("p", "q", "r")
MOST_NODES = 8


def draw_case(seed: int, *, real: bool = False, shares: Shares | None = None) -> Case:
    """Draw a case.

    Parameters
    ----------
    seed : int
        Says everything, >= 0.
    real : bool
        Whether with a real journal and real checkpoints: the campaign is smaller
        then, and the power goes.
    shares : Shares or None
        How often there is what else; None: nothing but faults and wishes.

    Returns
    -------
    Case
        Always the same one.
    """
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(2, 6 if real else MOST_NODES + 1))
    projects = PROJECTS[: _pick(rng, (1, 1, 2, 3))]
    count = int(rng.integers(1, 3 if real else 5))
    later = int(rng.integers(0, 2))
    submitted = [
        _simulation(rng, f"s{i}", projects, nodes, real=real)
        for i in range(count + later)
    ]
    patient = rng.random() < 0.5
    site, policies = _site(rng, nodes), _policies(rng, patient=patient)
    case = Case(
        seed=seed,
        facts=(*_projects(rng, projects, submitted), *submitted[:count]),
        policies=policies,
        site=site,
        events=draw_events(
            rng, site.node_names, submitted, submitted[count:], projects, real=real
        ),
        troubles=tuple(
            t for t in draw_troubles(rng) if not (real and t.kind == "damage")
        ),
        poison=() if patient else draw_poison(rng, submitted),
        walltime_s=_pick(rng, (None,) * 6 + (4 * HOUR_S, 12 * HOUR_S)),
        real=real,
    )
    if shares is None:
        return case
    return enriched(case, np.random.default_rng([seed, 1]), shares)


def _pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def _stages(
    rng: np.random.Generator, prefix: str, left: int, nodes: int, segments: int
) -> list[StagePlan]:
    """Draw the stages of one coupled set; a stage reads SAME from earlier ones."""
    count = int(rng.integers(1, min(left, 3) + 1))
    coarse = int(rng.integers(1, segments + 1))
    fine = [_pick(rng, FINENESS) for _ in range(count)]
    # What runs together has to fit on the site.
    most = max(nodes // count, 1)
    stages = []
    for i in range(count):
        reads: dict[str, Coupling] = {}
        for j in range(count):
            if i == j or not (j == i - 1 or rng.random() < 0.5):
                continue
            same = j < i and fine[j] >= fine[i] and rng.random() < 0.5
            reads[f"{prefix}{j}"] = Coupling.SAME if same else Coupling.PREVIOUS
        gang = int(rng.integers(1, min(most, 3) + 1))
        more = _pick(rng, (None, 0, 1, 3))
        stages.append(
            StagePlan(
                name=f"{prefix}{i}",
                calendar="noleap",
                boundaries=tuple(range(0, coarse * COARSE_S + 1, COARSE_S // fine[i])),
                reads=reads,
                resources=Resources(
                    nodes=gang, max_nodes=None if more is None else gang + more
                ),
            )
        )
    return stages


def _plan(rng: np.random.Generator, nodes: int, *, real: bool) -> SimulationPlan:
    """Draw a plan that fits on the site."""
    while True:
        stages: list[StagePlan] = []
        for prefix in "abc"[: _pick(rng, (1, 1, 2) if real else (1, 1, 2, 3))]:
            left = 4 - len(stages)
            if left == 0:
                break
            earlier = [stage.name for stage in stages]
            drawn = _stages(rng, prefix, left, nodes, 4 if real else 8)
            for stage in drawn:
                after = tuple(name for name in earlier if rng.random() < 0.5)
                stages.append(
                    StagePlan(
                        name=stage.name,
                        calendar=stage.calendar,
                        boundaries=stage.boundaries,
                        reads=stage.reads,
                        after=after,
                        resources=stage.resources,
                    )
                )
        rules: tuple[RulePlan, ...] = ()
        if rng.random() < 0.3:
            rules = (RulePlan(name="rule0", when=_pick(rng, stages).name),)
        plan = SimulationPlan(workflow="drawn", stages=tuple(stages), rules=rules)
        if plan.nodes <= nodes:
            return plan


def _simulation(
    rng: np.random.Generator,
    name: str,
    projects: Sequence[str],
    nodes: int,
    *,
    real: bool,
) -> e.SimulationSubmitted:
    protection = Protection()
    if rng.random() < 0.5:
        protection = Protection(
            level=int(rng.integers(3)),
            exempt_for_s=_pick(rng, (0.0, HOUR_S)),
            min_between_s=_pick(rng, (0.0, 2 * HOUR_S)),
            max_preemptions=_pick(rng, (None, 0, 2)),
        )
    return e.SimulationSubmitted(
        simulation=name,
        scenario=Scenario(
            name,
            project=_pick(rng, projects),
            priority=int(rng.integers(-1, 2)),
            protection=protection,
        ),
        plan=_plan(rng, nodes, real=real),
    )


def _projects(
    rng: np.random.Generator,
    names: Sequence[str],
    submitted: Sequence[e.SimulationSubmitted],
) -> list[e.ProjectDeclared]:
    """Draw shares and budgets; a budget may end half-way."""
    found = []
    for name in names:
        work = sum(
            s.plan.nodes * sum(stage.segments for stage in s.plan.stages)
            for s in submitted
            if s.scenario.project == name
        )
        budget = work * _pick(rng, (0.05, 0.1, 0.3)) if rng.random() < 0.25 else None
        found.append(
            e.ProjectDeclared(
                project=Project(
                    name,
                    institution=_pick(rng, ("", "", "x")),
                    share=_pick(rng, (1.0, 1.0, 3.0)),
                    budget_node_hours=budget or None,
                )
            )
        )
    return found


def _site(rng: np.random.Generator, nodes: int) -> TwinSite:
    spells: tuple[BadSpell, ...] = ()
    if rng.random() < 0.3:
        start_s = rng.random() * 5 * HOUR_S
        spell = BadSpell(
            start_s=start_s,
            stop_s=start_s + HOUR_S,
            factor=_pick(rng, (5.0, 50.0)),
        )
        spells = (spell,)
    loads = None
    if rng.random() < 0.2:
        start_s = rng.random() * 3 * HOUR_S
        slow = Load(
            start_s=start_s,
            stop_s=start_s + 3 * HOUR_S,
            slow=3.0,
            nodes=(f"node-{rng.integers(nodes)}",),
        )
        loads = Loads(given=(slow,))
    failures = None
    if rng.random() < 0.3:
        failures = Failures(
            mtbf_s=_pick(rng, (5, 20, 100)) * HOUR_S,
            shape=_pick(rng, (0.7, 1.0, 2.0)),
            repair_median_s=HOUR_S / 4,
        )
    return TwinSite(
        nodes=nodes,
        speed_cv=_pick(rng, (0.0, 0.1)),
        failures=failures,
        loads=loads,
        storage=Storage(streams=_pick(rng, (0.5, 2.0, 8.0)), spells=spells),
        costs=Costs(
            default=Amdahl(seconds=_pick(rng, (200.0, 600.0, 1500.0)), serial=0.1),
            noise_cv=_pick(rng, (0.0, 0.1, 0.4)),
        ),
        overheads=Overheads(
            checkpoint_s=_pick(rng, (5.0, 60.0)), stall_s=_pick(rng, (0.5, 20.0))
        ),
        detect_s=_pick(rng, (0.0, 1.0, 300.0)),
    )


def _strategy(rng: np.random.Generator) -> CheckpointStrategy:
    several = (
        EverySegments(count=int(rng.integers(1, 4))),
        ModelCalendar(every=_pick(rng, ("1MS", "2YS"))),
        BeforeEvent(lead_s=_pick(rng, (600.0, 3000.0))),
    )
    choices: tuple[CheckpointStrategy, ...] = (
        EverySegments(count=int(rng.integers(1, 4))),
        EveryWall(seconds=_pick(rng, (0.0, 900.0, 4000.0))),
        Daly(first_cost_s=_pick(rng, (1.0, 60.0))),
        AnyOf(strategies=several),
    )
    disk = _pick(rng, choices)
    if rng.random() < 0.7:
        return disk
    return PartnerCopy(
        disk=disk,
        every=int(rng.integers(1, 3)),
        salvage_s=_pick(rng, (30.0, 600.0)),
        most_overhead=_pick(rng, (0.02, 1.0)),
    )


def _policies(rng: np.random.Generator, *, patient: bool) -> Policies:
    recovery = RecoveryPolicy()
    if patient:
        recovery = RecoveryPolicy(
            budgets={c: Budget(retries=10**6, first_delay_s=1.0) for c in Cause},
            quarantine=Quarantine(hangs=10**6, poison_after=10**6, alone_after=10**6),
        )
    return Policies(
        checkpointing=_strategy(rng),
        limits=Limits(
            most_overhead=_pick(rng, (0.001, 0.02, 1.0)),
            most_exposure_s=_pick(rng, (900.0, 3600.0, 4 * HOUR_S)),
        ),
        retention=KeepLast(count=int(rng.integers(1, 5))),
        recovery=recovery,
        full_every=int(rng.integers(1, 5)),
        sharing=Sharing(
            half_life_s=_pick(rng, (HOUR_S, 6e5)),
            min_run_s=_pick(rng, (0.0, 600.0, 4 * HOUR_S)),
            slice_s=_pick(rng, (1800.0, 4 * HOUR_S, FOR_EVER_S)),
            patience_s=_pick(rng, (2 * HOUR_S, 72 * HOUR_S)),
        ),
    )
