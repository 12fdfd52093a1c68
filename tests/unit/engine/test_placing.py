"""Sets of addresses that tasks share: they change, the tasks do not."""

from __future__ import annotations

import pickle

import pytest

from climorch.engine.placing import NOWHERE, Place, Places


def places(leases: dict[str, tuple[str, ...]], *workers: str) -> Places:
    """Workers ``a:1`` of node ``a`` and so on."""
    made = Places()
    made.assign(leases)
    for worker in workers:
        made.join(worker, worker.partition(":")[0])
    return made


def test_tasks_of_a_lease_share_one_set_that_follows_it() -> None:
    """However many tasks there are, one set is filled anew."""
    all_ = places({"s": ("a", "b")}, "a:1", "b:1", "c:1")
    place = all_.place("s", None)

    assert all_.place("s", None) is place
    assert all_.place("s", "not of the lease") is place
    assert place == {"a:1", "b:1"}
    all_.leave("b:1")
    assert place == {"a:1"}
    all_.join("b:2", "b")
    assert place == {"a:1", "b:2"}
    assert all_.assign({"s": ("c",)}) == {"a", "b", "c"}
    assert place == {"c:1"}
    all_.assign({})
    assert place == {NOWHERE}


def test_a_preferred_node_counts_while_it_is_there() -> None:
    """Else the rest of the lease does, then nothing."""
    all_ = places({"s": ("a", "b")}, "a:1", "b:1")
    place = all_.place("s", "a")

    assert place == {"a:1"}
    all_.leave("a:1")
    assert place == {"b:1"}
    all_.leave("b:1")
    assert place == {NOWHERE}
    all_.join("a:2", "a")
    assert place == {"a:2"}


@pytest.mark.parametrize(
    ("leases", "free"),
    [
        ({}, set()),
        ({"s": ("a",)}, {"b:1", "c:1"}),
        ({"s": ("a", "b"), "t": ("b", "c")}, {NOWHERE}),
        ({"s": ("gone",)}, {"a:1", "b:1", "c:1"}),
    ],
)
def test_foreign_work_has_what_nobody_leases(
    leases: dict[str, tuple[str, ...]], free: set[str]
) -> None:
    """Without any lease it is not restricted at all."""
    all_ = places({}, "a:1", "b:1", "c:1")
    all_.assign(leases)

    assert all_.free == free


def test_nodes_that_come_and_go_are_free_unless_leased() -> None:
    """And nowhere is left when the last free one goes."""
    all_ = places({"s": ("a",)}, "a:1")

    assert all_.free == {NOWHERE}
    all_.join("b:1", "b")
    assert all_.free == {"b:1"}
    assert all_.leave("b:1") == "b"
    assert all_.free == {NOWHERE}


def test_a_node_is_gone_with_its_last_worker_only() -> None:
    """Odd names may give two workers of one node; an unknown one is nobody's."""
    all_ = places({}, "a:1", "a:2")

    assert all_.leave("a:1") is None
    assert all_.leave("a:2") == "a"
    assert all_.leave("a:2") is None


def test_a_task_may_stay_within_its_lease_whatever_it_prefers() -> None:
    """Foreign ones may stay on free nodes; others are not ours to judge."""
    all_ = places({"s": ("a", "b"), "t": ("b",)}, "a:1", "b:1", "c:1")
    preferred = all_.place("s", "a")

    assert [all_.allows(preferred, w) for w in ("a:1", "b:1", "c:1")] == [
        True,
        True,
        False,
    ]
    assert [all_.allows(all_.free, w) for w in ("a:1", "c:1")] == [False, True]
    assert all_.allows({"x"}, "a:1")
    assert all_.allows(None, "a:1")
    assert [all_.shared(w) for w in ("a:1", "b:1", "c:1")] == [False, True, False]
    assert all_.leased("a")
    assert not all_.leased("c")


def test_sets_go_with_the_last_task_that_holds_them() -> None:
    """Made-up names of leases leave nothing behind."""
    all_ = places({"s": ("a",)}, "a:1")
    held = [all_.place(name, None) for name in ("s", "t", "u")]

    assert len(all_) == 3
    held.clear()
    assert len(all_) == 0


def test_a_place_travels_as_a_set_with_its_lease() -> None:
    """Dask sends restrictions with some of its errors."""
    place = pickle.loads(pickle.dumps(Place({"a:1"}, lease="s")))

    assert place == {"a:1"}
    assert place.lease == "s"
