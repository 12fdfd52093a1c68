"""What theory says in closed form comes out of the twin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from climorch.model.events import SegmentFinished
from climorch.model.plan import Coupling
from climorch.twin.costs import Work
from climorch.twin.hazards import Failures, Outages
from tests.unit.twin.stage import OVERHEADS, Play, stage

DAY_S = 86_400.0


@pytest.mark.parametrize(("load", "jobs"), [(0.5, 300), (0.8, 300)])
def test_one_node_is_a_queue_with_one_server(load: float, jobs: int) -> None:
    """M/M/1: every wait is Lindley's, the mean is load / (1 - load) in the long run."""
    rng = np.random.default_rng(11)
    gaps = rng.exponential(1.0 / load, jobs)
    services = rng.exponential(1.0, jobs)
    arrivals = np.cumsum(gaps)

    def cost(work: Work, nodes: float) -> float:
        return float(services[int(work.simulation[1:])])

    play = Play(nodes=1, cost=cost)
    for i, at_s in enumerate(arrivals.tolist()):
        play.submit(stage(segments=1), name=f"s{i}", after_s=at_s)

    play.run()

    waited = [sum(a.waits) for a in play.twin.ledger.accounts.values()]
    expected = [0.0]
    for service, gap in zip(services[:-1], gaps[1:], strict=True):
        expected.append(max(expected[-1] + service - gap, 0.0))
    assert waited == pytest.approx(expected, abs=1e-6)
    # The waits are dependent: their mean over 300 jobs has an error of some 40 %.
    assert np.mean(waited) == pytest.approx(load / (1 - load), rel=1.2)
    used = play.twin.ledger.utilisation
    assert used == pytest.approx(services.sum() / play.twin.now_s)


def test_coupled_stages_in_turn_take_the_sum_of_both() -> None:
    """Atmosphere reads the ocean before, the ocean the atmosphere of now: 10 + 4."""
    play = Play(cost=lambda work, nodes: {"air": 10.0, "sea": 4.0}[work.stage])
    play.submit(
        stage("air", reads={"sea": Coupling.PREVIOUS}, segments=5),
        stage("sea", reads={"air": Coupling.SAME}, segments=5),
    )

    play.run()

    assert play.twin.now_s == 5 * 14.0
    # Both ask for one node of a lease of one: it is never idle.
    assert play.parts() == {"USEFUL": 70.0, "FREE": 210.0}


def test_coupled_stages_side_by_side_take_the_longer_of_both() -> None:
    """Each reads the other's segment before: the shorter one waits."""
    play = Play(cost=lambda work, nodes: {"air": 10.0, "sea": 4.0}[work.stage])
    play.submit(
        stage("air", reads={"sea": Coupling.PREVIOUS}, segments=5),
        stage("sea", reads={"air": Coupling.PREVIOUS}, segments=5),
    )

    play.run()

    assert play.twin.now_s == 5 * 10.0
    assert play.parts() == {"USEFUL": 70.0, "IDLE": 30.0, "FREE": 100.0}


def test_a_graph_of_phases_takes_its_critical_path() -> None:
    """Spin-up, then two phases side by side, then one after both."""
    seconds = {"spin": 7.0, "long": 20.0, "short": 6.0, "last": 3.0}
    play = Play(cost=lambda work, nodes: seconds[work.stage], overheads=OVERHEADS)
    play.submit(
        stage("spin", segments=2),
        stage("long", segments=3, after=("spin",)),
        stage("short", segments=3, after=("spin",)),
        stage("last", segments=1, after=("long", "short")),
    )

    play.run()

    # Each phase: start 1, init 2, its segments with a stall of 0.5 between, and 3
    # until its end is committed; the results of the last one are published by 0.25.
    spin = 3 + 2 * 7.0 + 0.5 + 3
    long = 3 + 3 * 20.0 + 2 * 0.5 + 3
    last = 3 + 3.0 + 3
    assert play.twin.now_s == spin + long + last + 0.25


def test_simulations_share_nodes_as_gangs() -> None:
    """Three gangs of two on four nodes: two run, the third one after them."""
    play = Play()
    for name in "abc":
        play.submit(stage(segments=3, nodes=2), name=name)

    play.run()

    done = {n: a.completed_s for n, a in play.twin.ledger.accounts.items()}
    assert done == {"a": 30.0, "b": 30.0, "c": 60.0}


def test_nodes_are_up_for_their_availability_in_the_books() -> None:
    """Up and ours over the whole: MTBF / (MTBF + MTTR), within four errors."""
    failures = Failures(mtbf_s=9 * DAY_S, repair_median_s=DAY_S, repair_sigma=0.0)
    play = Play(nodes=100, failures=failures)
    # So that the campaign does not end: a gang larger than the site.
    play.submit(stage(nodes=101))
    play.twin.run(500 * DAY_S)

    ledger = play.twin.ledger
    up = ledger.up_node_s / (100 * 500 * DAY_S)
    # 5,000 cycles.
    assert 1 - up == pytest.approx(0.1, rel=4 / np.sqrt(5000))


def test_failures_cost_what_they_must() -> None:
    """Of each period between outages, half a checkpoint interval and the restart."""
    outages = Outages(every_s=3600.0, lasts_s=60.0, periodic=True)
    play = Play(
        nodes=1,
        outages=(outages,),
        detect_s=0.0,
        overheads=OVERHEADS,
        cost=lambda work, nodes: 200.0,
        noise_cv=0.3,
    )
    play.submit(stage(segments=7000))

    play.run(15 * DAY_S)

    periods = 15 * 24
    parts = play.parts()
    # One segment and its wait for the cut are broken off at a uniform place. What
    # an outage falls into is longer than the mean: (1 + cv^2) of it; and where it
    # falls into the 3 s of writing, the segment before is lost as well. Over 360
    # periods that mean has an error of 3 %.
    broken = (1 + 0.3**2) * 200.0 / 2 + 0.015 * 200.0
    assert parts["LOST"] / periods == pytest.approx(broken, rel=0.12)
    # Start 1 s and read 4 s; the very first one makes its states in 2 s.
    assert parts["RESTORE"] / periods == pytest.approx(5.0, rel=0.01)


def test_noise_lengthens_nothing_in_the_mean() -> None:
    """A thousand segments of mean 10 s take 10,000 s within four errors."""
    play = Play(nodes=1, noise_cv=0.2)
    play.submit(stage(segments=1000))

    play.run()

    assert play.twin.now_s == pytest.approx(10_000.0, rel=4 * 0.2 / 1000**0.5)


def test_two_policies_meet_the_same_fate() -> None:
    """Nodes fail and segments vary alike, however often one checkpoints."""
    failures = Failures(mtbf_s=2000.0, repair_median_s=100.0)
    plays = [
        Play(every=every, failures=failures, noise_cv=0.2, seed=3) for every in (1, 4)
    ]
    for play in plays:
        play.submit(stage(segments=2000, nodes=2))
        play.run(5000.0)

    often, rarely = (set(play.told("NodeLost", "NodeJoined")) for play in plays)
    assert len(often) > 10
    assert often == rarely
    first, second = (
        {f.segment: f.seconds for _, f in play.facts(SegmentFinished)} for play in plays
    )
    shared = first.keys() & second.keys()
    assert len(shared) > 100
    assert all(first[k] == pytest.approx(second[k]) for k in shared)
    assert not all(a == b for a, b in itertools.pairwise(first.values()))
