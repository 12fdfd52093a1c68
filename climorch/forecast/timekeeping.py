"""Reads a journal and sums up how long what took: segments, waits, checkpoints.

Stands beside the books, reads the same records after them, and asks them who holds
how many nodes. Every record takes the same time, however long the journal is. While no
driver runs no clock goes on, as in the books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from climorch.forecast.books import Books
from climorch.forecast.timings import (
    LeaseSpan,
    SetTimes,
    SimulationTimes,
    Slowness,
    StageTimes,
    Times,
    Width,
)
from climorch.forecast.under_way import SetUnderWay, Writing
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["KINDS", "Timekeeper"]


class Timekeeper:
    """Reads the records of a journal, in their order, each after the books did.

    Parameters
    ----------
    books : Books
        Of the same journal.

    Attributes
    ----------
    times : Times
        What was found.
    """

    def __init__(self, books: Books) -> None:
        self.times = Times()
        self._books = books
        self._now_s = 0.0
        self._under_way: dict[tuple[str, str], SetUnderWay] = {}
        # Checkpoints that are being written, by simulation and set.
        self._writing: dict[tuple[str, str], Writing] = {}
        # Since when each simulation holds so many nodes, or waits for them.
        self._since: dict[str, tuple[float, int]] = {}
        # Those that want no nodes, because somebody said so or they failed.
        self._still: set[str] = set()

    def note(self, record: c.Record, now_s: float) -> None:
        """Take one record, of any kind.

        Parameters
        ----------
        record : Record
            The next one.
        now_s : float
            When it was journaled, driver's clock, seconds.
        """
        take = _TABLE.get(type(record))
        if take is not None:
            take(self, record, now_s)
        self._now_s = now_s

    def tick(self, now_s: float) -> None:
        """Let it be later, with a record that takes no time; seconds."""
        self._now_s = now_s

    def close(self, now_s: float) -> None:
        """Count everything up to now, seconds."""
        for name in self._since:
            self._turn(name, now_s)
        for (name, own), under_way in self._under_way.items():
            under_way.count(self.times.of[name].sets[own], now_s)

    # --- who there is ---------------------------------------------------------------

    def _submitted(self, fact: e.SimulationSubmitted, now_s: float) -> None:
        if fact.simulation in self.times.of:
            return
        plan = fact.plan
        self.times.of[fact.simulation] = SimulationTimes(
            plan=plan,
            project=fact.scenario.project,
            submitted_s=now_s,
            stages={stage.name: StageTimes() for stage in plan.stages},
            sets={s.name: SetTimes(plan=s) for s in plan.sets},
        )
        self._since[fact.simulation] = (now_s, 0)

    def _changed(self, fact: e.SimulationChanged, now_s: float) -> None:
        found = self.times.of[fact.simulation]
        found.plan, found.project = fact.plan, fact.scenario.project
        for stage in fact.plan.stages:
            found.stages.setdefault(stage.name, StageTimes())
        for s in fact.plan.sets:
            found.sets.setdefault(s.name, SetTimes(plan=s)).plan = s
        self._turn(fact.simulation, now_s)

    def _answered(self, fact: e.RuleEvaluated, now_s: float) -> None:
        for consequence in fact.consequences:
            self.note(consequence, now_s)

    # --- who has nodes, and who waits for them ----------------------------------------

    def _turn(self, name: str, now_s: float) -> None:
        """Count up to now whether a simulation had nodes; it may be another now."""
        since_s, held = self._since[name]
        found, book = self.times.of[name], self._books.of[name]
        span_s = max(now_s - since_s, 0.0)
        if held:
            found.held_s += span_s
            if span_s:
                _extend(found.spans, LeaseSpan(held, since_s, now_s))
        elif name not in self._still:
            ended_s = now_s if book.completed_s is None else book.completed_s
            found.queue_s += max(min(now_s, ended_s) - since_s, 0.0)
        self._since[name] = (now_s, len(book.nodes))

    def _leased(self, command: c.SetLease, now_s: float) -> None:
        self._turn(command.simulation, now_s)
        for own, s in self.times.of[command.simulation].sets.items():
            under_way = self._under_way.get((command.simulation, own))
            if under_way is not None:
                under_way.count(s, now_s)
                under_way.nodes = self._share(command.simulation, own)

    def _joined(self, fact: e.NodeJoined, now_s: float) -> None:
        self.times.memory[fact.node] = fact.memory_bytes

    def _lost(self, fact: e.NodeLost, now_s: float) -> None:
        # The books know whose it was.
        for name, (_, held) in list(self._since.items()):
            if held > len(self._books.of[name].nodes):
                self._turn(name, now_s)

    def _wished(self, fact: e.WishTaken, now_s: float) -> None:
        self.note(fact.wish, now_s)

    def _stilled(
        self,
        record: e.PauseRequested | e.CancelRequested | c.SimulationFailed,
        now_s: float,
    ) -> None:
        if record.simulation in self._since:
            self._turn(record.simulation, now_s)
            self._still.add(record.simulation)

    def _resumed(self, fact: e.ResumeRequested, now_s: float) -> None:
        if fact.simulation in self._since:
            self._turn(fact.simulation, now_s)
            self._still.discard(fact.simulation)

    def _driver_started(self, fact: e.DriverStarted, now_s: float) -> None:
        # What a driver left that died ends with its last row: nobody knows more.
        self.close(self._now_s)
        self._since = dict.fromkeys(self._since, (now_s, 0))
        self._under_way.clear()
        self._writing.clear()

    def _driver_stopped(self, fact: e.DriverStopped, now_s: float) -> None:
        self.close(now_s)
        self._under_way.clear()
        self._writing.clear()

    # --- attempts -------------------------------------------------------------------

    def _attempt(self, command: c.StartAttempt, now_s: float) -> None:
        key = (command.simulation, command.set)
        self._under_way[key] = SetUnderWay(
            attempt=command.attempt,
            nodes=self._share(command.simulation, command.set),
        )

    def _share(self, name: str, own: str) -> float:
        """Return the nodes of a lease that are for one of its sets."""
        found = self.times.of[name]
        held = len(self._books.of[name].nodes)
        return held * found.sets[own].plan.nodes / found.plan.nodes

    def _current(self, record: Any, own: str) -> tuple[SetTimes, SetUnderWay] | None:
        """Return the set of a record, unless its attempt is over."""
        found = self.times.of.get(record.simulation)
        under_way = self._under_way.get((record.simulation, own))
        if found is None or under_way is None or under_way.attempt != record.attempt:
            return None
        return found.sets[own], under_way

    def _restored(self, fact: e.SetRestored, now_s: float) -> None:
        found = self._current(fact, fact.set)
        if found is not None:
            s, under_way = found
            under_way.ready_s = dict.fromkeys((x.name for x in s.plan.stages), now_s)
            if fact.boundary:
                s.restores += 1
                s.restore_s += fact.seconds
                s.bytes_read += fact.bytes_read

    def _started(self, command: c.StartSegment, now_s: float) -> None:
        name = self.times.of[command.simulation].plan.set_of[command.stage]
        found = self._current(command, name)
        if found is not None:
            s, under_way = found
            stage = self.times.of[command.simulation].stages[command.stage]
            ready_s = under_way.ready_s.get(command.stage, now_s)
            stage.wait_s += max(now_s - ready_s, 0.0)
            under_way.count(s, now_s)
            resources = s.plan.stage(command.stage).resources
            under_way.running[command.stage] = resources.nodes

    def _finished(self, fact: e.SegmentFinished, now_s: float) -> None:
        times = self.times.of.get(fact.simulation)
        if times is None or fact.stage not in times.stages:
            return
        name = times.plan.set_of[fact.stage]
        found = self._current(fact, name)
        if found is None or fact.stage not in found[1].running:
            return
        s, under_way = found
        under_way.count(s, now_s)
        del under_way.running[fact.stage]
        under_way.ready_s[fact.stage] = now_s
        _add(times.stages[fact.stage], s, fact)
        _compare(self.times.nodes, fact.paces, fact.seconds)

    def _abandoned(self, command: c.AbandonAttempt, now_s: float) -> None:
        found = self._current(command, command.set)
        if found is not None:
            s, under_way = found
            under_way.count(s, now_s)
            del self._under_way[command.simulation, command.set]
            self._writing.pop((command.simulation, command.set), None)

    def _rolled_back(self, decision: c.RolledBack, now_s: float) -> None:
        s = self.times.of[decision.simulation].sets[decision.set]
        s.losses += decision.lost_s > 0
        s.lost_s += decision.lost_s

    # --- checkpoints ----------------------------------------------------------------

    def _checkpoint(self, command: c.BeginCheckpoint, now_s: float) -> None:
        for writing in self._writing.values():
            writing.crowded = True
        self._writing[command.simulation, command.set] = Writing(
            attempt=command.attempt, crowded=bool(self._writing)
        )

    def _committed(self, fact: e.CheckpointCommitted, now_s: float) -> None:
        times = self.times.of.get(fact.simulation)
        if times is None or fact.set not in times.sets:
            return
        s = times.sets[fact.set]
        s.checkpoints += 1
        s.writing_s += fact.seconds
        s.cost_s += fact.cost_s
        s.bytes_state = fact.bytes_state
        s.bytes_written += fact.bytes_written + fact.bytes_salvaged
        s.bytes_linked += fact.bytes_linked
        for trial in fact.tried:
            s.add_trial(trial)
        writing = self._writing.pop((fact.simulation, fact.set), None)
        if writing is not None and writing.attempt == fact.attempt:
            width = s.crowded if writing.crowded else s.alone
            width.count += 1
            width.seconds += fact.seconds

    def _not_written(self, fact: e.CheckpointFailed, now_s: float) -> None:
        self._writing.pop((fact.simulation, fact.set), None)


def _compare(
    nodes: dict[str, Slowness], paces: Mapping[str, float], seconds: float
) -> None:
    """Say who held up the others of a lease, and for how long."""
    if len(paces) < 2:
        return
    for node in paces:
        nodes.setdefault(node, Slowness()).segments += 1
    (second_s, _), (slowest_s, slowest) = sorted(
        (took_s, node) for node, took_s in paces.items()
    )[-2:]
    if slowest_s > 0:
        nodes[slowest].slowest += 1
        nodes[slowest].node_s += seconds * (1 - second_s / slowest_s) * len(paces)


def _extend(spans: list[LeaseSpan], span: LeaseSpan) -> None:
    """Append a span of a lease, or let the last one be longer."""
    last = spans[-1] if spans else None
    if last and (last.nodes, last.until_s) == (span.nodes, span.since_s):
        spans[-1] = LeaseSpan(span.nodes, last.since_s, span.until_s)
    else:
        spans.append(span)


def _add(stage: StageTimes, s: SetTimes, fact: e.SegmentFinished) -> None:
    """Count a segment."""
    stage.segments += 1
    stage.seconds += fact.seconds
    stage.node_s += fact.seconds * fact.nodes
    stage.stall_s += fact.stall_s or 0.0
    stage.vain_s += fact.vain_s
    edges = s.plan.stage(fact.stage).boundaries[fact.segment : fact.segment + 2]
    # It may lie beyond an end that was moved back meanwhile.
    stage.model_s += edges[-1] - edges[0] if edges else 0
    width = stage.widths.setdefault(fact.nodes, Width())
    width.count += 1
    width.seconds += fact.seconds - fact.vain_s
    if fact.usage is not None:
        stage.add(fact.usage)


_TABLE: dict[type[Any], Callable[[Timekeeper, Any, float], None]] = {
    e.SimulationSubmitted: Timekeeper._submitted,
    e.SimulationChanged: Timekeeper._changed,
    e.RuleEvaluated: Timekeeper._answered,
    c.SetLease: Timekeeper._leased,
    e.NodeJoined: Timekeeper._joined,
    e.NodeLost: Timekeeper._lost,
    e.WishTaken: Timekeeper._wished,
    e.PauseRequested: Timekeeper._stilled,
    e.CancelRequested: Timekeeper._stilled,
    c.SimulationFailed: Timekeeper._stilled,
    e.ResumeRequested: Timekeeper._resumed,
    e.DriverStarted: Timekeeper._driver_started,
    e.DriverStopped: Timekeeper._driver_stopped,
    c.StartAttempt: Timekeeper._attempt,
    e.SetRestored: Timekeeper._restored,
    c.StartSegment: Timekeeper._started,
    e.SegmentFinished: Timekeeper._finished,
    c.AbandonAttempt: Timekeeper._abandoned,
    c.RolledBack: Timekeeper._rolled_back,
    c.BeginCheckpoint: Timekeeper._checkpoint,
    e.CheckpointCommitted: Timekeeper._committed,
    e.CheckpointFailed: Timekeeper._not_written,
}

KINDS = frozenset(kind.__name__ for kind in _TABLE)
"""Names of the kinds of record that it looks at."""
