"""The coarse mode decides what the fine mode decides, at the same moments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.model.protection import Protection
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.checkpointing import BeforeEvent, Daly, EverySegments, EveryWall
from climorch.policy.limits import Limits
from climorch.twin.costs import Overheads
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.storage import BadSpell, Storage
from tests.twin.agreeing import COUPLED, USUAL, agree, alike, told_in_one
from tests.unit.core.script import plan
from tests.unit.twin.stage import Play, stage

HOUR_S = 3600.0
DAY_S = 86_400.0


def test_nearly_all_of_an_undisturbed_simulation_is_told_in_one() -> None:
    """But for its first and its last few segments."""
    fine, coarse = agree(lambda play: play.submit(stage(segments=200)), **USUAL)

    assert told_in_one(fine) == 0
    assert told_in_one(coarse) >= 190
    assert len(coarse.records) < len(fine.records) / 10


@pytest.mark.parametrize(
    "strategy",
    [
        EverySegments(),
        EverySegments(count=7),
        EveryWall(seconds=35.0),
        Daly(),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_checkpoints_are_taken_where_the_strategy_says(strategy: Any) -> None:
    """The same number of them, the same copies, the same stalls."""
    rules = Policies(checkpointing=strategy, limits=Limits(most_exposure_s=200.0))

    fine, coarse = agree(
        lambda play: play.submit(stage(segments=150)), policies=rules, **USUAL
    )

    (ours,), (theirs,) = (
        p.twin.orchestrator.state.simulations["s"].sets.values() for p in (coarse, fine)
    )
    assert len(ours.commits) + ours.deleted == len(theirs.commits) + theirs.deleted
    assert told_in_one(coarse) > 100


def test_checkpoints_that_take_longer_than_a_segment_are_skipped() -> None:
    """One in flight: the next boundary goes without."""
    how = USUAL | {"overheads": Overheads(checkpoint_s=27.0, stall_s=0.5)}

    _, coarse = agree(lambda play: play.submit(stage(segments=100)), **how)

    assert told_in_one(coarse) > 80


@pytest.mark.parametrize("stages", COUPLED.values(), ids=COUPLED.keys())
@pytest.mark.parametrize("every", [1, 3])
def test_coupled_stages_wait_for_each_other(
    stages: tuple[StagePlan, ...], every: int
) -> None:
    """Whatever they read of each other."""
    _, coarse = agree(lambda play: play.submit(*stages), every=every, **USUAL)

    assert told_in_one(coarse) > 60


def test_who_is_not_decided_on_is_not_told_of() -> None:
    """Nodes change hands a hundred times beside one that goes on by itself."""

    def prepare(play: Play) -> None:
        play.submit(stage(segments=400))
        for number in range(50):
            after_s = 60.0 * number + 100.0
            play.submit(stage(segments=5), name=f"t{number}", after_s=after_s)

    _, coarse = agree(prepare, **USUAL)

    leases = [r for _, r in coarse.records if isinstance(r, c.SetLease)]
    told = [f for _, f in coarse.facts(e.SetAdvanced) if f.simulation == "s"]
    assert len(leases) >= 100
    assert 1 <= len(told) <= 15
    assert told_in_one(coarse) > 390


WISHES: dict[str, tuple[e.Fact, ...]] = {
    "pause": (e.PauseRequested(simulation="s"),),
    "cancel": (e.CancelRequested(simulation="s"),),
    "drain": (e.DrainRequested(node="node-0"),),
    "priority": (e.PriorityRequested(simulation="t", priority=5),),
    "stop": (e.StopRequested(),),
    "window": (
        e.WindowDeclared(window=Window(name="w", start_s=1500.0, stop_s=2500.0)),
    ),
    "a part of the nodes": (
        e.WindowDeclared(
            window=Window(name="w", start_s=1700.0, stop_s=2500.0, nodes=("node-1",))
        ),
    ),
    "withdrawn": (
        e.WindowDeclared(window=Window(name="w", start_s=2500.0, stop_s=2600.0)),
        e.WindowWithdrawn(name="w"),
    ),
    "soft": (
        e.WindowDeclared(
            window=Window(name="w", start_s=903.0, stop_s=2500.0, hard=False)
        ),
    ),
    "another": (
        e.SimulationSubmitted(
            simulation="u",
            scenario=Scenario("u", priority=3, protection=Protection(level=1)),
            plan=plan(stage(segments=40, nodes=2)),
        ),
    ),
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES.keys())
def test_what_is_wanted_acts_at_the_next_boundary(wish: tuple[e.Fact, ...]) -> None:
    """In the middle of a stride as in fine mode."""

    def prepare(play: Play) -> None:
        for name in ("s", "t"):
            play.submit(stage(segments=200), name=name)
        for place, fact in enumerate(wish):
            play.twin.post(fact, after_s=903.0 + place)

    _, coarse = agree(prepare, until_s=4000.0, **USUAL)

    assert told_in_one(coarse) > 100


def test_a_window_that_is_told_of_late_changes_when_checkpoints_are_due() -> None:
    """A strategy that asks when nodes go hears of it in the middle of a stride."""
    rules = Policies(
        checkpointing=EverySegments(count=40) | BeforeEvent(lead_s=1200.0),
        limits=Limits(most_exposure_s=math.inf, most_overhead=math.inf),
    )

    def prepare(play: Play) -> None:
        play.submit(stage(segments=300))
        window = Window(name="w", start_s=2500.0, stop_s=2600.0)
        play.twin.post(e.WindowDeclared(window=window), after_s=903.0)

    fine, coarse = agree(prepare, policies=rules, **USUAL)

    copies = [
        len(s.commits) + s.deleted
        for play in (fine, coarse)
        for s in play.twin.orchestrator.state.simulations["s"].sets.values()
    ]
    assert copies[0] == copies[1] > 50
    assert told_in_one(coarse) > 200


def test_a_node_that_dies_costs_what_it_costs_in_fine_mode() -> None:
    """What was computed since the newest checkpoint, to the second."""
    dies = Absence(start_s=1003.0, stop_s=2000.0, nodes=("node-0",))

    _, coarse = agree(
        lambda play: play.submit(stage(segments=200, nodes=2)),
        every=9,
        absences=(dies,),
        detect_s=4.0,
        **USUAL,
    )

    account = coarse.twin.ledger.accounts["s"]
    assert 10.0 < account.worst_loss_s < 100.0
    assert told_in_one(coarse) > 150


def test_one_node_of_many_costs_what_it_costs_in_fine_mode() -> None:
    """Dask goes on with what is left, and the lease is filled up again."""
    dies = Absence(start_s=1003.0, stop_s=1300.0, nodes=("node-2",))

    _, coarse = agree(
        lambda play: play.submit(stage(segments=200, nodes=8)),
        absences=(dies,),
        **USUAL | {"nodes": 8},
    )

    assert told_in_one(coarse) > 150


def test_a_bad_spell_slows_checkpoints_that_are_under_way() -> None:
    """Twenty times slower: one takes six segments."""
    spell = BadSpell(start_s=501.0, stop_s=1203.0, factor=20.0)

    _, coarse = agree(
        lambda play: play.submit(stage(segments=200)),
        storage=Storage(spells=(spell,)),
        **USUAL,
    )

    assert told_in_one(coarse) > 180


def test_a_budget_ends_where_it_ends_in_fine_mode() -> None:
    """Two simulations of one project, a third of another one."""

    def prepare(play: Play) -> None:
        poor = Project("poor", budget_node_hours=1.0)
        play.twin.post(e.ProjectDeclared(project=poor))
        play.twin.post(e.ProjectDeclared(project=Project("rich")))
        for name, project in (("s", "poor"), ("t", "poor"), ("u", "rich")):
            play.twin.post(
                e.SimulationSubmitted(
                    simulation=name,
                    scenario=Scenario(name, project=project),
                    plan=plan(stage(segments=400)),
                )
            )

    _, coarse = agree(prepare, **USUAL | {"nodes": 3})

    assert told_in_one(coarse) > 300


def test_a_crowded_storage_is_seen_one_by_one() -> None:
    """Strides do not see each other's checkpoints: so few may be on their way."""

    def prepare(play: Play) -> None:
        for name in "stuv":
            play.submit(stage(segments=60), name=name)

    how = USUAL | {"nodes": 4, "storage": Storage(streams=0.25)}
    _, coarse = agree(prepare, **how)

    assert told_in_one(coarse) == 0


def test_a_run_may_go_on_after_its_end() -> None:
    """Told twice how far all are, and no second counted twice."""
    fine, coarse = (Play(**USUAL, coarse=mode) for mode in (False, True))
    for play in (fine, coarse):
        play.submit(stage(segments=100))
        for until_s in (401.0, 403.0, 777.0):
            play.run(until_s)

    alike(coarse, fine)


def test_what_is_told_in_one_replays_to_the_same_state() -> None:
    """The records of a coarse run are enough to have its state again."""
    play = Play(**USUAL, coarse=True)
    play.submit(stage(segments=100))
    play.run(700.0)

    replica = Orchestrator(Policies())
    replica.replay((record, now_s) for now_s, record in play.records)

    assert replica.state == play.twin.orchestrator.state


def rough(draw: np.random.Generator) -> dict[str, Any]:
    """Draw a site on which everything goes wrong now and then."""
    start_s = float(draw.uniform(1, 6)) * HOUR_S
    return {
        "nodes": int(draw.integers(6, 13)),
        "failures": Failures(
            mtbf_s=float(draw.choice([20, 100])) * HOUR_S, repair_median_s=HOUR_S / 2
        ),
        "outages": (Outages(every_s=18 * HOUR_S, lasts_s=HOUR_S / 3, sigma=0.5),),
        "absences": (
            Absence(start_s=start_s, stop_s=start_s + HOUR_S, count=3, notice_s=HOUR_S),
        ),
        "storage": Storage(
            spells=(BadSpell(start_s=HOUR_S, stop_s=2 * HOUR_S, factor=8.0),)
        ),
        "detect_s": float(draw.choice([0.5, 1.0, 40.0])),
        "speed_cv": 0.1,
        "noise_cv": 0.2,
        "drift_per_day": 0.01,
        "cost": lambda work, nodes: 60.0 * (0.1 + 0.9 * work.base / nodes),
        "overheads": Overheads(checkpoint_s=20.0, stall_s=1.0),
        "every": int(draw.integers(1, 5)),
    }


@pytest.mark.parametrize("seed", range(8))
def test_campaigns_that_compete_on_a_rough_site_agree(seed: int) -> None:
    """Whatever is drawn: gangs, couplings, priorities, failures, wishes."""
    draw = np.random.default_rng(seed)
    how = rough(draw)
    kinds = list(COUPLED.values())
    submitted = [
        (kinds[int(draw.integers(len(kinds)))], int(draw.integers(3)))
        if draw.random() < 0.5
        else ((stage(segments=150, nodes=gang, most=2 * gang),), int(draw.integers(3)))
        for gang in draw.integers(1, 5, size=8).tolist()
    ]
    wishes = [
        (float(draw.uniform(0, 8)) * HOUR_S, make(simulation=f"s{draw.integers(8)}"))
        for make in (e.PauseRequested, e.ResumeRequested, e.PauseRequested)
    ]

    def prepare(play: Play) -> None:
        for number, (stages, priority) in enumerate(submitted):
            after_s = 500.0 * number
            name = f"s{number}"
            play.submit(*stages, name=name, priority=priority, after_s=after_s)
        for after_s, wish in wishes:
            play.twin.post(wish, after_s=after_s)

    _, coarse = agree(prepare, until_s=2 * DAY_S, seed=seed, **how)

    assert told_in_one(coarse) > 100
