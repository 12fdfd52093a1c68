"""Who starts now, and who is kept a place for later.

A queue is served in order over a profile of free nodes. Where the next one cannot
start, the rules differ in who may overtake it:

============== ====================================================================
fcfs           nobody
easy           who does not delay the first that waits
sjbf           the same, the shortest estimate first
conservative   who delays nobody that waits before it
============== ====================================================================

Estimates are taken as upper bounds. Ignores what the order is made of.

References
----------
Lifka (1995), JSSPP, LNCS 949, 295-303: EASY. Mu'alem and Feitelson (2001), IEEE TPDS
12(6), 529-543: shadow time and extra nodes, conservative backfill. Tsafrir, Etsion and
Feitelson (2007), IEEE TPDS 18(6), 789-803: shortest job backfilled first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter
from types import MappingProxyType

from climorch.policy.availability import Profile, Slot
from climorch.policy.bits import lowest
from climorch.policy.queueing import Plan, Request, Reservation, Rule, Shadow

__all__ = ["RULES", "conservative", "easy", "fcfs", "overtake", "sjbf"]


def fcfs(profile: Profile, queue: Iterable[Request], now_s: float) -> Plan:
    """Start requests in order until one has to wait; reads no further.

    Parameters
    ----------
    profile : Profile
        What is free from now on.
    queue : iterable of Request
        Who waits, in order.
    now_s : float
        Now, in seconds.

    Returns
    -------
    Plan
        With a reservation for the head.
    """
    return _in_order(profile, iter(queue), now_s)


def easy(profile: Profile, queue: Iterable[Request], now_s: float) -> Plan:
    """Let whoever does not delay the head overtake it, in order.

    Parameters
    ----------
    profile, queue, now_s
        As in `fcfs`.

    Returns
    -------
    Plan
        With a reservation for the head. Where all nodes are alike the starts are
        those of the classical rule, which counts nodes.
    """
    rest = iter(queue)
    return _with_overtaking(_in_order(profile, rest, now_s), rest, now_s)


def sjbf(profile: Profile, queue: Iterable[Request], now_s: float) -> Plan:
    """Let whoever does not delay the head overtake it, shortest estimate first.

    Parameters
    ----------
    profile, queue, now_s
        As in `fcfs`.

    Returns
    -------
    Plan
        As from `easy`; equal estimates go in order.
    """
    rest = iter(queue)
    plan = _in_order(profile, rest, now_s)
    room = plan.profile.free_at(now_s).bit_count()
    fitting = [request for request in rest if request.nodes <= room]
    return _with_overtaking(plan, sorted(fitting, key=attrgetter("estimate_s")), now_s)


def conservative(
    profile: Profile,
    queue: Iterable[Request],
    now_s: float,
    *,
    reserved: Mapping[str, Reservation] = MappingProxyType({}),
    depth: int | None = None,
) -> Plan:
    """Give everybody a place that nobody who comes later can take.

    Parameters
    ----------
    profile, queue, now_s
        As in `fcfs`; the profile less what is reserved.
    reserved : mapping of str to Reservation
        What was promised before to some of the queue, on fixed nodes. Each is kept
        or comes earlier, in the order of the queue, and is never delayed. One that
        should have started before now is planned anew.
    depth : int, optional
        How many may hold a reservation; by default all. Those behind hold none and
        cannot start, so the cost of a pass is bounded.

    Returns
    -------
    Plan
        With a reservation, on fixed nodes, for all that wait. Hand its profile and
        reservations to the next call. Without ``reserved`` this tells when each of
        a queue is expected to start under any rule, if nobody ends early.
    """
    starts: dict[str, int] = {}
    reservations: dict[str, Reservation] = {}
    never: list[str] = []
    promised = len(reserved)
    for request in queue:
        found = reserved.get(request.name)
        if found is not None:
            promised -= 1
        elif depth is not None and len(reservations) + promised >= depth:
            if not promised:
                break
            continue
        profile, found = _kept_or_placed(profile, request, found, now_s)
        if found is None:
            never.append(request.name)
        elif found.start_s <= now_s:
            starts[request.name] = found.nodes
        else:
            reservations[request.name] = found
    return Plan(
        starts=starts,
        reservations=reservations,
        never=tuple(never),
        profile=profile,
    )


def overtake(
    profile: Profile, candidates: Iterable[Request], now_s: float, *, shadow: Shadow
) -> Plan:
    """Start those behind the head that do not delay it, in the order given.

    Also for what joins a queue: while no more nodes are free than when the others
    were looked at, the new one alone can have become able to start.

    Parameters
    ----------
    profile : Profile
        What is free from now on.
    candidates : iterable of Request
        Who waits behind the head. No further read once no node is free.
    now_s : float
        Now, in seconds.
    shadow : Shadow
        What is kept for the head.

    Returns
    -------
    Plan
        With their starts, and what is left of the profile and the shadow.
    """
    starts: dict[str, int] = {}
    room, most = _room(profile, now_s, shadow)
    for request in candidates:
        if not room:
            break
        # Almost all candidates of a long queue end here, so nothing is called.
        stop_s = now_s + request.estimate_s
        if request.nodes > (room if stop_s <= shadow.start_s else most):
            continue
        chosen = _beside(profile, request, now_s, shadow)
        if chosen:
            starts[request.name] = chosen
            profile = profile.take(chosen, now_s, stop_s)
            if stop_s > shadow.start_s:
                shadow = replace(shadow, usable=shadow.usable & ~chosen)
            room, most = _room(profile, now_s, shadow)
    return Plan(
        starts=starts,
        reservations=_of_head(shadow),
        never=(),
        profile=profile,
        shadow=shadow,
    )


def _in_order(profile: Profile, queue: Iterator[Request], now_s: float) -> Plan:
    """Start requests in order; stop behind the first that has to wait."""
    starts: dict[str, int] = {}
    never: list[str] = []
    shadow = None
    for request in queue:
        slot = profile.earliest(
            request.nodes,
            request.estimate_s,
            eligible=request.eligible,
            not_before_s=now_s,
        )
        if slot is None:
            never.append(request.name)
        elif slot.start_s > now_s:
            shadow = Shadow(head=request, start_s=slot.start_s, usable=slot.nodes)
            break
        else:
            chosen = lowest(slot.nodes, request.nodes)
            profile = profile.take(chosen, now_s, now_s + request.estimate_s)
            starts[request.name] = chosen
    return Plan(
        starts=starts,
        reservations=_of_head(shadow),
        never=tuple(never),
        profile=profile,
        shadow=shadow,
    )


def _beside(profile: Profile, request: Request, now_s: float, shadow: Shadow) -> int:
    """Choose nodes on which a request delays no head, or none.

    First those that the head cannot use: they cost it nothing, whatever happens.
    """
    stop_s = now_s + request.estimate_s
    nodes = profile.free_over(now_s, stop_s) & request.eligible
    chosen = lowest(nodes & ~shadow.usable, request.nodes)
    missing = request.nodes - chosen.bit_count()
    if stop_s > shadow.start_s and missing > shadow.extra:
        return 0
    chosen |= lowest(nodes & shadow.usable, missing)
    return chosen if chosen.bit_count() == request.nodes else 0


def _room(profile: Profile, now_s: float, shadow: Shadow) -> tuple[int, int]:
    """Count what is free now, and of that what may be held past the shadow time."""
    free = profile.free_at(now_s)
    spared = min((free & shadow.usable).bit_count(), shadow.extra)
    return free.bit_count(), (free & ~shadow.usable).bit_count() + spared


def _with_overtaking(plan: Plan, behind: Iterable[Request], now_s: float) -> Plan:
    """Add those that overtake to what was started in order."""
    if plan.shadow is None:
        return plan
    later = overtake(plan.profile, behind, now_s, shadow=plan.shadow)
    return Plan(
        starts={**plan.starts, **later.starts},
        reservations=plan.reservations,
        never=plan.never,
        profile=later.profile,
        shadow=later.shadow,
    )


def _of_head(shadow: Shadow | None) -> dict[str, Reservation]:
    if shadow is None:
        return {}
    stop_s = shadow.start_s + shadow.head.estimate_s
    return {shadow.head.name: Reservation(start_s=shadow.start_s, stop_s=stop_s)}


def _kept_or_placed(
    profile: Profile, request: Request, held: Reservation | None, now_s: float
) -> tuple[Profile, Reservation | None]:
    """Keep what was promised, or earlier; else take the earliest place."""
    if held is not None:
        if held.start_s == now_s:
            return profile, held
        if held.start_s > now_s:
            return _earlier(profile, request, held, now_s)
        profile = profile.give(held.nodes, held.start_s, held.stop_s)
    slot = profile.earliest(
        request.nodes,
        request.estimate_s,
        eligible=request.eligible,
        not_before_s=now_s,
    )
    return (profile, None) if slot is None else _taken(profile, request, slot)


def _earlier(
    profile: Profile, request: Request, held: Reservation, now_s: float
) -> tuple[Profile, Reservation]:
    """Move a reservation forward where that is possible, or leave it alone."""
    slot = profile.earlier(
        request.nodes,
        request.estimate_s,
        eligible=request.eligible,
        not_before_s=now_s,
        held=held.nodes,
        held_from_s=held.start_s,
    )
    if slot is None:
        return profile, held
    without = profile.give(held.nodes, held.start_s, held.stop_s)
    return _taken(without, request, slot)


def _taken(
    profile: Profile, request: Request, slot: Slot
) -> tuple[Profile, Reservation]:
    """Take as many nodes of a slot as are asked for, first the least useful ones."""
    stop_s = slot.start_s + request.estimate_s
    # Best fit: what stays free for longer is kept for those that need longer.
    tight = slot.nodes & ~profile.free_at(stop_s)
    chosen = lowest(tight, request.nodes)
    chosen |= lowest(slot.nodes & ~tight, request.nodes - chosen.bit_count())
    place = Reservation(start_s=slot.start_s, stop_s=stop_s, nodes=chosen)
    return profile.take(chosen, slot.start_s, stop_s), place


RULES: Mapping[str, Rule] = MappingProxyType(
    {"fcfs": fcfs, "easy": easy, "sjbf": sjbf, "conservative": conservative}
)
"""Every rule by its name; conservative here keeps no reservations between calls."""
