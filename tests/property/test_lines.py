"""Who stands first, and who was refused: as a look at all of them would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.policy.claims import Claim
from climorch.policy.waiting import Blocked, Queue, Waiting

SLICE_S = 100.0


@st.composite
def crowds(draw: st.DrawFn) -> list[Claim]:
    """Draw claims that wait, of few kinds."""
    few = st.integers(0, 2)
    return [
        Claim(
            simulation=f"s{serial}",
            project=draw(st.sampled_from(("a", "b"))),
            priority=draw(few),
            serial=serial,
            nodes=draw(st.integers(1, 3)),
            most_nodes=3,
            memory_bytes=draw(few),
            level=draw(few),
            served_s=draw(few) * SLICE_S,
            least_s=float(draw(few)),
            waits_since_s=float(draw(few)),
        )
        for serial in range(draw(st.integers(1, 14)))
    ]


def line_up(claims: list[Claim]) -> Waiting:
    """Let all stand in line."""
    waiting = Waiting(SLICE_S)
    for claim in claims:
        waiting.put(claim)
    return waiting


def order(claim: Claim) -> tuple[int, int, int]:
    """Say where one stands within its project."""
    return -claim.priority, int(claim.served_s // SLICE_S), claim.serial


def served(waiting: Waiting, project: str) -> list[Claim]:
    """Serve a project to its end."""
    queue, found = Queue(waiting.firsts.get(project, ())), []
    while (head := queue.head()) is not None:
        found.append(head[1])
        queue.pop()
    return found


def rests_on_lines(waiting: Waiting) -> None:
    """Check who is first and who is eldest against all that wait."""
    for project, lines in waiting.lines.items():
        firsts = [line.members[0][1] for line in lines.values()]
        assert [line.members[0][1] for _, line in waiting.firsts[project]] == sorted(
            firsts, key=order
        )
        since_s = sorted(line.oldest[0][0] for line in lines.values())
        assert [s for s, _, _ in waiting.eldest[project]] == since_s
    assert waiting.firsts.keys() == waiting.eldest.keys() == waiting.lines.keys()


@given(claims=crowds(), data=st.data())
def test_lines_are_served_in_order_whoever_left(
    claims: list[Claim], data: st.DataObject
) -> None:
    """As if those that stayed had been sorted anew."""
    waiting = line_up(data.draw(st.permutations(claims)))
    gone = data.draw(st.sets(st.sampled_from(claims), max_size=6))
    for claim in gone:
        waiting.drop(claim)

    rests_on_lines(waiting)
    left = [claim for claim in claims if claim not in gone]
    for project in ("a", "b"):
        mine = [claim for claim in left if claim.project == project]
        assert served(waiting, project) == sorted(mine, key=order)


@given(claims=crowds())
def test_lines_that_were_parked_come_again_in_order(claims: list[Claim]) -> None:
    """First all but every second line, then the others, nobody twice."""
    queue = Queue(line_up(claims).firsts.get("a", ()))
    found, turn = [], 0
    while (head := queue.head()) is not None:
        turn += 1
        if turn % 2:
            queue.park()
        else:
            found.append(head[1])
            queue.pop()
    queue.unpark()
    later = []
    while (head := queue.head()) is not None:
        later.append(head[1])
        queue.pop()

    assert later == sorted(later, key=order)
    mine = [claim for claim in claims if claim.project == "a"]
    assert sorted([*found, *later], key=order) == sorted(mine, key=order)


def refused_before(refused: list[Claim], claim: Claim, *, timed: bool) -> bool:
    """Look at all that were refused."""
    return any(
        other.project == claim.project
        and other.nodes <= claim.nodes
        and other.priority >= claim.priority
        and other.level >= claim.level
        and other.memory_bytes <= claim.memory_bytes
        and other.cores <= claim.cores
        and other.scratch_bytes <= claim.scratch_bytes
        and not (timed and other.least_s > claim.least_s)
        for other in refused
        if not other.under_way
    )


@given(claims=crowds(), asks=crowds(), timed=st.booleans())
def test_who_was_refused_is_remembered_by_the_least_of_them(
    claims: list[Claim], asks: list[Claim], *, timed: bool
) -> None:
    """In whatever order they came, those that hold something left out."""
    refused = [
        replace(claim, held=("n",)) if claim.serial % 5 == 4 else claim
        for claim in claims
    ]
    blocked = Blocked()
    for claim in refused:
        blocked.add(claim)

    assert blocked.refused == refused
    for claim in asks:
        expected = refused_before(refused, claim, timed=timed)
        assert blocked.before(claim, timed=timed) is expected
