"""Who is asked for nodes, by what right, case by case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from climorch.policy.allocation import allocate
from climorch.policy.claims import Claim, Contest, NodeOffer
from climorch.policy.rights import lag
from tests.unit.policy.claimants import claim

NOW_S = 1000.0
SHARE = "project p is below its share: x"
HIGHER = "x has a higher priority"
TURN = "it is the turn of x"


def asker(nodes: int = 1, **more: Any) -> Claim:
    """Make the claim of one who waits, of project p."""
    return claim("x", nodes, **{"project": "p", **more})


class Case(NamedTuple):
    """Who waits and who runs, and who must give all up."""

    claims: list[Claim]
    preempt: Mapping[str, str] = MappingProxyType({})
    shrink: Mapping[str, int] = MappingProxyType({})
    targets: Mapping[str, float] = MappingProxyType({})
    floors: Mapping[str, float] = MappingProxyType({})
    exposed: Mapping[str, float] = MappingProxyType({})
    review_s: float = math.inf
    free: str = ""


EQUAL = MappingProxyType({"p": 2.0, "q": 2.0})

CASES = {
    "a project that misses a whole gang gets one": Case(
        [asker(), claim("a", 1, held="ab"), claim("b", 2, held="cd")],
        shrink={"a": 1},
        targets=EQUAL,
    ),
    "from the one who has too much": Case(
        [asker(2), claim("a", 2, held="ab"), claim("b", 2, held="cd")],
        preempt={"b": SHARE},
        targets=EQUAL,
    ),
    "the nearest half of a gang moves nobody": Case(
        [asker(2), claim("a", 2, held="ab"), claim("b", 2, held="cd")],
        targets={"p": 1.9, "q": 2.1},
    ),
    "the other may end half a gang below its target": Case(
        [asker(2), claim("a", 2, held="ab"), claim("b", 2, held="cd")],
        preempt={"b": SHARE},
        targets={"p": 2.0, "q": 3.0},
    ),
    "but no lower": Case(
        [asker(2), claim("a", 2, held="ab"), claim("b", 2, held="cd")],
        targets={"p": 2.0, "q": 3.1},
    ),
    "several small ones only as far as their project has too much": Case(
        [asker(3), *(claim(n, held=n) for n in "abcd")],
        targets={"p": 3.0, "q": 3.0},
    ),
    "several small ones": Case(
        [asker(2), *(claim(n, held=n) for n in "abcd")],
        preempt={"d": SHARE, "c": SHARE},
        targets=EQUAL,
    ),
    "one of the right size before two": Case(
        [
            asker(2, project="q", priority=1),
            claim("a", 2, held="ab"),
            *(claim(n, held=n) for n in "cd"),
        ],
        preempt={"a": HIGHER},
    ),
    "nor a larger one than needed": Case(
        [
            asker(1, project="q", priority=1),
            claim("a", 1, held="a"),
            claim("b", 3, held="bcd"),
        ],
        preempt={"a": HIGHER},
    ),
    "what is lent goes first": Case(
        [
            asker(1, project="q", priority=1),
            claim("a", 1, held="ab"),
            claim("b", 1, held="c"),
        ],
        shrink={"a": 1},
    ),
    "but not besides one that does alone": Case(
        [
            asker(2, project="q", priority=1),
            claim("a", 1, held="ab"),
            claim("b", 2, held="cd"),
        ],
        preempt={"b": HIGHER},
    ),
    "whoever gives up all gives up what was lent": Case(
        [asker(2, project="q", priority=1), claim("a", 1, held="ab")],
        preempt={"a": HIGHER},
    ),
    "nobody who has not run for long": Case(
        [asker(2), claim("b", 2, held="cd", turn_s=500.0)],
        targets={"p": 2.0, "q": 0.0},
        review_s=1100.0,
    ),
    "nobody who has committed nothing yet": Case(
        [asker(2), claim("b", 2, held="cd", fruitful=False)],
        targets={"p": 2.0, "q": 0.0},
    ),
    "a project without a target keeps what it has": Case(
        [asker(2), claim("b", 2, held="cd")], targets={"p": 2.0}
    ),
    "protected ones keep the floor of their project": Case(
        [asker(2), claim("a", 2, held="ab", level=1)],
        targets={"p": 2.0, "q": 0.0},
        floors={"q": 2.0},
    ),
    "and no more": Case(
        [
            asker(2),
            claim("a", 2, held="ab", level=1),
            claim("b", 2, held="cd", level=1),
        ],
        preempt={"b": SHARE},
        targets={"p": 2.0, "q": 0.0},
        floors={"q": 2.0},
    ),
    "down to the floor for one who needs more": Case(
        [
            asker(4),
            claim("a", 2, held="ab", level=1),
            claim("b", 2, held="cd", level=1),
        ],
        targets={"p": 4.0, "q": 0.0},
        floors={"q": 2.0},
    ),
    "one that is never to be interrupted keeps the floor only": Case(
        [
            asker(2),
            claim("a", 2, held="ab", level=1, exempt_until_s=math.inf),
            claim("b", 2, held="cd", level=1, exempt_until_s=math.inf),
        ],
        preempt={"b": SHARE},
        targets={"p": 2.0, "q": 0.0},
        floors={"q": 2.0},
    ),
    "terms hold beyond the floor": Case(
        [asker(2), claim("b", 2, held="cd", exempt_until_s=1500.0)],
        targets={"p": 2.0, "q": 0.0},
        review_s=1500.0,
    ),
    "unprotected ones first": Case(
        [
            asker(2, project="q", priority=1, level=1),
            claim("a", 2, held="ab"),
            claim("b", 2, held="cd", level=1),
        ],
        preempt={"a": HIGHER},
    ),
    "priority takes nothing from the protected": Case(
        [asker(2, project="q", priority=9), claim("b", 2, held="cd", level=1)],
    ),
    "nor across projects": Case(
        [asker(2, priority=9), claim("b", 2, held="cd")],
    ),
    "nor from a higher one": Case(
        [asker(2, project="q"), claim("b", 2, held="cd", priority=1)],
    ),
    "priority respects the terms": Case(
        [
            asker(2, project="q", priority=1),
            claim("b", 2, held="cd", exempt_until_s=1001.0),
        ],
        review_s=1001.0,
    ),
    "priority need not wait for a commit": Case(
        [
            asker(2, project="q", priority=1),
            claim("b", 2, held="cd", fruitful=False, turn_s=999.0),
        ],
        preempt={"b": HIGHER},
    ),
    "a turn among equals ends": Case(
        [asker(2, project="q"), claim("b", 2, held="cd")],
        preempt={"b": TURN},
    ),
    "but not before its time": Case(
        [asker(2, project="q"), claim("b", 2, held="cd", turn_s=700.0)],
        review_s=1200.0,
    ),
    "nor before something was committed in it": Case(
        [asker(2, project="q"), claim("b", 2, held="cd", fruitful=False)],
    ),
    "who had fewer turns stays until it had as many": Case(
        [
            asker(2, project="q", served_s=1000.0),
            claim("b", 2, held="cd", turn_s=400.0),
        ],
        review_s=1900.0,
    ),
    "or one fewer against an older one": Case(
        [
            asker(2, project="q", serial=0, served_s=1000.0),
            claim("b", 2, held="cd", turn_s=400.0),
        ],
        review_s=1400.0,
    ),
    "what breaks off a turn is made up for": Case(
        [
            asker(2, project="q"),
            claim("b", 2, held="cd", turn_s=600.0, served_s=100.0),
        ],
        review_s=1100.0,
    ),
    "what would lose least": Case(
        [
            asker(project="q", priority=1),
            *(claim(n, held=n) for n in "abc"),
        ],
        preempt={"b": HIGHER},
        exposed={"a": 30.0, "b": 10.0, "c": 20.0},
    ),
    "who never checkpoints is not safe by that": Case(
        [
            asker(project="q", priority=1),
            *(claim(n, held=n) for n in "abc"),
        ],
        preempt={"c": HIGHER},
        exposed={"a": 20.0, "b": 20.0, "c": 9e9},
    ),
    "a move is not broken off": Case(
        [
            asker(2, project="q", priority=1),
            claim("b", 2, held="cd", moving=True),
        ],
        free="e",
    ),
    "what is too small for itself is left alone": Case(
        [asker(2, project="q", priority=1), claim("b", 3, held="cd")],
    ),
    "unless it borrowed them": Case(
        [asker(2, project="q", priority=1), claim("b", 3, held="cd", borrowed=True)],
        preempt={"b": "it was not its turn; now it is that of x"},
    ),
    "several that borrowed": Case(
        [
            asker(2, project="q", priority=1),
            *(claim(n, held=n, borrowed=True) for n in "ab"),
        ],
        preempt={
            "b": "it was not its turn; now it is that of x",
            "a": "it was not its turn; now it is that of x",
        },
    ),
    "several that borrowed only as far as their project has too much": Case(
        [
            asker(2, priority=1),
            *(claim(n, held=n, borrowed=True) for n in "ab"),
        ],
        targets={"p": 0.0, "q": 1.0},
    ),
    "what its own project was lent, and of another what is missing": Case(
        [
            asker(2),
            claim("a", 1, held="ab", project="p"),
            *(claim(n, held=n) for n in "cd"),
        ],
        preempt={"d": SHARE},
        shrink={"a": 1},
        targets={"p": 4.0, "q": 1.0},
    ),
    "a protected one that must move takes the place of others": Case(
        [
            claim("x", 2, held="a", level=1),
            claim("b", 1, held="b"),
        ],
        preempt={"b": "x is protected and has to move"},
    ),
    "of the unprotected": Case(
        [
            claim("x", 2, held="a", level=1),
            claim("b", 1, held="b", level=1),
        ],
    ),
    "what was borrowed is kept by who would be served first all the same": Case(
        [asker(1, priority=1), claim("b", 1, held="b", borrowed=True)],
        targets={"p": 0.0, "q": 1.0},
    ),
    "what was borrowed beyond a share goes to who is below it": Case(
        [
            asker(1),
            claim("a", 1, held="a"),
            claim("b", 1, held="b", borrowed=True, priority=1),
        ],
        preempt={"b": "it was not its turn; now it is that of x"},
        targets={"p": 1.0, "q": 1.0},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_reclaim(case: Case) -> None:
    """As few as will do, by the first right that anybody has."""
    contest = Contest(
        now_s=NOW_S,
        targets=case.targets,
        floors=case.floors,
        exposed_s=case.exposed,
        min_run_s=600.0,
        slice_s=500.0,
    )
    nodes = [*(n for c in case.claims for n in c.held), *case.free]

    found = allocate(case.claims, [NodeOffer(name=n) for n in nodes], contest)

    assert found.preempt == case.preempt
    assert found.shrink == case.shrink
    assert found.leases == {}
    assert found.review_at_s == case.review_s


def test_only_nodes_that_fit_are_asked_for() -> None:
    """One whose nodes are too small for the asker keeps them."""
    small = NodeOffer(name="a", memory_bytes=10)
    large = NodeOffer(name="b", memory_bytes=99)
    wants = replace(asker(project="q", priority=1), memory_bytes=50)
    running = [claim("a", held="a"), claim("b", held="b")]

    assert allocate([wants, *running], [small, large]).preempt == {"b": HIGHER}
    assert allocate([wants, running[0]], [small]).preempt == {}


@pytest.mark.parametrize(
    ("held", "expected"), [(0, 0), (6, 0), (7, 1), (8, 1), (9, 2), (99, 2)]
)
def test_lag(held: int, expected: int) -> None:
    """A whole gang, the nearest half of one, or nothing is missing."""
    contest = Contest(targets={"q": 10.0})

    assert lag(claim("a", 4), contest, held) == expected
    assert lag(replace(claim("a", 4), project="p"), contest, held) == 0


def test_with_nothing_left_most_that_wait_are_not_looked_at() -> None:
    """Unless a reason is asked of each: thousands would take long."""
    waiting = [claim(f"w{i}", 2, serial=30 + i) for i in range(40)]
    running = claim("a", 1, held="a", level=1)
    offers = [NodeOffer(name="a"), NodeOffer(name="b", leaving=True)]

    few = allocate([*waiting, running], offers, tell_all=False)
    assert few.waits == {"w0": "needs 2 more nodes; 0 are free"}
    assert len(allocate([*waiting, running], offers).waits) == 40


class _Secret(dict[str, float]):
    """What each would lose, of which nobody may ask."""

    def get(self, name: str, default: object = None) -> float:
        raise LookupError(name)


@pytest.mark.parametrize(("gangs", "asked"), [((1, 2), False), ((1, 1), True)])
def test_what_would_be_lost_is_asked_only_of_those_that_are_alike(
    gangs: tuple[int, int], asked: bool
) -> None:
    """A gang that is smaller and enough goes first, whatever it would lose."""
    wants = asker(1, project="q", priority=1)
    runs = [claim("a", gangs[0], held="ab"[: gangs[0]])]
    runs.append(claim("c", gangs[1], held="cd"[: gangs[1]]))
    offers = [NodeOffer(name=n) for c in runs for n in c.held]
    contest = Contest(now_s=NOW_S, exposed_s=_Secret())

    if asked:
        with pytest.raises(LookupError):
            allocate([wants, *runs], offers, contest)
    else:
        assert [*allocate([wants, *runs], offers, contest).preempt] == ["a"]
