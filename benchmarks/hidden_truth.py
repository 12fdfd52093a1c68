"""Virtual campaigns whose laws no forecaster knows, and what really came of them.

None of the laws is one that `climorch.forecast` assumes: noise is Gamma with outliers
and a memory, simulations differ evenly and not normally, costs ramp, jump or swing,
nodes fail in bursts (Weibull) and a rack goes now and then, activities are late by a
Gamma law, priorities change in the middle.

Read `benchmarks/forecast_accuracy.py` first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.forecast.activities import Activity
from climorch.forecast.unfolded import Hold, Unfolded, edges_of, unfolded
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments
from climorch.twin.costs import Costs, Overheads, Work
from climorch.twin.driver import Twin
from climorch.twin.hazards import Failures, Outages
from climorch.twin.site import TwinSite

__all__ = ["AHEAD", "BEGIN_S", "KNOWN", "Truth", "truth_of"]

BEGIN_S = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400.0
HOUR_S = 3600.0
KNOWN, AHEAD = 6, 12
"""Months that the forecaster knows, and that come."""
PROJECTS = ("north", "south")


def nothing(*_: Any) -> xr.Dataset:
    """Return nothing: nobody runs this."""
    return xr.Dataset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """What is hidden of one campaign.

    Attributes
    ----------
    noise_cv : float
        Of single segments, Gamma.
    memory : float
        By which the noise of a segment is that of the one before.
    outliers : float
        Share of segments that take 2.5 times as long.
    spread : float
        By which simulations differ, even between plus and minus it.
    trend : str
        ``none``, ``ramp``, ``jump`` or ``swing``.
    strength : float
        Of it: a year's ramp, the jump, the swing.
    jump_day : float
        When the jump comes.
    mtbf_days, shape : float
        Of each node, Weibull.
    late_days : float
        Mean by which activities are late, Gamma.
    """

    noise_cv: float
    memory: float
    outliers: float
    spread: float
    trend: str
    strength: float
    jump_day: float
    mtbf_days: float
    shape: float
    late_days: float

    def level(self, day: float) -> float:
        """Return what costs are multiplied with on a day."""
        if self.trend == "ramp":
            return 1 + self.strength * day / 365
        if self.trend == "jump":
            return 1 + self.strength * (day >= self.jump_day)
        if self.trend == "swing":
            return 1 + 0.4 * self.strength * math.sin(day / 365 * 2 * math.pi)
        return 1.0


@dataclass(slots=True, kw_only=True)
class _Cost:
    """Hidden seconds of a stage."""

    laws: Laws
    mean_s: float
    seed: int
    day: Callable[[], float]
    _noise: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, work: Work, nodes: float) -> float:
        noise = self._noise.setdefault(work.simulation, [])
        while len(noise) <= work.segment:
            noise.extend(self._block(work, len(noise)))
        differs = 1 + self.laws.spread * noise[0]
        level = self.laws.level(self.day())
        return (
            self.mean_s
            * differs
            * level
            * noise[work.segment + 1]
            * (0.15 + 0.85 * work.base / nodes)
        )

    def _block(self, work: Work, known: int) -> list[float]:
        """Draw what differs, and the noise of some hundred segments."""
        word = sum(ord(x) * 31**k for k, x in enumerate(work.simulation + work.stage))
        rng = np.random.default_rng((self.seed, word, known))
        shape = self.laws.noise_cv**-2
        fresh = rng.gamma(shape, 1 / shape, 1200)
        keep = self.laws.memory
        for k in range(1, len(fresh)):
            fresh[k] = keep * fresh[k - 1] + (1 - keep) * fresh[k]
        fresh[rng.random(len(fresh)) < self.laws.outliers] *= 2.5
        first = [float(rng.uniform(-1, 1))] if not known else []
        return [*first, *fresh.tolist()]


@dataclass(slots=True, kw_only=True)
class Truth:
    """A campaign, what is known of it, and what came.

    Attributes
    ----------
    seed : int
        Of everything.
    limited : str
        ``demand`` or ``nodes``: what limits it.
    plan : tuple of Activity
        All scenarios, submitted or not.
    coming : bool
        Whether some are not submitted at the origin.
    records : list of (Record, float)
        The journal up to the origin.
    came : Unfolded
        What was held and done, from the beginning on, by month.
    segments : dict of str to int
        Planned of each simulation, all stages.
    """

    seed: int
    limited: str
    coming: bool
    plan: tuple[Activity, ...]
    records: list[tuple[Record, float]]
    came: Unfolded
    segments: dict[str, int]

    @property
    def held(self) -> list[float]:
        """Node-hours of every month."""
        months = zip(*self.came.node_s.values(), strict=True)
        return [sum(several) / HOUR_S for several in months]


def laws_of(rng: np.random.Generator) -> Laws:
    """Draw what is hidden."""
    return Laws(
        noise_cv=float(rng.uniform(0.2, 0.5)),
        memory=float(rng.uniform(0.0, 0.4)),
        outliers=float(rng.uniform(0.0, 0.03)),
        spread=float(rng.uniform(0.05, 0.25)),
        trend=str(rng.choice(["none", "ramp", "jump", "swing"])),
        strength=float(rng.uniform(-0.25, 0.25)),
        jump_day=float(rng.uniform(30, 330)),
        mtbf_days=float(rng.uniform(60, 400)),
        shape=float(rng.uniform(0.6, 0.9)),
        late_days=float(rng.uniform(3, 60)),
    )


def workflow_of(
    name: str, *, days: int, nodes: int, guess_s: float, coupled: bool
) -> Workflow:
    """Declare a workflow of so many segments."""
    made = Workflow(name)
    end = str(np.datetime64("2001-01-01") + np.timedelta64(days, "D"))
    span = Span("2001-01-01", end, every="1D", calendar="proleptic_gregorian")
    first = nodes if not coupled else max(nodes - 1, 1)
    made.stage(
        "atmosphere",
        nothing,
        init=nothing,
        span=span,
        reads={"ocean": Coupling.PREVIOUS} if coupled else {},
        resources=Resources(nodes=first, segment_s=guess_s),
    )
    if coupled:
        made.stage(
            "ocean",
            nothing,
            init=nothing,
            span=span,
            reads={"atmosphere": Coupling.PREVIOUS},
            resources=Resources(nodes=1, segment_s=guess_s),
        )
    return made


def truth_of(seed: int) -> Truth:
    """Draw a campaign and let it be.

    Parameters
    ----------
    seed : int
        Of it; even ones are limited by demand, odd ones by nodes; of four, two have
        activities to come at the origin.
    """
    rng = np.random.default_rng((seed, 77))
    laws = laws_of(rng)
    limited = ("demand", "nodes")[seed % 2]
    coming = (seed // 2) % 2 == 0
    kinds = {
        name: (float(rng.uniform(14, 30)) * HOUR_S, int(rng.integers(1, 5)), coupled)
        for name, coupled in (("esm", True), ("land", False))
    }
    plan, comes_on = [], {}
    count = int(rng.integers(10, 17))
    for number in range(count):
        kind = "esm" if number % 2 else "land"
        mean_s, nodes, coupled = kinds[kind]
        # From a third of a year to more than one, if nobody waits.
        days = int(rng.uniform(120, 420) * DAY_S / mean_s)
        guess_s = mean_s * float(rng.uniform(0.6, 1.6))
        start_day = 0.0 if number < 3 else float(rng.uniform(0, 130))
        if coming and number > 0.7 * count:
            # Not submitted at the origin.
            start_day = float(rng.uniform(185, 330))
        made = workflow_of(
            kind, days=days, nodes=nodes, guess_s=guess_s, coupled=coupled
        )
        scenario = Scenario(f"s{number:02d}", project=PROJECTS[int(rng.integers(2))])
        start = datetime.fromtimestamp(BEGIN_S + start_day * DAY_S, UTC)
        plan.append(Activity(workflow=made, scenario=scenario, start=start))
        late = float(rng.gamma(2.0, laws.late_days / 2)) if number >= 3 else 0.0
        comes_on[scenario.name] = start_day + late
    return _played(seed, rng, laws, limited, coming, tuple(plan), comes_on, kinds)


def _played(
    seed: int,
    rng: np.random.Generator,
    laws: Laws,
    limited: str,
    coming: bool,
    plan: tuple[Activity, ...],
    comes_on: dict[str, float],
    kinds: dict[str, tuple[float, int, bool]],
) -> Truth:
    asked = sum(a.plan.nodes for a in plan)
    part = 1.15 if limited == "demand" else float(rng.uniform(0.3, 0.45))
    nodes = max(round(part * asked), max(a.plan.nodes for a in plan) + 1)
    records: list[tuple[Record, float]] = []
    edges_s = edges_of(BEGIN_S, KNOWN + AHEAD)

    def keep(outcome: Outcome, now_s: float) -> None:
        if now_s < edges_s[KNOWN]:
            records.extend((record, now_s) for record in outcome.records)

    clock: list[Twin] = []

    def day() -> float:
        return (clock[0].now_s - BEGIN_S) / DAY_S if clock else 0.0

    site = _site(nodes, laws, kinds, seed, day)
    twin = Twin(
        Orchestrator(Policies(checkpointing=EverySegments())),
        site,
        seed=seed,
        begin_s=BEGIN_S,
        watcher=keep,
    )
    clock.append(twin)
    twin.post(e.DriverStarted(epoch=1, host="twin", pid=0))
    for name in PROJECTS:
        twin.post(e.ProjectDeclared(project=Project(name)))
    for activity in plan:
        fact = e.SimulationSubmitted(
            simulation=activity.name, scenario=activity.scenario, plan=activity.plan
        )
        twin.post(fact, after_s=comes_on[activity.name] * DAY_S)
    for name in rng.choice([a.name for a in plan], 3, replace=False):
        change = e.PriorityRequested(simulation=str(name), priority=5)
        twin.post(change, after_s=float(rng.uniform(100, 300)) * DAY_S)
    twin.run(edges_s[-1] - BEGIN_S)
    return Truth(
        seed=seed,
        limited=limited,
        coming=coming,
        plan=plan,
        records=records,
        came=_came(twin, seed, edges_s),
        segments={a.name: sum(stage.segments for stage in a.plan.stages) for a in plan},
    )


def _site(
    nodes: int,
    laws: Laws,
    kinds: dict[str, tuple[float, int, bool]],
    seed: int,
    day: Callable[[], float],
) -> TwinSite:
    """Make a site with hidden costs and failures."""
    stages = {
        (kind, stage): _Cost(laws=laws, mean_s=mean_s * share, seed=seed, day=day)
        for kind, (mean_s, _, coupled) in kinds.items()
        for stage, share in (("atmosphere", 1.0), ("ocean", 0.7))
        if coupled or stage == "atmosphere"
    }
    rack = tuple(f"node-{k}" for k in range(max(nodes // 3, 1)))
    return TwinSite(
        nodes=nodes,
        costs=Costs(stages=stages),
        overheads=Overheads(checkpoint_s=120.0, stall_s=10.0, restore_s=300.0),
        failures=Failures(
            mtbf_s=laws.mtbf_days * DAY_S, shape=laws.shape, repair_median_s=6 * HOUR_S
        ),
        outages=(
            Outages(every_s=120 * DAY_S, lasts_s=10 * HOUR_S, nodes=rack),
            Outages(every_s=90 * DAY_S, lasts_s=8 * HOUR_S, periodic=True),
        ),
    )


def _came(twin: Twin, seed: int, edges_s: tuple[float, ...]) -> Unfolded:
    state = twin.orchestrator.state
    projects = {s.name: s.scenario.project for s in state.simulations.values()}
    return unfolded(
        seed,
        (
            Hold(s.simulation, projects[s.simulation], s.nodes, s.start_s, s.stop_s)
            for s in twin.ledger.spans
        ),
        edges_s=edges_s,
        ended_s={
            name: account.completed_s
            for name, account in twin.ledger.accounts.items()
            if account.completed_s is not None
        },
        projects=projects,
    )
