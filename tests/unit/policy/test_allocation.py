"""Who gets which nodes, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.policy.allocation import Allocation, allocate
from climorch.policy.claims import Claim, Contest, NodeOffer


def want(
    name: str,
    nodes: int = 1,
    most: int | None = None,
    *,
    priority: int = 0,
    serial: int = 0,
    memory: int = 0,
    held: str = "",
) -> Claim:
    """Make a claim; nodes have names of one letter."""
    return Claim(
        simulation=name,
        priority=priority,
        serial=serial,
        nodes=nodes,
        most_nodes=most or nodes,
        memory_bytes=memory,
        held=tuple(held),
    )


def borrowing(name: str, nodes: int, *, held: str) -> Claim:
    """Make a claim of one who has nodes out of turn, and came second."""
    return replace(want(name, nodes, serial=1, held=held), borrowed=True)


def up(names: str, *, leaving: str = "", **memory: int) -> list[NodeOffer]:
    """Offer nodes; memory by name, 0 is unlimited."""
    return [
        NodeOffer(name=n, memory_bytes=memory.get(n, 0), leaving=n in leaving)
        for n in names
    ]


class Case(NamedTuple):
    """Claims and nodes, and what comes of them."""

    claims: list[Claim]
    offers: list[NodeOffer]
    leases: Mapping[str, str] = MappingProxyType({})
    shrink: Mapping[str, int] = MappingProxyType({})
    waits: Mapping[str, str] = MappingProxyType({})
    preempt: Mapping[str, str] = MappingProxyType({})
    borrowed: str = ""
    contest: Contest | None = None


CASES = {
    "nothing": Case([], []),
    "nobody wants": Case([], up("ab")),
    "nothing there": Case(
        [want("x")],
        [],
        waits={"x": "needs 1 node; none such is up"},
    ),
    "a gang": Case([want("x", 2)], up("abc"), leases={"x": "ab"}),
    "all or nothing": Case(
        [want("x", 3, serial=1), want("y", 2)],
        up("abcd"),
        leases={"y": "ab"},
        waits={"x": "needs 3 more nodes; 2 are free"},
    ),
    "higher priority first": Case(
        [want("x", 2), want("y", 2, priority=1, serial=1)],
        up("abc"),
        leases={"y": "ab"},
        waits={"x": "needs 2 more nodes; 1 are free"},
    ),
    "then order of submission": Case(
        [want("x", 2, serial=2), want("y", 2, serial=1)],
        up("abc"),
        leases={"y": "ab"},
        waits={"x": "needs 2 more nodes; 1 are free"},
    ),
    "what would lie idle meanwhile is borrowed": Case(
        [want("x", 3, serial=0), want("y", 1, serial=1), want("z", 2, held="ab")],
        up("abc"),
        leases={"y": "c"},
        borrowed="y",
        waits={"x": "needs 3 more nodes; 1 are free"},
    ),
    "what is borrowed goes back once it is enough": Case(
        [want("x", 3), borrowing("y", 1, held="c"), want("z", 2, serial=2)],
        up("abc"),
        preempt={"y": "it was not its turn; now it is that of x"},
        waits={
            "x": "needs 3 more nodes; 2 are free, 1 are asked back from y",
            "z": "goes after x",
        },
    ),
    "but not before it is enough": Case(
        [want("x", 3), borrowing("y", 1, held="c"), want("z", 1, serial=2, held="a")],
        up("abc"),
        waits={"x": "needs 3 more nodes; 1 are free"},
    ),
    "who can never fit blocks nobody": Case(
        [want("x", 4), want("y", 1, serial=1)],
        up("abc"),
        leases={"y": "a"},
        waits={"x": "needs 4 nodes; 3 such are up"},
    ),
    "a held lease stays": Case([want("x", 2, held="bc")], up("abc")),
    "memory decides which nodes": Case(
        [want("x", 1, memory=100), want("y", 1, serial=1)],
        up("abc", a=50, b=200),
        leases={"x": "b", "y": "a"},
    ),
    "too little memory anywhere": Case(
        [want("x", 2, memory=100), want("y", 1, serial=1)],
        up("abc", a=50, b=99),
        leases={"y": "a"},
        waits={"x": "needs 2 nodes with 100 bytes of memory each; 1 such is up"},
    ),
    "topped up after a loss": Case([want("x", 3, held="ab")], up("abc"), {"x": "abc"}),
    "topped up though another waits": Case(
        [want("y", 4, priority=1), want("x", 3, held="ab", serial=1)],
        up("abcd"),
        leases={"x": "abc"},
        waits={"y": "needs 4 more nodes; 1 are free"},
    ),
    "not topped up where nothing is free": Case(
        [want("x", 3, held="ab"), want("y", 2, held="cd", serial=1)],
        up("abcd"),
        waits={"x": "needs 1 more nodes; 0 are free"},
    ),
    "free nodes are lent": Case([want("x", 1, 3)], up("abcd"), leases={"x": "abc"}),
    "lent in turn": Case(
        [want("x", 1, 9), want("y", 1, 2, serial=1), want("z", 1, 9, serial=2)],
        up("abcdefg"),
        leases={"x": "adg", "y": "be", "z": "cf"},
    ),
    "lent to who runs": Case([want("x", 1, 2, held="a")], up("ab"), leases={"x": "ab"}),
    "lent where the memory is enough": Case(
        [want("x", 1, 3, memory=100, held="a")], up("abc", b=50), leases={"x": "ac"}
    ),
    "not lent for want of memory": Case(
        [want("x", 1, 3, memory=100, held="a")], up("ab", b=50)
    ),
    "not lent to who does not run": Case(
        [want("x", 9, 12), want("y", 1, 2, serial=1, held="a")],
        up("abc"),
        leases={"y": "ab"},
        waits={"x": "needs 9 nodes; 3 such are up"},
    ),
    "lent nodes are asked back": Case(
        [want("x", 1, 4, held="abcd"), want("y", 2, serial=1)],
        up("abcd"),
        shrink={"x": 2},
        waits={"y": "needs 2 more nodes; 0 are free, 2 are asked back from x"},
    ),
    "only as many as are missing": Case(
        [want("x", 1, 4, held="abcd"), want("y", 2, serial=1)],
        up("abcde"),
        shrink={"x": 3},
        waits={"y": "needs 2 more nodes; 1 are free, 1 are asked back from x"},
    ),
    "from the last first": Case(
        [
            want("x", 1, 3, held="abc"),
            want("y", 1, 3, serial=1, held="def"),
            want("z", 3, serial=2),
        ],
        up("abcdef"),
        shrink={"y": 1, "x": 2},
        waits={"z": "needs 3 more nodes; 0 are free, 3 are asked back from y, x"},
    ),
    "from those of higher priority too": Case(
        [want("x", 1, 3, priority=9, held="abc"), want("y", 2)],
        up("abc"),
        shrink={"x": 1},
        waits={"y": "needs 2 more nodes; 0 are free, 2 are asked back from x"},
    ),
    "no gang is broken for it": Case(
        [want("x", 3, held="abc"), want("y", 2, serial=1)],
        up("abc"),
        waits={"y": "needs 2 more nodes; 0 are free"},
    ),
    "nothing is lent while somebody waits": Case(
        [want("x", 2, 3, held="ab"), want("y", 2, serial=1)],
        up("abc"),
        waits={"y": "needs 2 more nodes; 1 are free"},
    ),
    "what comes back need not be asked for": Case(
        [want("x", 1, 3, held="ab"), want("y", 2, serial=1)],
        up("abcd", leaving="cd"),
        waits={"y": "needs 2 more nodes; 0 are free, 2 will be given back"},
    ),
    "what comes back cannot be leased yet": Case(
        [want("x", 2), want("y", 1, serial=1)],
        up("ab", leaving="b"),
        waits={
            "x": "needs 2 more nodes; 1 are free, 1 will be given back",
            "y": "goes after x",
        },
    ),
    "what comes back must have the memory": Case(
        [want("x", 1, 2, held="ab"), want("y", 1, memory=100, serial=1)],
        up("abc", leaving="c", c=50),
        shrink={"x": 1},
        waits={"y": "needs 1 more nodes; 0 are free, 1 are asked back from x"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_allocation(case: Case) -> None:
    """Gangs by priority, all or nothing; free nodes are lent and asked back."""
    found = allocate(case.claims, case.offers, case.contest)

    assert {name: "".join(nodes) for name, nodes in found.leases.items()} == case.leases
    assert found.shrink == case.shrink
    assert found.preempt == case.preempt
    assert found.waits == case.waits
    assert "".join(sorted(found.borrowed)) == case.borrowed


@pytest.mark.parametrize(
    ("claim", "offer", "waits"),
    [
        ({"cores": 8}, {"cores": 8}, None),
        ({"cores": 8}, {"cores": 0}, None),
        (
            {"cores": 8},
            {"cores": 7},
            "needs 1 node with 8 cores each; none such is up",
        ),
        ({"scratch_bytes": 5}, {"scratch_bytes": 5}, None),
        ({"scratch_bytes": 5}, {}, None),
        (
            {"scratch_bytes": 5, "memory_bytes": 3},
            {"scratch_bytes": 4},
            "needs 1 node with 3 bytes of memory, 5 bytes of scratch each; none such "
            "is up",
        ),
    ],
)
def test_a_node_must_have_the_cores_and_the_disk(
    claim: dict[str, Any], offer: dict[str, Any], waits: str | None
) -> None:
    """What is not known of a node is taken to be enough."""
    allocation = allocate([replace(want("x"), **claim)], [NodeOffer(name="a", **offer)])

    assert allocation.waits.get("x") == waits
    assert ("x" in allocation.leases) == (waits is None)


@given(data=st.data(), up_count=st.integers(0, 8))
def test_nothing_is_leased_twice_or_taken_away(
    data: st.DataObject, up_count: int
) -> None:
    """Every lease holds what was held and free nodes only, gang by gang."""
    names = [f"n{i}" for i in range(up_count)]
    offers = [
        NodeOffer(name=n, memory_bytes=data.draw(st.sampled_from((0, 50, 200))))
        for n in names
    ]
    left = list(names)
    claims = []
    for serial in range(data.draw(st.integers(0, 5))):
        held = [left.pop() for _ in range(data.draw(st.integers(0, min(3, len(left)))))]
        nodes = data.draw(st.integers(1, 4))
        claims.append(
            Claim(
                simulation=f"s{serial}",
                priority=data.draw(st.integers(-1, 1)),
                serial=serial,
                nodes=nodes,
                most_nodes=nodes + data.draw(st.integers(0, 3)),
                memory_bytes=data.draw(st.sampled_from((0, 100))),
                held=tuple(held),
            )
        )

    given_ = allocate(claims, offers)

    leases = {c.simulation: given_.leases.get(c.simulation, c.held) for c in claims}
    all_leased = [node for lease in leases.values() for node in lease]
    assert len(all_leased) == len(set(all_leased))
    assert set(all_leased) <= set(names)
    for c in claims:
        lease = leases[c.simulation]
        assert lease[: len(c.held)] == c.held
        if c.simulation in given_.leases:
            assert c.nodes <= len(lease) <= max(c.most_nodes, len(c.held))
        if c.simulation in given_.shrink:
            assert c.nodes <= given_.shrink[c.simulation] < len(c.held)


def test_what_moves_gets_nothing_yet_and_nobody_takes_what_it_will_need() -> None:
    """A claim that must give back first has free nodes kept, and is lent none."""
    moving = replace(want("x", 2, 4, held="a"), moving=True)
    after = want("y", serial=1)

    assert allocate([moving, after], up("ab")).leases == {}
    assert allocate([moving, after], up("abc")).leases == {"y": ("c",)}
    assert allocate([replace(moving, nodes=1)], up("abc")) == Allocation(idle=2)
    # Too few for it: what comes later gets nothing either.
    short = [moving, want("y", held="b", serial=2), want("z", serial=3)]
    assert allocate(short, up("ab")).waits == {
        "x": "needs 1 more nodes; 0 are free",
        "z": "goes after x",
    }


def test_what_comes_back_beyond_what_was_asked_for_is_promised_to_the_next() -> None:
    """Also to one of a kind of which another could be given nothing before."""
    large = replace(want("w", 3, priority=5), project="p")
    like_it = replace(want("v", 3, priority=5, serial=1), project="p")
    small = replace(want("x", 1, priority=1, serial=2), project="q")
    runs = replace(want("a", 4, serial=3, held="abcd"), project="q")
    found = allocate(
        [large, like_it, small, runs], up("abcd"), Contest(ranks={"p": 0, "q": 1})
    )

    assert found.preempt == {"a": "x has a higher priority"}
    assert found.waits == {
        "w": "needs 3 more nodes; 0 are free",
        "x": "needs 1 more nodes; 0 are free, 1 are asked back from a",
        "v": "needs 3 more nodes; 0 are free, 3 will be given back",
    }
    assert found.awaits == {"x": ("a",), "v": ("b", "c", "d")}


def test_who_was_just_interrupted_or_never_is_borrows_nothing() -> None:
    """The one waits ten minutes, the other until its turn has come."""
    large = want("w", 3)
    tired = replace(want("x", serial=1), interrupted_s=900.0)
    never = replace(want("y", serial=2), unbroken=True)
    rules = Contest(now_s=1000.0)

    found = allocate([large, tired, never, want("a", held="c")], up("abc"), rules)
    assert found.leases == {}
    assert found.review_at_s == 1500.0
    assert found.waits["x"] == found.waits["y"] == "goes after w"
    later = replace(rules, now_s=1500.0)
    found = allocate([large, tired, never, want("a", held="c")], up("abc"), later)
    assert found.leases == {"x": ("a",)}


def test_a_protected_borrower_that_lost_a_node_gets_the_next_one() -> None:
    """It may send others away for it; they would else take it again without end."""
    rules = Contest(now_s=1000.0, targets={"": 0.0}, slice_s=100.0)
    others = [replace(want(n, serial=i), held=()) for i, n in enumerate("stu")]
    broken = replace(borrowing("x", 2, held="d"), level=1, serial=9, fruitful=False)

    decided = allocate([*others, broken], up("abcd"), rules)
    assert decided.leases["x"] == ("d", "a")
    assert decided.preempt == {}
    assert [*decided.waits] == ["u"]
