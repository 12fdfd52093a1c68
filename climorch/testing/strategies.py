"""Hypothesis strategies for what a campaign may consist of.

Every plan that is drawn is one that `submit` would accept: boundaries of
coupled stages are equal or nest, SAME reads form no cycle, a stage comes after
stages of earlier sets only. Small on purpose: what can go wrong shows with few
stages and few segments.
"""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from climorch.core.progress import Policies
from climorch.model.events import Cause, SimulationSubmitted
from climorch.model.plan import Coupling, RulePlan, SimulationPlan, StagePlan
from climorch.model.protection import Protection
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
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

__all__ = [
    "policies",
    "resources",
    "set_stages",
    "simulation_plans",
    "submissions",
]

# Seconds of model time of the longest segment; divisible by every fineness.
COARSE_S = 4
FINENESS = (1, 1, 2, 4)
PROJECTS = ("default", "p", "q")


def resources(*, most_nodes: int = 3) -> st.SearchStrategy[Resources]:
    """Draw what a stage needs.

    Parameters
    ----------
    most_nodes : int
        Largest gang, >= 1.
    """
    return st.builds(
        lambda nodes, more, memory: Resources(
            nodes=nodes,
            max_nodes=None if more is None else nodes + more,
            memory=memory,
        ),
        nodes=st.integers(1, most_nodes),
        more=st.none() | st.integers(0, 3),
        memory=st.sampled_from((0, 0, 0, 1000)),
    )


@st.composite
def set_stages(
    draw: st.DrawFn,
    *,
    prefix: str = "a",
    most_stages: int = 3,
    most_segments: int = 5,
    most_nodes: int = 3,
) -> tuple[StagePlan, ...]:
    """Draw the stages of one coupled set.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    prefix : str
        First letters of the names of its stages.
    most_stages, most_segments, most_nodes : int
        Limits, >= 1; segments are those of the coarsest stage.

    Returns
    -------
    tuple of StagePlan
        Coupled to one component; a stage reads SAME only from stages before
        it, and never from a coarser one.
    """
    count = draw(st.integers(1, most_stages))
    coarse = draw(st.integers(1, most_segments))
    fine = [draw(st.sampled_from(FINENESS)) for _ in range(count)]
    stages = []
    for i in range(count):
        reads: dict[str, Coupling] = {}
        for j in range(count):
            # Each is tied to the one before it, so that they are one set.
            tied = j == i - 1
            if i == j or not (tied or draw(st.booleans())):
                continue
            same = j < i and fine[j] >= fine[i] and draw(st.booleans())
            reads[f"{prefix}{j}"] = Coupling.SAME if same else Coupling.PREVIOUS
        stages.append(
            StagePlan(
                name=f"{prefix}{i}",
                calendar="noleap",
                boundaries=tuple(range(0, coarse * COARSE_S + 1, COARSE_S // fine[i])),
                reads=reads,
                resources=draw(resources(most_nodes=most_nodes)),
            )
        )
    return tuple(stages)


@st.composite
def simulation_plans(
    draw: st.DrawFn,
    *,
    most_sets: int = 3,
    most_stages: int = 4,
    most_segments: int = 5,
    most_nodes: int = 2,
    most_rules: int = 1,
) -> SimulationPlan:
    """Draw a plan of one to `most_sets` sets chained by ``after``.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    most_sets, most_stages, most_segments, most_nodes, most_rules : int
        Limits; stages are those of all sets.

    Returns
    -------
    SimulationPlan
        With as many rules as were drawn, named ``rule0`` and so on.
    """
    stages: list[StagePlan] = []
    prefixes = "abc"[: draw(st.integers(1, most_sets))]
    # The last ones may be optional: what comes after an optional one is so too.
    needed = prefixes[: draw(st.integers(1, len(prefixes)))]
    for prefix in prefixes:
        left = most_stages - len(stages)
        if left == 0:
            break
        earlier = [stage.name for stage in stages]
        for stage in draw(
            set_stages(
                prefix=prefix,
                most_stages=min(left, 3),
                most_segments=most_segments,
                most_nodes=most_nodes,
            )
        ):
            after = [name for name in earlier if draw(st.booleans())]
            more = {"after": tuple(after), "optional": prefix not in needed}
            stages.append(msgspec.structs.replace(stage, **more))
    rules = tuple(
        RulePlan(name=f"rule{i}", when=draw(st.sampled_from(stages)).name)
        for i in range(draw(st.integers(0, most_rules)))
    )
    scores = tuple(
        ScorePlan(
            name=f"score{i}",
            stage=draw(st.sampled_from(stages)).name,
            every=draw(st.integers(1, 3)),
            threshold=0.0,
        )
        for i in range(draw(st.integers(0, 1)))
    )
    return SimulationPlan(
        workflow="drawn", stages=tuple(stages), rules=rules, scores=scores
    )


# Longer than any campaign that is drawn.
FOR_EVER_S = 1e12

PROTECTIONS = st.just(Protection()) | st.builds(
    Protection,
    level=st.integers(0, 2),
    exempt_for_s=st.sampled_from((0.0, 50.0)),
    min_between_s=st.sampled_from((0.0, 100.0)),
    max_preemptions=st.sampled_from((None, 0, 2)),
)


@st.composite
def submissions(
    draw: st.DrawFn, *, most_simulations: int = 5, most_segments: int = 5
) -> tuple[SimulationSubmitted, ...]:
    """Draw simulations, named ``s0`` and so on, with their priorities.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    most_simulations, most_segments : int
        Limits, >= 1.
    """
    plans = draw(
        st.lists(
            simulation_plans(most_segments=most_segments),
            min_size=1,
            max_size=most_simulations,
        )
    )
    projects = draw(st.sampled_from((PROJECTS, PROJECTS[:1])))
    return tuple(
        SimulationSubmitted(
            simulation=f"s{i}",
            scenario=Scenario(
                f"s{i}",
                project=draw(st.sampled_from(projects)),
                priority=draw(st.integers(-1, 1)),
                protection=draw(PROTECTIONS),
            ),
            plan=plan,
        )
        for i, plan in enumerate(plans)
    )


def policies(*, patient: bool = False) -> st.SearchStrategy[Policies]:
    """Draw the rules of a campaign.

    Parameters
    ----------
    patient : bool
        Whether no failure ever uses a budget up.
    """
    disk: st.SearchStrategy[CheckpointStrategy] = st.one_of(
        st.builds(EverySegments, count=st.integers(1, 3)),
        st.builds(EveryWall, seconds=st.sampled_from((0.0, 20.0, 200.0))),
        st.builds(Daly, first_cost_s=st.sampled_from((0.1, 5.0))),
        st.builds(
            AnyOf,
            strategies=st.tuples(
                st.builds(EverySegments, count=st.integers(1, 3)),
                st.builds(ModelCalendar, every=st.sampled_from(("1MS", "2YS"))),
                st.builds(BeforeEvent, lead_s=st.sampled_from((10.0, 1000.0))),
            ),
        ),
    )
    limits = st.builds(
        Limits,
        most_overhead=st.sampled_from((0.001, 0.02, 1.0)),
        most_exposure_s=st.sampled_from((60.0, 3600.0)),
    )
    copying = st.builds(
        PartnerCopy,
        disk=disk,
        every=st.integers(1, 2),
        salvage_s=st.sampled_from((2.0, 60.0)),
        most_overhead=st.sampled_from((0.02, 1.0)),
    )
    strategy = st.one_of(disk, copying)
    endless = {cause: Budget(retries=10**6, first_delay_s=1.0) for cause in Cause}
    tolerant = Quarantine(hangs=10**6, poison_after=10**6, alone_after=10**6)
    recovery = st.just(RecoveryPolicy(budgets=endless, quarantine=tolerant))
    if not patient:
        recovery = st.just(RecoveryPolicy()) | recovery
    return st.builds(
        Policies,
        checkpointing=strategy,
        limits=limits,
        retention=st.builds(KeepLast, count=st.integers(1, 4)),
        recovery=recovery,
        full_every=st.integers(1, 4),
        sharing=st.builds(
            Sharing,
            half_life_s=st.sampled_from((60.0, 1e4, 6e5)),
            min_run_s=st.sampled_from((0.0, 20.0, 4 * 3600.0)),
            slice_s=st.sampled_from((20.0, 200.0, FOR_EVER_S)),
        ),
    )
