"""Stories of copies in partners' memory: when they are made, and what of them."""

from __future__ import annotations

import pytest

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import Coupling
from climorch.policy.checkpointing import EverySegments, Pace
from climorch.policy.partnering import PartnerCopy
from tests.unit.core.copy_script import (
    copying,
    held,
    not_held,
    started,
    with_copy,
)
from tests.unit.core.script import stage


def test_a_copy_is_made_at_every_boundary_and_nothing_waits_for_it() -> None:
    """The stages meet, the copy begins, the next segment goes on at once."""
    s = started()

    assert s.finished(0) == ["plan copy s.a 1", "copy s.a 1 #1", "segment s.a 1 #1"]
    assert s.set().held.copying == 1
    assert s.tell(held(s, 1)) == []
    assert (s.set().held.boundary, s.set().held.copying) == (1, None)
    assert s.finished(1) == ["plan copy s.a 2", "copy s.a 2 #1", "segment s.a 2 #1"]


def test_a_copy_that_is_on_its_way_lets_the_next_one_be_skipped() -> None:
    """One at a time; the boundary after it is tried again."""
    s = started()
    s.finished(0)

    assert s.finished(1) == ["segment s.a 2 #1"]
    assert s.tell(not_held(s, 1)) == []
    assert s.finished(2) == ["plan copy s.a 3", "copy s.a 3 #1", "segment s.a 3 #1"]
    assert s.set().held.boundary is None


def test_copies_may_be_rarer_than_boundaries() -> None:
    """With every=2 the second boundary is copied, not the first."""
    s = started(policies=copying(every=2))

    assert s.finished(0) == ["segment s.a 1 #1"]
    assert s.finished(1) == ["plan copy s.a 2", "copy s.a 2 #1", "segment s.a 2 #1"]


def test_copies_that_cost_too_much_are_made_rarer() -> None:
    """Half a second in 20 s is more than 2 %, in 26 s it is not."""
    s = started(policies=copying(most_overhead=0.02))
    s.finished(0)
    s.tell(held(s, 1, cost_s=0.5))
    begun_s = s.set().held.begun_s

    assert s.at(begun_s + 20, s.finish(1)) == ["segment s.a 2 #1"]
    assert s.at(begun_s + 26, s.finish(2))[:2] == ["plan copy s.a 3", "copy s.a 3 #1"]


def test_a_lease_of_one_node_has_no_partner() -> None:
    """Nothing is copied; the disk is used as without."""
    s = started(stage(nodes=1), policies=copying(disk=EverySegments(count=2)))

    assert s.finished(0) == ["segment s.a 1 #1"]
    assert s.finished(1) == [
        "plan s.a 2",
        "checkpoint s.a 2 #1 full",
        "segment s.a 2 #1",
    ]


def test_coupled_stages_meet_for_a_copy() -> None:
    """A stage that could run ahead waits for the other at the boundary."""
    two = (
        stage("a", nodes=2, reads={"b": Coupling.PREVIOUS}),
        stage("b", nodes=2, reads={"a": Coupling.PREVIOUS}),
    )
    s = started(*two)

    assert s.finished(0, "a") == ["plan copy s.a 1"]
    assert s.finished(0, "b") == [
        "copy s.a 1 #1",
        "segment s.a 1 #1",
        "segment s.b 1 #1",
    ]


def test_a_checkpoint_where_a_copy_is_made_writes_the_same_state() -> None:
    """The copy is begun first; once committed, the copy is not needed any more."""
    s = started(policies=copying(disk=EverySegments(count=1)))

    assert s.finished(0) == [
        "plan s.a 1",
        "plan copy s.a 1",
        "copy s.a 1 #1",
        "checkpoint s.a 1 #1 full",
        "segment s.a 1 #1",
    ]
    s.tell(held(s, 1))
    assert s.set().held.boundary == 1
    s.committed(1)
    assert s.set().held.boundary is None


def test_a_copy_that_comes_after_its_checkpoint_is_not_kept() -> None:
    """What is on the disk already needs no partner."""
    s = started(policies=copying(disk=EverySegments(count=1)))
    s.finished(0)
    s.committed(1)

    s.tell(held(s, 1))

    assert (s.set().held.boundary, s.set().held.copying) == (None, None)


def test_a_copy_is_held_until_the_next_one_is() -> None:
    """A loss while the second is on its way falls back to the first."""
    s = with_copy(1)
    s.finished(1)

    assert s.set().held.copying == 2
    assert s.tell(e.NodeLost(node="k"))[0].startswith("salvage s.a 1 #1")


def test_held_stages_are_not_copied_but_checkpointed() -> None:
    """What is drained meets at the planned copy's boundary and is written."""
    s = started()
    s.tell(e.DrainRequested(node="k"))

    assert s.finished(0) == ["checkpoint s.a 1 #1"]


def test_the_cost_of_copies_is_remembered_over_attempts() -> None:
    """Recent ones weigh more."""
    s = with_copy(1)
    assert s.set().held.cost_s == pytest.approx(0.5)
    s.finished(1)
    s.tell(held(s, 2, cost_s=1.5))
    s.tell(e.NodeLost(node="k"))
    s.committed(2)

    assert s.set().held.cost_s == pytest.approx(0.7 * 0.5 + 0.3 * 1.5)


class Asked:
    """A strategy for the disk that remembers what it was asked."""

    def __init__(self) -> None:
        self.paces: list[Pace] = []

    def due(self, pace: Pace) -> str | None:
        """Never write."""
        self.paces.append(pace)
        return None


def test_the_disk_is_told_of_rarer_failures_while_a_copy_is_held() -> None:
    """One of four, or all, in 203 days; a neighbour within 10 minutes of it, hardly."""
    asked = Asked()
    partner = PartnerCopy(disk=asked, most_overhead=1.0, severe_mtbf_s=1e12)
    s = started(policies=Policies(checkpointing=partner))
    s.finished(0)
    s.tell(held(s, 1))
    s.finished(1)

    first, second = asked.paces
    assert [pace.nodes for pace in asked.paces] == [4, 4]
    assert [pace.copied for pace in asked.paces] == [False, True]
    # Known beforehand: 4 in 5 years alone, and 1 in a year together.
    assert first.mtbf_s == pytest.approx(365 * 86400 / 1.8, rel=1e-5)
    assert second.mtbf_s == pytest.approx(
        1 / (2 * 600 / 4 / first.mtbf_s**2 + 1e-12), rel=1e-6
    )
