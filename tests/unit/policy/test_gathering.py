"""Leases whose nodes must be of one job: jobs are words, their letters are nodes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from climorch.policy.allocation import allocate
from climorch.policy.claims import Allocation, Claim, Closing, Contest, Move, NodeOffer
from climorch.policy.moving import Moving
from tests.unit.policy.claimants import claim


def offers(jobs: str, **more: dict[str, Any]) -> list[NodeOffer]:
    """Offer the nodes of some jobs; more of a node by its letter."""
    found = []
    for job in jobs.split():
        found += [NodeOffer(name=n, job=job, **more.get(n, {})) for n in job]
    return found


def gang(name: str, nodes: int = 2, **more: Any) -> Claim:
    """Make a claim whose nodes must be of one job."""
    return claim(name, nodes, together=True, **more)


def decide(jobs: str, *claims: Claim, now_s: float = 0.0, **more: Any) -> Allocation:
    """Ask who gets what."""
    contest = Contest(now_s=now_s, slice_s=100.0, moving=Moving(), **more)
    return allocate(claims, offers(jobs), contest)


@pytest.mark.parametrize(
    ("jobs", "claims", "leases"),
    [
        # Each a whole job, whatever order they come in.
        ("ab cd", [gang("x"), gang("y")], {"x": "ab", "y": "cd"}),
        # One that any nodes will do for takes those of one job before the next.
        ("ab cd", [claim("x", 1), gang("y"), claim("z", 1)], {"x": "a", "y": "cd"}),
        # The smallest job that will do.
        ("abcd ef", [gang("x")], {"x": "ef"}),
        # What it holds decides.
        ("abc ef", [gang("x", held="a")], {"x": "ab"}),
        # Two halves are no whole.
        ("ab cd", [claim("x", held="a"), claim("y", held="c"), gang("z")], {}),
        # Without jobs, all nodes are alike.
        ("abcd", [claim("x", held="b"), gang("y", 3)], {"y": "acd"}),
        # Lent nodes are of the same job too.
        ("ab cd", [gang("x", held="ab", most_nodes=4)], {}),
        ("abc de", [gang("x", held="ab", most_nodes=4)], {"x": "abc"}),
    ],
)
def test_a_lease_is_of_one_job(
    jobs: str, claims: list[Claim], leases: dict[str, str]
) -> None:
    """Nobody is given nodes of two where programs could not start."""
    found = decide(jobs, *claims).leases

    given = {name: "".join(nodes) for name, nodes in found.items()}
    assert {name: given.get(name) for name in leases} == leases
    for one in claims:
        if one.together:
            assert bool(given.get(one.simulation)) == (one.simulation in leases)


def test_it_is_told_that_jobs_are_too_small() -> None:
    """The words say of what too few are up; of jobs only where there are some."""
    found = decide("ab cd", gang("x", 3)).waits["x"]
    assert found == "needs 3 nodes of one job; 2 such are up"
    assert decide("ab", gang("x", 3)).waits["x"] == "needs 3 nodes; 2 such are up"


def test_what_is_left_of_a_job_is_left_for_a_whole_one() -> None:
    """Half of its job is gone and another one is free: it goes there at once."""
    found = decide("a cd", gang("x", held="a"))

    why = "leaves a: programs start within one job"
    assert found.moves == {"x": Move(leave=("a",), seek=("c", "d"), why=why)}
    assert not found.leases


def test_once_it_has_left_it_is_given_what_it_seeks() -> None:
    """Though other jobs would do as well, and what it left is free."""
    left = gang("x", avoids=("a",), seeks=("e", "f"))
    assert decide("ab cd ef", left).leases == {"x": ("e", "f")}
    # Back to where it came from only if there is nothing else.
    assert decide("ab cd", left).leases == {"x": ("c", "d")}
    assert decide("ab c", left).leases == {"x": ("a", "b")}


def test_a_node_that_is_avoided_is_worse_than_another_job() -> None:
    """A segment hung there: the rest of the lease goes along to where none did."""
    hung = gang("x", held="b", avoids=("a",))
    assert decide("ab cd", hung).moves["x"].seek == ("c", "d")
    assert decide("abc de", hung).leases == {"x": ("b", "c")}


def test_nodes_are_asked_of_those_who_hold_one_job() -> None:
    """Two halves of two jobs would be enough nodes, and of no use."""
    late: dict[str, Any] = {"turn_s": -150.0, "served_s": 500.0}
    held = [
        claim(name, held=node, **late)
        for name, node in zip("stuv", "acbd", strict=True)
    ]
    found = decide("ab cd", *held, gang("x"))
    assert found.preempt.keys() in ({"s", "u"}, {"t", "v"})


def test_that_no_job_is_free_keeps_nodes_from_nobody_else() -> None:
    """One that any nodes will do for is not refused since a gang was."""
    halves = claim("s", held="a"), claim("t", held="c")
    found = decide("ab cd", *halves, gang("x"), claim("y", 2))
    assert found.leases == {"y": ("b", "d")}
    # And is served by those who may be asked for any two.
    late: dict[str, Any] = {"turn_s": -150.0, "served_s": 500.0}
    kept = claim("s", held="a", level=1), claim("t", held="c", level=1)
    other = claim("u", held="b", **late), claim("v", held="d", **late)
    found = decide("ab cd", *kept, *other, gang("x"), claim("y", 2))
    assert found.preempt.keys() == {"u", "v"}
    assert found.waits["x"].startswith("needs 2 more nodes of one job")


def test_nodes_of_one_job_are_given_out_side_by_side() -> None:
    """However they came: what any nodes will do for breaks few jobs."""
    mixed = sorted(offers("ab cd"), key=lambda o: o.name in "bd")
    assert allocate([claim("x", 2)], mixed).leases == {"x": ("a", "b")}


@pytest.mark.parametrize(
    ("jobs", "moves"),
    [
        # All of it or nothing: part of a lease is of no use elsewhere.
        ("abcd ef", {"y": ("ab", "ef")}),
        ("abcd e f", {}),
    ],
)
def test_a_whole_lease_makes_room(jobs: str, moves: dict[str, tuple[str, str]]) -> None:
    """Where one that waits needs more of its job than is free."""
    found = decide(jobs, gang("y", held="ab"), gang("x", 3)).moves
    assert {n: ("".join(m.leave), "".join(m.seek)) for n, m in found.items()} == moves


def test_somebody_makes_room_within_a_job() -> None:
    """Free nodes of two jobs become those of one, at a boundary, for who waits."""
    found = decide("ab cd", claim("s", held="a"), claim("t", held="c"), gang("x"))

    assert len(found.moves) == 1
    (move,) = found.moves.values()
    assert move.why == "makes room for x, which fits only there"
    assert (move.leave, move.seek) in ((("a",), ("d",)), (("c",), ("b",)))


def move_of(
    jobs: str, who: Claim, going: str, at_s: float, slow: str = ""
) -> Move | None:
    """Return how one moves of whose nodes some go, or are slow."""
    more: dict[str, dict[str, Any]] = {
        n: {"closings": (Closing(start_s=at_s),)} for n in going
    }
    more |= {n: {"slow": 2.0} for n in slow}
    contest = Contest(now_s=0.0, moving=Moving())
    return allocate([who], offers(jobs, **more), contest).moves.get("x")


@pytest.mark.parametrize(
    ("jobs", "going", "slow", "leave", "seek"),
    [
        # Its job ends: all go to the next one, before that is too late.
        ("ab cd", "ab", "", "ab", "cd"),
        ("ab cd e", "ab", "", "ab", "cd"),
        # A whole job or nothing.
        ("ab c d", "ab", "", "", ""),
        # One node goes: another one of the job if there is one, else all move.
        ("abc de", "a", "", "a", "c"),
        ("ab de", "a", "", "ab", "de"),
        # The same where one is slow.
        ("abc de", "", "a", "a", "c"),
        ("ab de", "", "a", "ab", "de"),
        ("ab d", "", "a", "", ""),
    ],
)
def test_who_moves_moves_to_one_job(
    jobs: str, going: str, slow: str, leave: str, seek: str
) -> None:
    """Before a job ends, and away from a slow node."""
    who = gang("x", held="ab", level=1, least_s=100.0, turn_s=-1e6, moved_s=-math.inf)
    move = move_of(jobs, who, going, 150.0, slow)

    if not leave:
        assert move is None
    else:
        assert move is not None
        assert (move.leave, move.seek) == (tuple(leave), tuple(seek))


def test_a_move_from_what_is_of_no_use_does_not_end() -> None:
    """There is nothing to go to yet; where it was it could not compute either."""
    more = {node: {"leaving": True} for node in "ab"}
    waits, contest = claim("y", 2, held="cd"), Contest(moving=Moving())
    broken = gang("x", moving=True, avoids=("a",), seeks=("c", "d"))
    assert allocate([broken, waits], offers("a cd", **more), contest).moves == {}
    whole = gang("x", moving=True, avoids=("a", "b"), seeks=("c", "d"))
    ended = allocate([whole, waits], offers("ab cd", **more), contest).moves["x"]
    assert ended == Move(leave=(), why="there are no other nodes for it any more")
