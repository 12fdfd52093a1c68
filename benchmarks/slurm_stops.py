"""When simulations got nowhere, and for what: read from a journal.

A simulation gets on when it finishes a segment that was not finished before. Each time
its nodes or its driver change it stops doing so for a while.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record

__all__ = ["DRIVER", "Event", "Stop", "attributed", "stops"]

DRIVER = "driver killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was done to a campaign.

    Attributes
    ----------
    name : str
        What; `DRIVER` where it was done to the driver.
    at_s : float
        UTC seconds.
    node : str
        That it was done to; empty: to none.
    """

    name: str
    at_s: float
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A time in which a simulation got nowhere.

    Attributes
    ----------
    simulation : str
        Which.
    nodes : tuple of str
        That it had before.
    since_s, until_s : float
        Ends of the segments before and after it, UTC seconds.
    lost_s : float
        Seconds between these, less what is usual.
    again : int
        Segments that were computed twice.
    drivers : int
        How many drivers began in it.
    """

    simulation: str
    nodes: tuple[str, ...]
    since_s: float
    until_s: float
    lost_s: float
    again: int = 0
    drivers: int = 0


@dataclass(slots=True)
class _Way:
    """How far a simulation has got."""

    seen: set[tuple[str, int]] = field(default_factory=set)
    gaps_s: list[float] = field(default_factory=list)
    newest_s: float = 0.0
    nodes: tuple[str, ...] = ()
    # Of the stop that it is in.
    restored: bool = False
    before: tuple[str, ...] = ()
    again: int = 0
    drivers: int = 0


def stops(records: Iterable[tuple[Record, float]]) -> list[Stop]:
    """Return all stops, in the order of their ends.

    Parameters
    ----------
    records : iterable of (Record, float)
        A journal, oldest first, with UTC seconds. What was never restored again
        has no stop.
    """
    ways: dict[str, _Way] = defaultdict(_Way)
    found: list[Stop] = []
    for record, at_s in records:
        match record:
            case e.DriverStarted():
                for way in ways.values():
                    way.drivers += 1
            case c.SetLease(nodes=nodes) if nodes:
                ways[record.simulation].nodes = nodes
            case e.SetRestored():
                ways[record.simulation].restored = True
            case e.SegmentFinished():
                way = ways[record.simulation]
                stop = _finished(way, record, at_s)
                found += [] if stop is None else [stop]
    usual_s = {
        name: statistics.median(way.gaps_s) for name, way in ways.items() if way.gaps_s
    }
    return [
        replace(stop, lost_s=stop.lost_s - usual_s.get(stop.simulation, 0.0))
        for stop in found
    ]


def _finished(way: _Way, record: e.SegmentFinished, at_s: float) -> Stop | None:
    """Note a segment; return the stop that it ends, if any."""
    key = record.stage, record.segment
    if key in way.seen:
        way.again += 1
        return None
    stop, first = None, not way.seen
    if not first and way.restored:
        stop = Stop(
            simulation=record.simulation,
            nodes=way.before,
            since_s=way.newest_s,
            until_s=at_s,
            lost_s=at_s - way.newest_s,
            again=way.again,
            drivers=way.drivers,
        )
    elif not first:
        way.gaps_s.append(at_s - way.newest_s)
    way.seen.add(key)
    way.newest_s, way.before = at_s, way.nodes
    way.restored, way.again, way.drivers = False, 0, 0
    return stop


def attributed(
    found: Iterable[Stop], events: Sequence[Event], *, other: str
) -> dict[str, list[Stop]]:
    """Say for which event each stop was.

    Parameters
    ----------
    found : iterable of Stop
        All of them.
    events : sequence of Event
        What was done, in order.
    other : str
        What the rest is called.

    Returns
    -------
    dict of str to list of Stop
        By the names of events, then ``other``; the lists may be empty. A stop is for
        the newest event before its end that struck a node of it, or the driver.
    """
    told: dict[str, list[Stop]] = {
        **{event.name: [] for event in events},
        other: [],
    }
    for stop in found:
        names = [
            event.name
            for event in events
            if event.at_s < stop.until_s
            and (stop.drivers > 0 if event.name == DRIVER else event.node in stop.nodes)
        ]
        told[names[-1] if names else other].append(stop)
    return told
