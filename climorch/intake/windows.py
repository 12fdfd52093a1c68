"""From what a user says of maintenance and reservations to a window, or what is wrong.

Decides what can be refused at the call: times, names, nodes and holders that
cannot be, and windows that leave somebody without a node. Ignores what nobody
knows yet: which nodes will be up then.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from climorch.core.state import CampaignState
from climorch.errors import Fault, InvalidInputError, NotFoundError
from climorch.model.moments import LAST_DATE_S, date_of
from climorch.model.names import name_fault
from climorch.model.windows import MOST_WINDOW_S, Window

__all__ = ["Asked", "Moment", "Nodes", "make_window"]

Moment = datetime | float | str
"""A date with its time zone, UTC seconds, or ISO 8601 text with a time zone."""

Nodes = str | int | Iterable[str] | None
"""One name, several, how many, or ``"all"`` and None: the whole site."""

ALL = "all"
MOST_TEXT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A window in the words of a user.

    Attributes
    ----------
    nodes, start, stop
        As in ``Campaign.maintenance``.
    holder : str or None
        Who may use them; None: they are serviced.
    hard : bool
        Whether nodes go at the start whatever runs on them.
    name : str or None
        None: one is made up.
    """

    nodes: Nodes
    start: Moment
    stop: Moment
    holder: str | None = None
    hard: bool = True
    name: str | None = None


def make_window(
    asked: Asked,
    *,
    state: CampaignState,
    windows: Mapping[str, Window],
    holders: Collection[str],
    now_s: float,
) -> Window:
    """Make a window, or say all that is wrong with it.

    Parameters
    ----------
    asked : Asked
        What a user said.
    state : CampaignState
        What is known; while no driver runs nobody knows which nodes there are.
    windows : mapping of str to Window
        Those that were declared.
    holders : collection of str
        Projects and simulations.
    now_s : float
        UTC seconds.

    Returns
    -------
    Window
        To be declared. One of those that there are if it says the same.

    Raises
    ------
    InvalidInputError
        With every fault.
    NotFoundError
        If nothing is wrong but that nodes are named of which none is up.
    """
    faults: list[Fault] = []
    names, count = _nodes(asked, faults)
    start_s, stop_s = (
        _seconds(moment, place, faults)
        for place, moment in (("start", asked.start), ("stop", asked.stop))
    )
    faults += _time_faults(start_s, stop_s, now_s)
    faults += _holder_faults(asked, holders)
    fault = None if asked.name is None else name_fault(asked.name, place="name")
    faults += [fault] if fault is not None else []
    strange = [n for n in names if state.nodes and n not in state.known_nodes]
    faults += _size_faults(count, state)
    window = same = None
    if start_s < stop_s:
        # With a name that will do, so that the rest can be looked at.
        window = _draft(asked, "new", (names, count), (start_s, stop_s))
        same = _known(window, asked.name, windows)
    if same is not None and not faults and not strange:
        return same
    if window is not None:
        others = [w for w in windows.values() if w.name != asked.name]
        faults += _conflicts(window, [w for w in others if w.stop_s > now_s], state)
    _refuse(asked, faults, [_strange_fault(state, strange)] if strange else [])
    name = asked.name or _free_name(asked, start_s, windows)
    return _draft(asked, name, (names, count), (start_s, stop_s))


def _refuse(asked: Asked, faults: list[Fault], strange: list[Fault]) -> None:
    """Raise with all that is wrong; nodes that are not up alone are not found."""
    if faults:
        what = "maintenance" if asked.holder is None else "reservation"
        raise InvalidInputError(
            f"this {what} cannot be had", faults=[*faults, *strange]
        )
    if strange:
        raise NotFoundError(str(strange[0]))


def _draft(
    asked: Asked,
    name: str,
    nodes: tuple[tuple[str, ...], int],
    span: tuple[float, float],
) -> Window:
    """Make the window, at most as long as one may be: longer is a fault already."""
    start_s, stop_s = span
    return Window(
        name=name,
        start_s=start_s,
        stop_s=min(stop_s, start_s + MOST_WINDOW_S),
        nodes=nodes[0],
        count=nodes[1],
        holder=asked.holder if isinstance(asked.holder, str) else "",
        hard=bool(asked.hard),
    )


def _nodes(asked: Asked, faults: list[Fault]) -> tuple[tuple[str, ...], int]:
    """Return names, or how many; neither: all nodes of the site."""
    given = asked.nodes
    if given is None or given == ALL:
        return (), 0
    remedy = 'name nodes as in status().nodes, say how many, or "all"'
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            problem = f"got {given}, expected at least 1"
            faults.append(Fault(place="nodes", problem=problem, remedy=remedy))
        return (), max(given, 1)
    names = (given,) if isinstance(given, str) else _listed(given)
    good = tuple(n for n in names if isinstance(n, str) and _is_text(n))
    twice = len(set(good)) != len(good)
    if not names or len(good) != len(names) or twice:
        what = "a node is named twice" if twice else f"got {given!r}"
        faults.append(Fault(place="nodes", problem=what, remedy=remedy))
    # With a fault anyway; the count stands for nodes that are not known.
    return (tuple(dict.fromkeys(good)), 0) if good else ((), 1)


def _listed(given: object) -> tuple[object, ...]:
    # A mapping or a number that is no count is no list of names.
    iterable = isinstance(given, Iterable) and not isinstance(given, Mapping | bytes)
    return tuple(given) if isinstance(given, Iterable) and iterable else ()


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MOST_TEXT and text.isprintable()


def _seconds(moment: object, place: str, faults: list[Fault]) -> float:
    """Return UTC seconds; NaN with a fault."""
    problem = f"got {moment!r}"
    found = moment
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError as error:
            problem = str(error)
    if isinstance(found, datetime):
        if found.utcoffset() is not None:
            return found.timestamp()
        problem = f"{moment!r} has no time zone"
    elif isinstance(found, int | float) and not isinstance(found, bool):
        if abs(found) < LAST_DATE_S:
            return float(found)
        problem = f"got {moment!r}, which is no time"
    faults.append(
        Fault(
            place=place,
            problem=problem,
            remedy="give datetime(..., tzinfo=UTC), UTC seconds, or text such as "
            "'2026-12-01T08:00+01:00'",
        )
    )
    return math.nan


def _time_faults(start_s: float, stop_s: float, now_s: float) -> Iterator[Fault]:
    if stop_s <= start_s:
        yield Fault(
            place="stop",
            problem=f"{date_of(stop_s)} is not after the start, {date_of(start_s)}",
            remedy="give the first moment after the window",
        )
    elif stop_s - start_s > MOST_WINDOW_S:
        yield Fault(
            place="stop",
            problem=f"it takes {(stop_s - start_s) / 86_400:.0f} days",
            remedy="give a stop within 366 days of the start; drain a node that is "
            "out for longer",
        )
    if stop_s <= now_s:
        yield Fault(
            place="stop",
            problem=f"{date_of(stop_s)} is past; it is {date_of(now_s)}",
            remedy="give times to come",
        )


def _holder_faults(asked: Asked, holders: Collection[str]) -> Iterator[Fault]:
    if asked.holder is not None and asked.holder not in holders:
        yield Fault(
            place="holder",
            problem=f"{asked.holder!r} is neither a project nor a simulation; there "
            f"are {sorted(holders)}",
            remedy="declare the project or submit the simulation first",
        )


def _size_faults(count: int, state: CampaignState) -> Iterator[Fault]:
    up = len(state.nodes.keys() - state.draining)
    if state.nodes and count > up:
        yield Fault(
            place="nodes",
            problem=f"{count} nodes are asked for, {up} are up and not drained",
            remedy="ask for fewer, or let more nodes join first",
        )


def _strange_fault(state: CampaignState, strange: list[str]) -> Fault:
    return Fault(
        place="nodes",
        problem=f"{', '.join(map(repr, strange))}: not known",
        remedy=f"these are: {sorted(state.known_nodes)}",
    )


def _conflicts(
    window: Window, others: list[Window], state: CampaignState
) -> Iterator[Fault]:
    """Yield what this window and others leave without nodes."""
    beside = [w for w in others if _overlap(window, w)]
    for other in beside:
        if _both_hold(window, other, state):
            yield Fault(
                place="nodes",
                problem=f"{_shared(window, other)} kept for {other.holder} by window "
                f"{other.name!r} from {date_of(other.start_s)} "
                f"to {date_of(other.stop_s)}",
                remedy="take other nodes or another time, or withdraw that window",
            )
    for kept in (window, *beside):
        at_s = _bare_s(kept, [w for w in (window, *others) if w is not kept])
        if at_s is not None:
            whose = "" if kept is window else f" by window {kept.name!r}"
            yield Fault(
                place="nodes",
                problem=f"maintenance leaves {kept.holder} none of the nodes kept for "
                f"it{whose} from {date_of(at_s)} on",
                remedy="leave it a node, or reserve the times before and after",
            )
    yield from _crowded(window, beside, state)


def _overlap(one: Window, two: Window) -> bool:
    return one.start_s < two.stop_s and two.start_s < one.stop_s


def _both_hold(one: Window, two: Window, state: CampaignState) -> bool:
    """Whether both keep a node for holders that cannot share it."""
    if not (one.holder and two.holder and one.hard and two.hard):
        return False
    simulations = state.simulations

    def within(small: str, large: str) -> bool:
        known = simulations.get(small)
        return known is not None and known.scenario.project == large

    if (
        one.holder == two.holder
        or within(one.holder, two.holder)
        or within(two.holder, one.holder)
    ):
        return False
    if one.placed and two.placed and one.nodes and two.nodes:
        return not set(one.nodes).isdisjoint(two.nodes)
    # All of the site against anything; nodes still to be chosen get out of the way.
    return _is_whole(one) or _is_whole(two)


def _shared(one: Window, two: Window) -> str:
    nodes = sorted(set(one.nodes) & set(two.nodes))
    if nodes:
        return f"{', '.join(nodes)}: they are" if nodes[1:] else f"{nodes[0]} is"
    return "nodes are"


def _is_whole(window: Window) -> bool:
    return not window.nodes and not window.count


def _bare_s(kept: Window, others: list[Window]) -> float | None:
    """Say from when on a holder has no node left within its reservation."""
    if not kept.holder:
        return None
    away = [w for w in others if w.hard and not w.holder and _overlap(kept, w)]
    for at_s in sorted({max(w.start_s, kept.start_s) for w in away}):
        closed = [w for w in away if w.start_s <= at_s < w.stop_s]
        if any(map(_is_whole, closed)) or (
            kept.nodes
            and all(any(w.covers(node) for w in closed) for node in kept.nodes)
        ):
            return at_s
    return None


def _crowded(
    window: Window, beside: list[Window], state: CampaignState
) -> Iterator[Fault]:
    """Yield a fault where more nodes are to be chosen than others leave."""
    up = state.nodes.keys() - state.draining
    if not (window.count and up) or window.count > len(up):
        return
    named = {node for w in beside for node in up if w.placed and w.covers(node)}
    left = len(up - named) - sum(w.count for w in beside)
    if window.count > left:
        yield Fault(
            place="nodes",
            problem=f"{window.count} nodes are asked for, {max(left, 0)} of the "
            f"{len(up)} that are up are in no other window then "
            f"({', '.join(repr(w.name) for w in beside)})",
            remedy="ask for fewer, or take another time",
        )


def _known(
    window: Window, name: str | None, windows: Mapping[str, Window]
) -> Window | None:
    """Return the window that says the same, placed meanwhile or not."""
    for known in windows.values():
        same = (
            known.start_s == window.start_s
            and known.stop_s == window.stop_s
            and known.holder == window.holder
            and known.hard == window.hard
        )
        alike = set(known.nodes) == set(window.nodes) and known.count == window.count
        chosen = bool(window.count) and len(known.nodes) == window.count
        if same and (alike or chosen) and name in (None, known.name):
            return known
    return None


def _free_name(asked: Asked, start_s: float, windows: Mapping[str, Window]) -> str:
    """Name a window after its start."""
    kind = "maintenance" if asked.holder is None else "reservation"
    first = f"{kind}-{datetime.fromtimestamp(start_s, UTC):%Y%m%dT%H%M%SZ}"
    free = (first, *(f"{first}-{n}" for n in range(2, len(windows) + 2)))
    return next(name for name in free if name not in windows)
