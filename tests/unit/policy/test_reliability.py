"""How long a lease lives, by what was seen."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.policy.reliability import (
    Losses,
    everything_lost,
    goes_on,
    lease_mtbf_s,
    node_lost,
    severe_mtbf_s,
    torn,
)

YEAR_S = 365 * 86_400.0
HOUR_S = 3600.0


def seen(*losses: tuple[float, int]) -> Losses:
    """Let nodes be lost: when, and how many were up."""
    found = Losses()
    for at_s, up in losses:
        found = node_lost(found, at_s=at_s, up=up)
    return found


def test_nodes_that_go_one_by_one_are_events_of_their_own() -> None:
    """More than a minute apart, each loss counts."""
    found = seen((0.0, 4), (61.0, 3), (200.0, 4))

    assert (found.alone, found.together, found.events) == (3, {}, 3)


def test_a_free_node_that_goes_alone_does_not_count() -> None:
    """It would make leases look bad that never had it; in an outage it counts."""
    alone = node_lost(Losses(), at_s=0.0, up=4, held=False)
    outage = node_lost(alone, at_s=1.0, up=3)

    assert (alone.alone, alone.events) == (0, 0)
    assert (outage.alone, outage.together) == (0, {0.5: 1})


def test_nodes_that_go_together_are_one_event() -> None:
    """A rack of four of sixteen, then everything: two events, whatever their size."""
    rack = [(10.0 + i, 16 - i) for i in range(4)]
    all_of_them = [(500.0, 12 - i) for i in range(12)]

    found = seen(*rack, *all_of_them)

    assert found.alone == 0
    assert found.together == {0.25: 1, 1.0: 1}
    assert found.events == 2


def test_what_comes_back_during_an_outage_may_go_again() -> None:
    """Never more than all nodes have gone."""
    found = seen((0.0, 1), (1.0, 1), (2.0, 1))

    assert (found.alone, found.together) == (0, {1.0: 1})


def test_a_driver_that_died_took_all_with_it() -> None:
    """That is one event, and nothing that follows belongs to it."""
    found = node_lost(everything_lost(Losses()), at_s=0.0, up=4)

    assert (found.alone, found.together, found.events) == (1, {1.0: 1}, 2)


def test_two_of_very_many_are_a_share_all_the_same() -> None:
    """A share below a hundredth counts as one."""
    assert seen((0.0, 3000), (1.0, 2999)).together == {0.01: 1}


@pytest.mark.parametrize(
    ("losses", "node_s", "up_s", "nodes", "expected_s"),
    [
        # Nothing seen: once in five years of a node, and once a year all together.
        (Losses(), 0.0, 0.0, 1, 1 / (1 / (5 * YEAR_S) + 1 / YEAR_S)),
        (Losses(), 0.0, 0.0, 100, 1 / (20 / YEAR_S + 1 / YEAR_S)),
        # A lease of no nodes counts as one.
        (Losses(), 0.0, 0.0, 0, 1 / (1 / (5 * YEAR_S) + 1 / YEAR_S)),
        # Five nodes in as many node-years, with an eighth of one in five eighths.
        (
            Losses(alone=5),
            5 * YEAR_S,
            0.0,
            10,
            1 / (10 * 5.125 / (5.625 * YEAR_S) + 1 / YEAR_S),
        ),
        # An outage of everything hits any lease, however narrow.
        (
            Losses(together={1.0: 2}),
            0.0,
            YEAR_S / 8,
            1,
            1 / (1 / (5 * YEAR_S) + 2.125 / (YEAR_S / 4)),
        ),
        # A quarter of the nodes hits two nodes with 1 - 0.75**2.
        (
            Losses(together={0.25: 8}),
            0.0,
            YEAR_S / 8,
            2,
            1 / (2 / (5 * YEAR_S) + (8 * 0.4375 + 0.125) / (YEAR_S / 4)),
        ),
    ],
)
def test_the_lease_lives_by_its_width(
    losses: Losses, node_s: float, up_s: float, nodes: int, expected_s: float
) -> None:
    """Single losses by node-seconds and width, outages by the chance to be hit."""
    found_s = lease_mtbf_s(losses, node_s=node_s, up_s=up_s, nodes=nodes)

    assert found_s == pytest.approx(expected_s, rel=1e-12)


def test_it_finds_the_truth_in_half_a_year() -> None:
    """300 nodes of five years, an outage every 160 h, and a lease of 16 nodes.

    Of some 27 outages the number is known to a fifth: within two such errors.
    """
    rng = np.random.default_rng(5)
    span_s, mtbf_s, nodes = YEAR_S / 2, 5 * YEAR_S, 300
    times = [(t, 1) for t in np.cumsum(rng.exponential(mtbf_s / nodes, 200))]
    times += [(t, nodes) for t in np.cumsum(rng.exponential(160 * HOUR_S, 200))]
    losses = Losses()
    for at_s, count in sorted(times):
        if at_s < span_s:
            for gone in range(count):
                losses = node_lost(losses, at_s=float(at_s), up=nodes - gone)

    found_s = lease_mtbf_s(losses, node_s=nodes * span_s, up_s=span_s, nodes=16)

    truth_s = 1 / (16 / mtbf_s + 1 / (160 * HOUR_S))
    assert found_s == pytest.approx(truth_s, rel=0.4)


def test_an_event_tears_leases_by_their_share() -> None:
    """A rack that tore one lease of four, then an outage that tore all of two."""
    rack = torn(node_lost(Losses(), at_s=0.0, up=8, leases=4))
    outage = torn(torn(node_lost(rack, at_s=100.0, up=8, leases=2)))

    assert (rack.torn, outage.torn) == (0.25, 1.25)
    # Whatever of the same event comes later, its leases are those at its beginning.
    assert node_lost(outage, at_s=101.0, up=7, leases=9).leases == 2
    # Who was told of a lease that nobody counted counts it as one of one.
    assert torn(Losses()).torn == 1.0


@pytest.mark.parametrize(
    ("events", "up_s", "expected_s"),
    [
        (0.0, 0.0, 100.0),
        (0.0, 300.0, 400.0),
        (1.0, 300.0, 200.0),
        (3.0, 300.0, 100.0),
        (0.5, 50.0, 100.0),
    ],
)
def test_what_was_expected_counts_as_one_event(
    events: float, up_s: float, expected_s: float
) -> None:
    """A hundred seconds are expected; what is seen soon outweighs that."""
    found_s = severe_mtbf_s(Losses(torn=events), up_s=up_s, prior_s=100.0)

    assert found_s == expected_s


@pytest.mark.parametrize(
    ("after_s", "same"), [(0.0, True), (60.0, True), (60.1, False)]
)
def test_a_loss_soon_after_the_first_belongs_to_the_same_event(
    after_s: float, same: bool
) -> None:
    """Leases are counted at the first node of an event only."""
    first = node_lost(Losses(), at_s=100.0, up=10, leases=4)
    assert not goes_on(Losses(), 100.0)

    then_s = 100.0 + after_s
    second = node_lost(first, at_s=then_s, up=9, leases=0)

    assert goes_on(first, then_s) is same
    assert (second.lost, second.leases) == ((2, 4) if same else (1, 0))
