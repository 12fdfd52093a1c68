"""Who has which worker of a Dask scheduler that several campaigns share."""

from __future__ import annotations

import pytest

from climorch.engine.holdings import Holdings, Stand, Standing, Tenant
from climorch.errors import ConflictError


def tenant(identity: str, *, most: int | None = None, epoch: int = 1) -> Tenant:
    """Return a campaign that is called by its identity."""
    return Tenant(identity=identity, epoch=epoch, most=most, who=f"campaign {identity}")


def shared(workers: int, *tenants: Tenant) -> Holdings:
    """Return workers w0, w1, ... at a0, a1, ... and campaigns that came in order."""
    made = Holdings()
    for number in range(workers):
        made.join(f"a{number}", f"w{number}")
    for one in tenants:
        made.enter(one)
    return made


def settle(made: Holdings, now_s: float = 0.0) -> dict[str, list[str]]:
    """Let all accept all that they are offered; return who holds what."""
    for address, identity in made.offers(now_s):
        assert made.accept(address, identity)
    return {one: made.held(one) for one in ("A", "B") if made.held(one)}


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        ((None, None), {"A": ["a0", "a2"], "B": ["a1", "a3"]}),
        ((1, None), {"A": ["a0"], "B": ["a1", "a2", "a3"]}),
        ((1, 1), {"A": ["a0"], "B": ["a1"]}),
        ((0, 2), {"B": ["a0", "a1"]}),
    ],
)
def test_free_workers_go_to_who_has_fewest_up_to_its_number(
    most: tuple[int | None, int | None], expected: dict[str, list[str]]
) -> None:
    """What is beyond all numbers stays free."""
    made = shared(4, tenant("A", most=most[0]), tenant("B", most=most[1]))

    assert settle(made) == expected
    assert made.offers(0.0) == []


def test_who_comes_later_has_what_is_left_and_what_joins() -> None:
    """Nothing is taken from who has it."""
    made = shared(2, tenant("A"))
    assert settle(made) == {"A": ["a0", "a1"]}

    made.enter(tenant("B"))
    assert made.offers(0.0) == []
    assert made.standing("B", 0.0) == Standing(
        held=0, pending=0, kept_s=0.0, others={"campaign A": 2}, unfit=0
    )
    made.join("a2", "w2")
    assert settle(made) == {"A": ["a0", "a1"], "B": ["a2"]}


def test_a_worker_that_is_left_is_nobody_s_until_it_is_cleared() -> None:
    """What a campaign computed there may go on for a while."""
    made = shared(1, tenant("A"), tenant("B"))
    assert settle(made) == {"A": ["a0"]}

    assert made.exit("A", 0.0) == ["a0"]
    assert made.stand("a0") is Stand.LEAVING
    assert made.holder("a0") is None
    assert made.offers(0.0) == []
    assert made.standing("B", 0.0).pending == 1

    made.cleared("a0")
    assert settle(made) == {"B": ["a0"]}
    # Late, and of nobody's concern.
    made.cleared("a0")
    assert made.exit("A", 0.0) == []
    assert made.holder("a0") == "B"


def test_one_that_cannot_serve_is_offered_to_others_and_not_again() -> None:
    """Until that campaign comes anew, or the worker."""
    made = shared(1, tenant("A"), tenant("B"))
    assert made.offers(0.0) == [("a0", "A")]

    assert made.decline("a0", "A")
    assert not made.decline("a0", "A")
    made.cleared("a0")

    assert made.standing("A", 0.0).unfit == 1
    assert made.offers(0.0) == [("a0", "B")]
    assert made.decline("a0", "B")
    made.cleared("a0")
    assert made.offers(0.0) == []
    made.exit("A", 0.0)
    made.enter(tenant("A", epoch=2))
    assert made.offers(0.0) == [("a0", "A")]


@pytest.mark.parametrize(("after_s", "expected"), [(19.0, {}), (20.0, {"B": ["a0"]})])
def test_workers_of_a_driver_that_vanished_are_kept_for_the_next_one(
    after_s: float, expected: dict[str, list[str]]
) -> None:
    """Others have to wait; then they have them."""
    made = shared(1, tenant("A"))
    settle(made)
    made.exit("A", 0.0, keep_s=20.0)
    made.cleared("a0")
    made.enter(tenant("B"))

    assert made.again_s(5.0) == 15.0
    assert made.standing("B", 5.0).kept_s == 15.0
    assert settle(made, after_s) == expected
    if not expected:
        made.enter(tenant("A", epoch=2))
        assert settle(made, after_s) == {"A": ["a0"]}
        assert made.again_s(after_s) is None


def test_what_is_kept_is_first_and_counts_in_what_a_campaign_may_have() -> None:
    """It comes back to the workers that it had, not to others besides."""
    made = shared(2, tenant("B", most=1), tenant("A", most=1))
    assert settle(made) == {"B": ["a0"], "A": ["a1"]}
    made.exit("A", 0.0, keep_s=20.0)
    made.cleared("a1")
    made.exit("B", 0.0)
    made.cleared("a0")

    made.enter(tenant("A", epoch=2, most=1))
    assert settle(made, 1.0) == {"A": ["a1"]}


def test_a_worker_that_starts_again_goes_to_who_had_it() -> None:
    """Its name is the same, its address is not; the one that died is forgotten."""
    made = shared(1, tenant("A"), tenant("B"))
    settle(made)

    made.gone("a0", 0.0, keep_s=20.0)
    assert made.stand("a0") is None
    assert not made.accept("a0", "A")
    made.join("a9", "w0")
    assert settle(made, 1.0) == {"A": ["a9"]}


def test_kept_workers_outlast_the_table() -> None:
    """When nobody is there any more, who comes next knows for whom they are."""
    made = shared(1, tenant("A"))
    settle(made)
    made.exit("A", 0.0, keep_s=20.0)
    later = Holdings(made.kept)
    later.join("a0", "w0")
    later.enter(tenant("B"))

    assert later.offers(19.0) == []
    assert later.offers(20.0) == [("a0", "B")]


def test_an_answer_that_comes_late_changes_nothing() -> None:
    """The worker was taken back, and offered to somebody else, meanwhile."""
    made = shared(1, tenant("A"))
    assert made.offers(0.0) == [("a0", "A")]
    assert made.exit("A", 0.0, keep_s=20.0) == ["a0"]
    made.cleared("a0")
    made.enter(tenant("B"))
    # Nobody had it yet, so it is kept for nobody.
    assert made.offers(0.0) == [("a0", "B")]

    assert not made.accept("a0", "A")
    assert not made.decline("a0", "A")
    assert made.accept("a0", "B")


def test_one_driver_of_a_campaign_at_a_time() -> None:
    """The one before has to exit first; whose epoch is known."""
    made = shared(0, tenant("A", epoch=3))
    known = made.tenant("A")
    assert known is not None
    assert known.epoch == 3
    with pytest.raises(ConflictError, match="campaign A takes part already"):
        made.enter(tenant("A", epoch=4))


def test_a_standing_is_told_in_words() -> None:
    """With whoever stands in the way."""
    full = Standing(
        held=1, pending=2, kept_s=7.4, others={"campaign 'c' of user u": 3}, unfit=4
    )
    assert full.told() == (
        "it has 1, 3 held by campaign 'c' of user u, some kept 7 s more for a "
        "campaign whose driver went away, 2 looked at, or busy with what came before, "
        "4 that cannot write its folder"
    )
    empty = Standing(held=0, pending=0, kept_s=0.0, others={}, unfit=0)
    assert empty.told() == "it has 0"
