"""When copies are due, and how often the disk is needed beside them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.errors import InvalidInputError
from climorch.policy.checkpointing import Daly, EverySegments, Pace
from climorch.policy.partnering import (
    CopyPace,
    PartnerCopy,
    partner_copy_of,
    partners,
)

HOUR_S = 3600.0
PACE = Pace(
    since_s=600.0,
    boundaries=3,
    next_s=60.0,
    cost_s=1.0,
    mtbf_s=6 * HOUR_S,
    nodes=8,
    copied=True,
)
COPY_PACE = CopyPace(boundaries=1, since_s=100.0, cost_s=None, nodes=4)


@pytest.mark.parametrize(
    ("nodes", "ring"),
    [
        ((), {}),
        (("a",), {}),
        (("a", "b"), {"a": "b", "b": "a"}),
        (("c", "a", "b"), {"c": "a", "a": "b", "b": "c"}),
    ],
)
def test_partners_are_the_next_ones_in_a_ring(
    nodes: tuple[str, ...], ring: dict[str, str]
) -> None:
    """In the order of the lease; alone there is none."""
    assert partners(nodes) == ring


@given(st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=9, unique=True))
def test_every_node_holds_one_copy_and_none_its_own(nodes: list[str]) -> None:
    """The ring is a permutation without fixed points."""
    ring = partners(nodes)

    assert set(ring) == set(ring.values()) == set(nodes)
    assert all(node != partner for node, partner in ring.items())


@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({}, True),
        ({"nodes": 1}, False),
        ({"nodes": 2}, True),
        ({"boundaries": 0}, False),
        ({"cost_s": 2.0}, True),
        ({"cost_s": 2.1}, False),
        ({"cost_s": 2.1, "since_s": 106.0}, True),
    ],
)
def test_copies_are_due_every_so_often_within_their_share(
    given: dict[str, Any], due: bool
) -> None:
    """One node has no partner; more than 2 % of the time is too much."""
    assert (
        PartnerCopy().copy_due(dataclasses.replace(COPY_PACE, **given)) is not None
    ) is due


def test_a_reason_is_given_in_words() -> None:
    """For the journal."""
    pace = dataclasses.replace(COPY_PACE, boundaries=3)

    assert PartnerCopy(every=3).copy_due(pace) == "every 3 boundaries"
    assert PartnerCopy(every=4).copy_due(pace) is None


WEEK_S = 7 * 24 * HOUR_S


@pytest.mark.parametrize(
    ("given", "severe_mtbf_s", "expected_s"),
    [
        # A failure every 6 h, its neighbour within 10 min: 2 * 600 / (8 * 21600)
        # of them, one in 144 failures, so every 36 days; with a week: 5.86 days.
        ({}, math.inf, 144 * 6 * HOUR_S),
        ({}, WEEK_S, 1 / (1 / (144 * 6 * HOUR_S) + 1 / WEEK_S)),
        # Two nodes have one neighbour each.
        ({"nodes": 2}, math.inf, 72 * 6 * HOUR_S),
        ({"nodes": 3}, math.inf, 54 * 6 * HOUR_S),
        # Seven quiet weeks, and a week expected: one event in eight.
        ({"up_s": 7 * WEEK_S, "mtbf_s": 1e6}, WEEK_S, 8 * WEEK_S),
        # Three events in them, one of which tore half of the leases.
        ({"up_s": 7 * WEEK_S, "torn": 2.5, "mtbf_s": 1e6}, WEEK_S, 8 * WEEK_S / 3.5),
    ],
)
def test_what_copies_do_not_heal_is_rare(
    given: dict[str, Any], severe_mtbf_s: float, expected_s: float
) -> None:
    """Pairs of neighbours within the time to heal, and what takes both at once."""
    partner = PartnerCopy(severe_mtbf_s=severe_mtbf_s)

    found_s = partner.severe_s(replace(PACE, **given))
    assert found_s == pytest.approx(expected_s, rel=1e-2 if "up_s" in given else 1e-9)


def test_what_is_expected_never_is_not_reckoned_with() -> None:
    """No neighbour can be lost in no time, and nothing else happens."""
    partner = PartnerCopy(severe_mtbf_s=math.inf, heal_s=0.0)

    assert partner.severe_s(PACE) == math.inf


@given(
    mtbf_s=st.floats(1.0, 1e10),
    nodes=st.integers(2, 4096),
    heal_s=st.floats(0.0, 1e6),
    severe_mtbf_s=st.floats(1.0, 1e10),
    torn=st.floats(0.0, 1e4),
    up_s=st.floats(0.0, 1e10),
)
def test_copies_never_make_the_disk_busier(
    mtbf_s: float,
    nodes: int,
    heal_s: float,
    severe_mtbf_s: float,
    torn: float,
    up_s: float,
) -> None:
    """The disk is told of no more failures than there are."""
    partner = PartnerCopy(heal_s=heal_s, severe_mtbf_s=severe_mtbf_s)
    pace = replace(PACE, mtbf_s=mtbf_s, nodes=nodes, torn=torn, up_s=up_s)

    assert partner.severe_s(pace) >= mtbf_s


@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({"copied": False}, True),
        ({"copied": True}, False),
        ({"copied": True, "nodes": 1}, True),
    ],
)
def test_the_disk_waits_longer_only_while_a_copy_is_held(
    given: dict[str, Any], due: bool
) -> None:
    """207 s by Daly for one failure in 6 h and 1 s; 995 s for one in 5.9 days."""
    partner = PartnerCopy(disk=Daly())

    assert (partner.due(replace(PACE, **given)) is not None) is due


def test_another_strategy_for_the_disk_is_asked_as_it_is() -> None:
    """Where boundaries count, failures do not."""
    assert PartnerCopy(disk=EverySegments(count=3)).due(PACE) == "every 3 boundaries"
    assert PartnerCopy(disk=EverySegments(count=4)).due(PACE) is None


def test_only_a_partner_copy_copies() -> None:
    """Other strategies know nothing of partners."""
    partner = PartnerCopy()

    assert partner_copy_of(partner) is partner
    assert partner_copy_of(Daly()) is None


def test_what_cannot_work_is_refused_with_every_fault() -> None:
    """All at once."""
    with pytest.raises(InvalidInputError) as caught:
        PartnerCopy(
            disk=PartnerCopy(),
            every=0,
            severe_mtbf_s=0.0,
            heal_s=-1.0,
            salvage_s=0.0,
            most_overhead=0.0,
        )

    assert [fault.place for fault in caught.value.faults] == [
        "PartnerCopy.every",
        "PartnerCopy.severe_mtbf_s",
        "PartnerCopy.heal_s",
        "PartnerCopy.salvage_s",
        "PartnerCopy.most_overhead",
        "PartnerCopy.disk",
    ]


def test_copies_may_be_one_part_of_a_strategy() -> None:
    """Whoever else says when the disk is written."""
    partner = PartnerCopy(disk=EverySegments(count=9))

    both = EverySegments(count=3) | partner

    assert partner_copy_of(both) is partner
    assert partner_copy_of(EverySegments(count=3)) is None
    assert both.due(PACE) == "every 3 boundaries"
