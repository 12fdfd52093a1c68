"""The books of a campaign, folded from its journal alone.

Each second of each node that the journal says was up is spent on exactly one thing.
Every record takes the same time, however long the journal is. Ignores what a journal
does not say: nodes after the last row of a driver that died, storage of results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from climorch.errors import InvalidInputError
from climorch.forecast.accounts import Book, Line, Purse, SetBook, Totals
from climorch.forecast.books import Books
from climorch.forecast.leases import LeaseBook
from climorch.forecast.parts import Part
from climorch.forecast.periods import begin_of, next_edge_s
from climorch.forecast.shelves import SHELVES
from climorch.forecast.work import DRIVER_ENDED, WORK, break_off, flush
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["KINDS", "Bookkeeper", "Gap"]

Capacity = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nodes were held when a driver died, and nobody wrote down for how much longer.

    Attributes
    ----------
    since_s, until_s : float
        Last row of that driver, first one of the next; UTC seconds.
    nodes : int
        Nodes that were held at its beginning.
    """

    since_s: float
    until_s: float
    nodes: int


class Bookkeeper:
    """Reads the records of a journal, in their order.

    Parameters
    ----------
    cuts : iterable of float
        Where time is cut beside calendar months, UTC seconds.

    Attributes
    ----------
    books : Books
        Of all simulations.
    free : dict of float to Line
        Node-seconds up and leased to nobody, by the beginning of a piece of time.
    unused : dict of float to Totals
        Their cores and memory, likewise.
    gaps : list of Gap
        While no driver ran.
    """

    def __init__(self, cuts: Iterable[float] = ()) -> None:
        self.books = Books()
        self.free: dict[float, Line] = {}
        self.unused: dict[float, Totals] = {}
        self.gaps: list[Gap] = []
        self._cuts = tuple(sorted(cuts))
        self._edge_s = -math.inf
        self._counted_s = 0.0
        self._nodes: dict[str, e.NodeJoined] = {}
        self._holder: dict[str, str] = {}
        # Nodes, cores and bytes of memory that are up; that are leased.
        self._up: Capacity = (0, 0, 0)
        self._leased: Capacity = (0, 0, 0)
        self._own: dict[type[Any], Callable[[Any], None]] = {
            e.ProjectDeclared: self._declared,
            e.SimulationSubmitted: self._submitted,
            e.SimulationChanged: self._changed,
            e.RuleEvaluated: self._answered,
            e.NodeJoined: self._joined,
            e.NodeLost: self._lost,
            c.SetLease: self._set_lease,
            c.EvaluateRule: self._asked,
            e.DriverStopped: self._driver_ended,
            e.SetAdvanced: self._told_in_one,
        }

    @property
    def now_s(self) -> float:
        """Clock of the newest record, UTC seconds; NaN: there is none."""
        return self.books.now_s

    def note(self, record: c.Record, now_s: float) -> None:
        """Take one record, of any kind.

        Parameters
        ----------
        record : Record
            The next one.
        now_s : float
            When it was journaled, driver's clock, seconds.

        Raises
        ------
        InvalidInputError
            If it stands for many, as a twin in coarse mode tells them.
        """
        kind = type(record)
        if kind is e.DriverStarted:
            self._driver_started(now_s)
        self.tick(now_s)
        take = _TABLE.get(kind)
        if take is not None:
            take(self.books, record)
        elif kind in self._own:
            self._own[kind](record)

    def tick(self, now_s: float) -> None:
        """Let it be later, with a record that costs nothing; seconds."""
        if not now_s <= self.books.now_s:
            self._advance(now_s)

    def close(self) -> None:
        """Count everything up to the newest record."""
        self._count()
        for book in self.books.of.values():
            book.settle(self.now_s)

    def _advance(self, now_s: float) -> None:
        books = self.books
        if math.isnan(books.now_s):
            self._counted_s = now_s
            books.since_s = begin_of(now_s, self._cuts)
            self._edge_s = next_edge_s(now_s, self._cuts)
        while now_s >= self._edge_s:
            books.now_s = edge_s = self._edge_s
            self._count()
            books.since_s = edge_s
            for book in books.of.values():
                book.settle(edge_s)
                book.turn(Purse(edge_s, book.purse.project))
            self._edge_s = next_edge_s(edge_s, self._cuts)
        books.now_s = now_s

    def _count(self) -> None:
        """Count what is up and leased to nobody, up to now."""
        now_s = self.books.now_s
        span_s = now_s - self._counted_s
        if span_s > 0 and self._up[0]:
            nodes, cores, memory = _less(self._up, self._leased)
            line = self.free.setdefault(self.books.since_s, Line())
            line.parts[Part.FREE] += nodes * span_s
            totals = self.unused.setdefault(self.books.since_s, Totals())
            totals.core_s += cores * span_s
            totals.memory_byte_s += memory * span_s
        self._counted_s = now_s

    # --- who there is ---------------------------------------------------------------

    def _declared(self, fact: e.ProjectDeclared) -> None:
        project = fact.project
        self.books.institutions[project.name] = project.institution or project.name

    def _submitted(self, fact: e.SimulationSubmitted) -> None:
        if fact.simulation in self.books.of:
            return
        plan = fact.plan
        self.books.of[fact.simulation] = Book(
            plan=plan,
            purse=Purse(self.books.since_s, fact.scenario.project),
            lease=LeaseBook(nodes=plan.nodes, since_s=self.now_s),
            sets={s.name: SetBook() for s in plan.sets},
        )

    def _changed(self, fact: e.SimulationChanged) -> None:
        book = self.books.book(fact.simulation)
        book.plan, book.lease.nodes = fact.plan, fact.plan.nodes
        if fact.scenario.project != book.purse.project:
            # What it used so far was for the project that it had.
            book.turn(Purse(self.books.since_s, fact.scenario.project))
        book.completed_s = book.completed_s if book.complete else None

    def _asked(self, command: c.EvaluateRule) -> None:
        # At the same place again, where numbers blew up in between: it counts anew.
        self.books.of[command.simulation].answered.pop(command.rule, None)

    def _answered(self, fact: e.RuleEvaluated) -> None:
        book = self.books.of[fact.simulation]
        if book.answered.get(fact.rule) == fact.at:
            return
        book.answered[fact.rule] = fact.at
        for consequence in fact.consequences:
            self._own[type(consequence)](consequence)

    def _told_in_one(self, fact: e.SetAdvanced) -> None:
        raise InvalidInputError(
            "this journal cannot be accounted: a twin in coarse mode made it and tells "
            "many segments in one; take its own books, or leave coarse out"
        )

    # --- nodes and leases -----------------------------------------------------------

    def _joined(self, fact: e.NodeJoined) -> None:
        # It may come back before its loss was noticed.
        self._gone(fact.node)
        self._count()
        self._nodes[fact.node] = fact
        self._up = _more(self._up, (1, fact.cores, fact.memory_bytes))

    def _lost(self, fact: e.NodeLost) -> None:
        self._gone(fact.node)

    def _gone(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        self._count()
        holder = self._holder.get(name)
        if holder is not None:
            book = self.books.book(holder)
            self._hold(holder, book, tuple(n for n in book.nodes if n != name))
            for running in book.lease.running.values():
                running.torn(book.purse, self.now_s)
        del self._nodes[name]
        self._up = _less(self._up, (1, node.cores, node.memory_bytes))

    def _set_lease(self, command: c.SetLease) -> None:
        book = self.books.book(command.simulation)
        self._count()
        up = tuple(node for node in command.nodes if node in self._nodes)
        self._hold(command.simulation, book, up)

    def _hold(self, name: str, book: Book, nodes: tuple[str, ...]) -> None:
        for node in book.nodes:
            if self._holder.get(node) == name:
                del self._holder[node]
        before = (len(book.nodes), book.cores, book.memory_bytes)
        held = [self._nodes[node] for node in nodes]
        book.nodes, book.lease.held = nodes, len(nodes)
        book.cores = sum(node.cores for node in held)
        book.memory_bytes = sum(node.memory_bytes for node in held)
        after = (len(nodes), book.cores, book.memory_bytes)
        self._leased = _more(_less(self._leased, before), after)
        self._holder |= dict.fromkeys(nodes, name)

    def _driver_started(self, now_s: float) -> None:
        held = self._leased[0]
        # With the clock as it stood, as `core.fold` does: nobody knows that nodes
        # were held after the last row of the driver before.
        self._driver_ended(None)
        if held and now_s > self.now_s:
            self.gaps.append(Gap(since_s=self.now_s, until_s=now_s, nodes=held))

    def _driver_ended(self, fact: e.DriverStopped | None) -> None:
        self._count()
        for name, book in self.books.of.items():
            book.settle(self.now_s)
            for s in book.sets.values():
                if s.alive:
                    s.why = DRIVER_ENDED
                break_off(book, s)
                flush(book, s, DRIVER_ENDED)
                s.newest.clear()
            self._hold(name, book, ())
        self._nodes.clear()
        self._up = (0, 0, 0)


def _more(counts: Capacity, more: Capacity) -> Capacity:
    return counts[0] + more[0], counts[1] + more[1], counts[2] + more[2]


def _less(counts: Capacity, less: Capacity) -> Capacity:
    return counts[0] - less[0], counts[1] - less[1], counts[2] - less[2]


_TABLE: dict[type[Any], Callable[[Books, Any], None]] = {**WORK, **SHELVES}

_COSTLY: tuple[type[Any], ...] = (
    *_TABLE,
    e.DriverStarted,
    e.DriverStopped,
    e.NodeJoined,
    e.NodeLost,
    e.ProjectDeclared,
    e.RuleEvaluated,
    e.SetAdvanced,
    e.SimulationChanged,
    e.SimulationSubmitted,
    c.EvaluateRule,
    c.SetLease,
)

KINDS = frozenset(kind.__name__ for kind in _COSTLY)
"""Names of the kinds of record that cost something; others need not be decoded."""
