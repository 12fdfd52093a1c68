"""Who has waited too long, case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from climorch.policy.allocation import allocate
from climorch.policy.board import Board
from climorch.policy.claims import Claim, Contest, NodeOffer
from climorch.policy.overdue import guest_of
from tests.unit.policy import claimants

NOW_S = 1000.0
ASKED = "x has waited too long"
TURN = "it is the turn of x"


def claim(name: str, nodes: int = 1, *, held: str = "", **more: Any) -> Claim:
    """Make a claim; one that holds nothing waits since 0."""
    since_s = math.inf if held else 0.0
    return claimants.claim(name, nodes, held=held, **{"waits_since_s": since_s, **more})


def contest(targets: Mapping[str, float], **more: Any) -> Contest:
    """Make the rules: four hours of patience, turns of one, shares after half of it."""
    values: dict[str, Any] = {
        "now_s": NOW_S,
        "targets": targets,
        "floors": {"p": 2.0, "q": 2.0},
        "min_run_s": 50.0,
        "slice_s": 100.0,
        "patience_s": 400.0,
    }
    return Contest(**{**values, **more})


class Case(NamedTuple):
    """Who waits, who holds what, and who is the guest."""

    claims: Sequence[Claim]
    guest: str | None = None
    targets: Mapping[str, float] = MappingProxyType({"p": 2.0, "q": 2.0})
    review_s: float = NOW_S + 50.0
    more: Mapping[str, Any] = MappingProxyType({})


RUNS = (claim("a", 2, held="ab"), claim("b", 2, held="cd", project="p"))

CASES = {
    "nobody waits": Case(RUNS, review_s=math.inf),
    "who needs more than its project has": Case([*RUNS, claim("x", 3)], "x"),
    "time alone is not looked at again at once": Case(
        [*RUNS, claim("x", 3)],
        "x",
        review_s=NOW_S + 60.0,
        more=MappingProxyType({"min_run_s": 0.0}),
    ),
    "nobody before it has waited for so long": Case(
        [*RUNS, claim("x", 3, waits_since_s=700.0)], review_s=1100.0
    ),
    "nor one of whom nobody knows since when": Case(
        [*RUNS, claim("x", 3, waits_since_s=math.inf)], review_s=math.inf
    ),
    "of two who has waited longer": Case(
        [*RUNS, claim("x", 3, waits_since_s=1.0), claim("y", 4, project="p")], "y"
    ),
    "of as long the first that came": Case(
        [*RUNS, claim("x", 3), claim("y", 4, project="p")], "x"
    ),
    "not one that turns can serve, before it missed some": Case(
        [*RUNS, claim("x", 2, waits_since_s=500.0)],
        targets={"p": 2.0, "q": 2.0},
        review_s=1100.0,
    ),
    "but one that turns did not serve": Case([*RUNS, claim("x", 2)], "x"),
    "nor is it reached by those of a higher level": Case(
        [claim("a", 2, held="ab", level=1), RUNS[1], claim("x", 2)], "x"
    ),
    "one that never borrows": Case([*RUNS, claim("x", 1, unbroken=True)], "x"),
    "none that could be served nowhere": Case(
        [*RUNS, claim("x", 5)], review_s=math.inf
    ),
    "none of a lower priority than others that wait": Case(
        [*RUNS, claim("x", 3), claim("y", 4, priority=1, waits_since_s=900.0)],
        review_s=1300.0,
    ),
    "none of a project above its share": Case(
        [*RUNS, claim("x", 3)], targets={"p": 2.2, "q": 1.8}
    ),
    "but within a twentieth": Case(
        [*RUNS, claim("x", 3)], "x", targets={"p": 2.1, "q": 1.9}
    ),
    "and after five times the patience": Case(
        [*RUNS, claim("x", 3)],
        "x",
        targets={"p": 3.0, "q": 1.0},
        more=MappingProxyType({"patience_s": 200.0}),
    ),
    "where there are no shares nobody is above them": Case(
        [*RUNS, claim("x", 4)], "x", targets={}, more=MappingProxyType({"floors": {}})
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_guest(case: Case) -> None:
    """One at a time, whose gang no turns will free, and whose project is in no debt."""
    board = Board.of(case.claims, [NodeOffer(name=n) for n in "abcd"], 100.0)
    rules = contest(case.targets, **case.more)

    guest, review_s = guest_of(board, rules, board.pool(NOW_S))

    assert (guest and guest.simulation) == case.guest
    assert review_s == case.review_s


def asked(*claims: Claim, **more: Any) -> Mapping[str, str]:
    """Return who must give all up for x."""
    offers = [NodeOffer(name=n) for n in "abcd"]
    return allocate(claims, offers, contest({"p": 2.0, "q": 2.0}, **more)).preempt


def test_it_asks_everybody_its_own_project_first() -> None:
    """No share is looked at, and no more are asked than will do."""
    own = claim("a", 2, held="ab", turn_s=930.0)
    assert asked(own, RUNS[1], claim("x", 4)) == {"a": ASKED, "b": ASKED}
    alone = claim("c", 1, held="c", project="p")
    other = claim("d", 1, held="d", project="p")
    assert asked(own, alone, other, claim("x", 3)) == {"a": ASKED, "d": ASKED}
    # Where its own turn has come anyway, that is why.
    assert asked(*RUNS, claim("x", 4)) == {"a": TURN, "b": ASKED}


def test_it_asks_nobody_who_has_just_begun() -> None:
    """Whom shares would let run, who committed nothing, who is protected."""
    wants = claim("x", 4)
    assert (
        asked(RUNS[0], claim("b", 2, held="cd", project="p", turn_s=960.0), wants) == {}
    )
    new = claim("b", 2, held="cd", project="p", fruitful=False)
    assert asked(RUNS[0], new, wants) == {}
    kept = claim("b", 2, held="cd", project="p", level=1)
    assert asked(RUNS[0], kept, wants) == {}
    # Protected ones above the floor of their project are not kept.
    assert asked(RUNS[0], kept, wants, floors={"p": 1.0, "q": 2.0}).keys() == {"a", "b"}
    own = claim("a", 2, held="ab", level=1)
    assert asked(own, RUNS[1], wants) == {}
    never = claim("b", 2, held="cd", project="p", exempt_until_s=math.inf)
    assert asked(RUNS[0], never, wants).keys() == {"a", "b"}


def test_what_begins_while_it_waits_is_borrowed_and_goes_back_at_once() -> None:
    """So there is a time at which all can be asked."""
    new = claim("b", 2, held="cd", project="p", fruitful=False, borrowed=True)

    assert asked(RUNS[0], new, claim("x", 4)) == {
        "a": TURN,
        "b": "it was not its turn; now it is that of x",
    }


def test_it_is_served_first_and_borrows_nothing() -> None:
    """Others that are below their share come after it."""
    offers = [NodeOffer(name=n) for n in "abc"]
    found = allocate(
        [claim("x", 3), claim("y", 1, project="p", priority=9)],
        offers,
        contest({"p": 3.0, "q": 0.0}, floors={"p": 3.0, "q": 0.0}),
    )

    assert found.leases == {"x": ("a", "b", "c")}
    assert found.borrowed == frozenset()
