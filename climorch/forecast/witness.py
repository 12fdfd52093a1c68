"""What a journal shows of costs and of nodes, for those who forecast.

Decides what counts as one observation: the segments of a week, an outage, a repair.
Every record takes the same time. Ignores what it means: that is for `costing` and
`failing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from climorch.model import events as e
from climorch.model.windows import Window
from climorch.policy.reliability import TOGETHER_S

__all__ = ["WEEK_S", "NodesSeen", "Outage", "Pieces", "Seen", "Witness"]

WEEK_S = 7 * 86_400.0
# How far back the usual number of nodes is looked for, in seconds.
LATELY_S = 30 * 86_400.0
# A node that goes this close to its deadline went because of it, in seconds.
NEAR_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Segments of one stage of one simulation in one week, on so many nodes.

    Attributes
    ----------
    workflow, stage, simulation : str
        Whose.
    nodes : int
        Of the lease; 0: not told.
    week : int
        Since the epoch of UTC.
    count : int
        Segments, or parts of such, >= 1.
    mean_s : float
        Their mean, in seconds, > 0.
    squares : float
        Sum of squared differences from it, in squared seconds.
    """

    workflow: str
    stage: str
    simulation: str
    nodes: int
    week: int
    count: int
    mean_s: float
    squares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Several nodes that went together without a word.

    Attributes
    ----------
    share : float
        Of the nodes that were up, in (0, 1].
    lasts_s : float or None
        Until half of them were back, seconds; None: they were not.
    """

    share: float
    lasts_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesSeen:
    """What nodes have done.

    Attributes
    ----------
    usual : int
        Nodes up in all but the best hours of the last 30 days; 0: none ever were.
    up_node_s, span_s : float
        Node-seconds up; seconds in which any node was.
    failures : int
        Nodes that went alone without a word.
    repairs_s : tuple of float
        Seconds until they were back, as far as they are.
    outages : tuple of Outage
        By time.
    names : tuple of str
        Of the nodes that were up last.
    cores, memory_bytes : int
        Of the one that joined last; 0: none did, or not known.
    """

    usual: int = 0
    up_node_s: float = 0.0
    span_s: float = 0.0
    failures: int = 0
    repairs_s: tuple[float, ...] = ()
    outages: tuple[Outage, ...] = ()
    names: tuple[str, ...] = ()
    cores: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a journal shows, up to a moment.

    Attributes
    ----------
    as_of_s : float
        That moment, UTC seconds.
    pieces : tuple of Pieces
        By configuration, simulation and week.
    submitted_s : dict of str to float
        When each simulation was submitted, UTC seconds.
    nodes : NodesSeen
        What nodes have done.
    """

    as_of_s: float
    pieces: tuple[Pieces, ...] = ()
    submitted_s: dict[str, float] = field(default_factory=dict)
    nodes: NodesSeen = field(default_factory=NodesSeen)


@dataclass(slots=True)
class _Went:
    """Nodes that went within a minute, of how many, and when each was back."""

    at_s: float
    of: int
    back_s: dict[str, float | None]


class Witness:
    """Reads the records of a journal, in their order."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._workflow: dict[str, str] = {}
        self._submitted_s: dict[str, float] = {}
        # Count, mean and sum of squared differences (Welford 1962).
        self._pieces: dict[tuple[str, str, str, int, int], list[float]] = {}
        self._up: dict[str, float | None] = {}
        self._levels: list[tuple[float, int]] = []
        self._went: list[_Went] = []
        self._away: dict[str, _Went] = {}
        self._windows: dict[str, Window] = {}
        self._names: tuple[str, ...] = ()
        self._newest: e.NodeJoined | None = None
        self._take: dict[type[Any], Callable[[Any], None]] = {
            e.DriverStarted: self._cleared,
            e.DriverStopped: self._cleared,
            e.SimulationSubmitted: self._submission,
            e.SimulationChanged: self._changed,
            e.RuleEvaluated: self._answered,
            e.SegmentFinished: self._finished,
            e.SetAdvanced: self._advanced,
            e.NodeJoined: self._joined,
            e.NodeDeadline: self._deadline,
            e.NodeLost: self._lost,
            e.WindowDeclared: self._window,
            e.WishTaken: self._wish,
        }

    def note(self, record: Any, now_s: float) -> None:
        """Read one record.

        Parameters
        ----------
        record : Record
            The next one.
        now_s : float
            When it was journaled, driver's clock, seconds.
        """
        self._now_s = max(self._now_s, now_s)
        take = self._take.get(type(record))
        if take is not None:
            take(record)

    def seen(self, as_of_s: float) -> Seen:
        """Return what was shown so far.

        Parameters
        ----------
        as_of_s : float
            Now, UTC seconds, not before the newest record.
        """
        return Seen(
            as_of_s=as_of_s,
            pieces=tuple(
                Pieces(
                    workflow=workflow,
                    stage=stage,
                    simulation=simulation,
                    nodes=nodes,
                    week=week,
                    count=int(count),
                    mean_s=mean_s,
                    squares=squares,
                )
                for (workflow, stage, simulation, nodes, week), (
                    count,
                    mean_s,
                    squares,
                ) in sorted(self._pieces.items())
            ),
            submitted_s=dict(self._submitted_s),
            nodes=self._nodes_seen(),
        )

    # --- what was computed ------------------------------------------------------------

    def _submission(self, fact: e.SimulationSubmitted) -> None:
        self._workflow.setdefault(fact.simulation, fact.plan.workflow)
        self._submitted_s.setdefault(fact.simulation, self._now_s)

    def _changed(self, fact: e.SimulationChanged) -> None:
        self._workflow[fact.simulation] = fact.plan.workflow

    def _answered(self, fact: e.RuleEvaluated) -> None:
        for consequence in fact.consequences:
            self.note(consequence, self._now_s)

    def _finished(self, fact: e.SegmentFinished) -> None:
        # What a checkpoint or a lost node took is no cost of the model.
        seconds = fact.seconds - (fact.stall_s or 0.0) - fact.vain_s
        self._piece(fact.simulation, fact.stage, fact.nodes, seconds)

    def _advanced(self, fact: e.SetAdvanced) -> None:
        for stage, several in fact.seconds.items():
            for seconds in several:
                self._piece(fact.simulation, stage, fact.nodes, seconds)

    def _piece(self, simulation: str, stage: str, nodes: int, seconds: float) -> None:
        workflow = self._workflow.get(simulation)
        if workflow is None or not seconds > 0:
            return
        key = (workflow, stage, simulation, nodes, int(self._now_s // WEEK_S))
        found = self._pieces.setdefault(key, [0.0, 0.0, 0.0])
        found[0] += 1
        off = seconds - found[1]
        found[1] += off / found[0]
        found[2] += off * (seconds - found[1])

    # --- nodes ----------------------------------------------------------------------

    def _level(self) -> None:
        self._levels.append((self._now_s, len(self._up)))

    def _cleared(self, _: e.DriverStarted | e.DriverStopped) -> None:
        """No driver: nobody knows what nodes do, so nothing is said of them."""
        self._names = tuple(self._up) or self._names
        self._up.clear()
        self._away.clear()
        self._level()

    def _joined(self, fact: e.NodeJoined) -> None:
        self._up[fact.node] = fact.deadline_s
        self._newest = fact
        went = self._away.pop(fact.node, None)
        if went is not None:
            went.back_s[fact.node] = self._now_s
        self._level()

    def _deadline(self, fact: e.NodeDeadline) -> None:
        if fact.node in self._up:
            self._up[fact.node] = fact.deadline_s

    def _lost(self, fact: e.NodeLost) -> None:
        if fact.node not in self._up:
            return
        of, deadline_s = len(self._up), self._up.pop(fact.node)
        self._level()
        if deadline_s is not None and self._now_s >= deadline_s - NEAR_S:
            return
        if any(self._within(window, fact.node) for window in self._windows.values()):
            return
        newest = self._went[-1] if self._went else None
        if newest is None or self._now_s - newest.at_s > TOGETHER_S:
            newest = _Went(self._now_s, of, {})
            self._went.append(newest)
        newest.back_s[fact.node] = None
        self._away[fact.node] = newest

    def _within(self, window: Window, node: str) -> bool:
        named = not window.nodes or node in window.nodes
        soon = window.start_s - TOGETHER_S <= self._now_s < window.stop_s
        return named and soon

    def _window(self, fact: e.WindowDeclared) -> None:
        self._windows[fact.window.name] = fact.window

    def _wish(self, fact: e.WishTaken) -> None:
        if isinstance(fact.wish, e.WindowDeclared | e.SimulationChanged):
            self.note(fact.wish, self._now_s)

    def _nodes_seen(self) -> NodesSeen:
        levels = [*self._levels, (self._now_s, len(self._up))]
        times, counts = (
            np.array(values, float) for values in zip(*levels, strict=True)
        )
        spans = np.diff(times)
        alone = [w for w in self._went if len(w.back_s) == 1]
        repairs = [
            back_s - w.at_s
            for w in alone
            for back_s in w.back_s.values()
            if back_s is not None
        ]
        return NodesSeen(
            usual=_usual(times, counts),
            up_node_s=float((counts[:-1] * spans).sum()),
            span_s=float(spans[counts[:-1] > 0].sum()),
            failures=len(alone),
            repairs_s=tuple(repairs),
            outages=tuple(_outage(w) for w in self._went if len(w.back_s) > 1),
            names=tuple(self._up) or self._names,
            cores=self._newest.cores if self._newest else 0,
            memory_bytes=self._newest.memory_bytes if self._newest else 0,
        )


def _usual(times: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> int:
    """Return the number of nodes that was reached in all but a tenth of the time."""
    lasts = np.diff(np.maximum(times, times[-1] - LATELY_S))
    on = counts[:-1] > 0
    lasts, levels = lasts[on], counts[:-1][on]
    if not lasts.sum() > 0:
        return int(counts[-1])
    order = np.argsort(levels)
    reached = np.cumsum(lasts[order]) / lasts.sum()
    return int(levels[order][np.searchsorted(reached, 0.9)])


def _outage(went: _Went) -> Outage:
    back: Iterable[float] = sorted(x for x in went.back_s.values() if x is not None)
    half = len(went.back_s) // 2
    found = list(back)
    return Outage(
        share=min(len(went.back_s) / max(went.of, 1), 1.0),
        lasts_s=found[half] - went.at_s if len(found) > half else None,
    )
