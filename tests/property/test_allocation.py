"""Allocation in worlds drawn at random: what holds whatever is asked for."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.policy.allocation import allocate
from climorch.policy.claims import Allocation, Claim, Closing, Contest, NodeOffer

NOW_S = 1000.0
PROJECTS = ("p", "q", "r")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Claims, nodes and rules at one instant."""

    claims: tuple[Claim, ...]
    offers: tuple[NodeOffer, ...]
    contest: Contest

    def allocate(self) -> Allocation:
        """Ask who gets what."""
        return allocate(self.claims, self.offers, self.contest)

    def planned(self, allocation: Allocation) -> World:
        """Return the world in which it is decided and nobody gave back yet."""
        leaving: set[str] = set()
        claims = []
        for claim in self.claims:
            if claim.simulation in allocation.preempt:
                leaving |= set(claim.held)
                continue
            keep = allocation.shrink.get(claim.simulation)
            if keep is not None:
                leaving |= set(claim.held[keep:])
                claim = replace(claim, held=claim.held[:keep], most_nodes=keep)
            if claim.simulation in allocation.moves:
                leaving |= set(allocation.moves[claim.simulation].leave)
                claim = replace(_left(claim, allocation), moving=True)
            claims.append(_granted(claim, allocation))
        offers = tuple(
            replace(offer, leaving=offer.leaving or offer.name in leaving)
            for offer in self.offers
        )
        return dataclasses.replace(self, claims=tuple(claims), offers=offers)

    def given_back(self, allocation: Allocation) -> World:
        """Return the world in which all of it happened at once."""
        claims = []
        for claim in self.claims:
            if claim.simulation in allocation.preempt:
                claim = replace(
                    claim,
                    held=(),
                    borrowed=False,
                    fruitful=True,
                    turn_s=0.0,
                    exempt_until_s=-math.inf,
                    served_s=claim.served_s + NOW_S - claim.turn_s,
                )
            keep = allocation.shrink.get(claim.simulation)
            if keep is not None:
                claim = replace(claim, held=claim.held[:keep])
            if claim.simulation in allocation.moves:
                claim = _left(claim, allocation)
            claims.append(_granted(claim, allocation))
        return dataclasses.replace(self, claims=tuple(claims))


def _left(claim: Claim, allocation: Allocation) -> Claim:
    move = allocation.moves[claim.simulation]
    held = tuple(node for node in claim.held if node not in move.leave)
    return replace(claim, held=held, avoids=move.leave, seeks=move.seek)


def _granted(claim: Claim, allocation: Allocation) -> Claim:
    nodes = allocation.leases.get(claim.simulation)
    if nodes is None:
        return claim
    if claim.held:
        return replace(claim, held=nodes, avoids=(), seeks=())
    return replace(
        claim,
        held=nodes,
        turn_s=NOW_S,
        fruitful=False,
        borrowed=claim.simulation in allocation.borrowed,
        avoids=(),
        seeks=(),
    )


@st.composite
def worlds(draw: st.DrawFn, *, equals: bool = False) -> World:
    """Draw a world; of equals: one project, one priority, no protection."""
    nodes = [f"n{i}" for i in range(draw(st.integers(1, 10)))]
    projects = PROJECTS[:1] if equals else PROJECTS
    # Where programs start within jobs, those of most claims do.
    job = st.sampled_from(("", "1", "2", "3"))
    jobs = {n: "" if equals else draw(job) for n in nodes}
    offers = tuple(
        NodeOffer(
            name=name,
            memory_bytes=0 if equals else draw(st.sampled_from((0, 0, 50, 200))),
            job=jobs[name],
            closings=() if equals else tuple(draw(st.lists(_closings(), max_size=2))),
        )
        for name in nodes
    )
    left = list(nodes)
    claims = []
    for serial in range(draw(st.integers(1, 7))):
        gang = draw(st.integers(1, 4))
        most = gang + draw(st.integers(0, 2))
        # Whole gangs, a part that a loss left over, or nothing.
        size = draw(st.sampled_from((0, 0, gang, gang, most, gang - 1)))
        together = draw(st.booleans())
        of = jobs[left[-1]] if left else ""
        fit = [n for n in left if not together or jobs[n] == of]
        held = tuple(fit[:size])
        left = [n for n in left if n not in held]
        claims.append(
            Claim(
                simulation=f"s{serial}",
                project=draw(st.sampled_from(projects)),
                priority=0 if equals else draw(st.integers(0, 1)),
                serial=serial,
                nodes=gang,
                most_nodes=most,
                memory_bytes=0 if equals else draw(st.sampled_from((0, 100))),
                held=held,
                least_s=0.0 if equals else draw(st.sampled_from((0.0, 100.0))),
                level=0 if equals else draw(st.integers(0, 1)),
                turn_s=draw(st.sampled_from((0.0, 900.0, 990.0))) if held else 0.0,
                served_s=draw(st.sampled_from((0.0, 50.0, 150.0, 900.0))),
                exempt_until_s=draw(st.sampled_from((-math.inf, 950.0, math.inf)))
                if held
                else -math.inf,
                fruitful=draw(st.booleans()) if held else True,
                borrowed=bool(held) and draw(st.booleans()),
                together=together,
            )
        )
    shares = st.integers(0, 2 * len(nodes)).map(lambda half: half / 2)
    contest = Contest(
        now_s=NOW_S,
        ranks={p: draw(st.integers(0, 2)) for p in projects},
        targets={} if equals else {p: draw(shares) for p in projects},
        floors={} if equals else {p: draw(shares) for p in projects},
        min_run_s=draw(st.sampled_from((0.0, 50.0))),
        slice_s=100.0,
    )
    return World(claims=tuple(claims), offers=offers, contest=contest)


def _closings() -> st.SearchStrategy[Closing]:
    return st.builds(
        Closing,
        start_s=st.sampled_from((900.0, 1050.0, 1100.0, 2000.0)),
        holder=st.sampled_from(("", "s0", "p")),
    )


def _held(claims: Sequence[Claim]) -> list[str]:
    return [node for claim in claims for node in claim.held]


@given(world=worlds())
def test_no_node_is_leased_twice_nor_one_that_closes_too_soon(world: World) -> None:
    """Nobody gets what another one holds, or cannot use for as long as it needs."""
    decided = world.allocate()

    after = world.planned(decided)
    assert max(Counter(_held(after.claims)).values(), default=1) == 1
    known = {offer.name: offer for offer in world.offers}
    for before in world.claims:
        for node in decided.leases.get(before.simulation, ())[len(before.held) :]:
            offer = known[node]
            assert not 0 < offer.memory_bytes < before.memory_bytes
            for closing in offer.closings:
                assert closing.holder in (before.simulation, before.project) or (
                    closing.start_s > NOW_S
                    and closing.start_s >= NOW_S + before.least_s
                )


@given(world=worlds())
def test_programs_that_start_within_a_job_have_nodes_of_one(world: World) -> None:
    """What it is given beside what it has, or is to seek, is of one job."""
    decided = world.allocate()

    jobs = {offer.name: offer.job for offer in world.offers}
    for claim in world.claims:
        if claim.together:
            nodes = decided.leases.get(claim.simulation, ())
            assert len({jobs[node] for node in nodes}) <= 1
            move = decided.moves.get(claim.simulation)
            if move is not None and move.seek:
                left = set(claim.held) - set(move.leave)
                assert len({jobs[node] for node in left.union(move.seek)}) == 1


@given(world=worlds())
def test_nobody_is_asked_twice_or_gets_what_it_gives_back(world: World) -> None:
    """Growing, shrinking, giving all up and waiting exclude each other."""
    decided = world.allocate()

    told = Counter(
        [*decided.leases, *decided.shrink, *decided.preempt, *decided.moves],
    )
    assert max(told.values(), default=1) == 1
    assert not decided.leases.keys() & decided.waits.keys()
    for claim in world.claims:
        keep = decided.shrink.get(claim.simulation)
        assert keep is None or claim.nodes <= keep < len(claim.held)


@given(world=worlds())
def test_asked_again_at_the_same_instant_nothing_changes(world: World) -> None:
    """What was decided needs no second decision."""
    decided = world.allocate()

    again = world.planned(decided).allocate()
    assert (again.leases, again.shrink, again.preempt, again.moves) == ({}, {}, {}, {})


@given(world=worlds())
def test_nodes_do_not_go_round_in_circles(world: World) -> None:
    """Were all given back at once, it would end within a step per claim."""
    for _ in range(2 * len(world.claims) + 1):
        decided = world.allocate()
        if not decided.concerned:
            return
        world = world.given_back(decided)
    raise AssertionError(f"still goes on: {decided}")


@given(world=worlds())
def test_a_job_with_enough_free_nodes_is_not_left_idle(world: World) -> None:
    """Once all is carried out nobody waits who could have all it needs for nothing."""
    for _ in range(2 * len(world.claims) + 1):
        decided = world.allocate()
        if not decided.concerned:
            break
        world = world.given_back(decided)

    held = set(_held(world.claims))
    free = [o for o in world.offers if o.name not in held and not o.closings]
    for claim in world.claims:
        fit = [o.job for o in free if not 0 < o.memory_bytes < claim.memory_bytes]
        most = max(Counter(fit).values(), default=0) if claim.together else len(fit)
        # Whoever was told to wait for the first in line would keep that from its turn.
        if len(claim.held) < claim.nodes and not decided.waits[
            claim.simulation
        ].startswith("goes after"):
            assert most < claim.nodes


@given(world=worlds(equals=True))
def test_while_nodes_for_the_smallest_gang_are_up_somebody_runs(world: World) -> None:
    """Once parts of gangs are given back, a whole one is there or is leased."""
    # What a loss left of a gang goes back at once: nothing lives on it.
    claims = tuple(
        claim if len(claim.held) >= claim.nodes else replace(claim, held=())
        for claim in world.claims
    )
    decided = dataclasses.replace(world, claims=claims).allocate()

    smallest = min(claim.nodes for claim in claims)
    if smallest <= len(world.offers):
        assert decided.leases or any(claim.held for claim in claims)


@given(
    gang=st.integers(1, 3),
    gangs=st.integers(2, 6),
    share=st.floats(0.2, 0.8),
    spare=st.integers(0, 2),
)
def test_projects_that_protect_everything_both_get_their_shares(
    gang: int, gangs: int, share: float, spare: int
) -> None:
    """From whoever held it all the other gets its share, to a gang, and no more."""
    up = gang * gangs + spare
    targets = {"p": share * up, "q": (1 - share) * up}
    names = [f"n{i}" for i in range(up)]
    claims = tuple(
        Claim(
            simulation=f"{project}{i}",
            project=project,
            priority=i % 2,
            serial=i,
            nodes=gang,
            most_nodes=gang,
            held=tuple(names[i * gang : (i + 1) * gang])
            if project == "p" and i < gangs
            else (),
            level=1,
            exempt_until_s=math.inf if project == "p" and i < gangs else -math.inf,
        )
        for project in ("p", "q")
        for i in range(gangs + spare)
    )
    world = World(
        claims=claims,
        offers=tuple(NodeOffer(name=name) for name in names),
        contest=Contest(now_s=NOW_S, targets=targets, floors=targets, min_run_s=50.0),
    )
    moves = 0
    for _ in range(3 * gangs):
        decided = world.allocate()
        moves += len(decided.preempt)
        world = world.given_back(decided)
        # A round later everybody has committed something and run long enough.
        rested = tuple(
            replace(c, turn_s=0.0, fruitful=True, exempt_until_s=math.inf)
            if c.held
            else c
            for c in world.claims
        )
        world = dataclasses.replace(world, claims=rested)

    held = {
        project: len(_held([c for c in world.claims if c.project == project]))
        for project in targets
    }
    # Gangs may be too large for both: then usage moves the targets in time.
    torn = held["p"] - gang / 2 < targets["p"]
    assert held["q"] > targets["q"] - gang or torn
    assert held["p"] >= targets["p"] - gang / 2
    # No more is moved than the other's share.
    assert moves * gang <= targets["q"]
