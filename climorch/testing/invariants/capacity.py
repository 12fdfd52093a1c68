"""Capacity: a lease is what was asked for, on nodes that are there for it."""

from __future__ import annotations

from collections.abc import Iterable

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.windows import Window
from climorch.testing.invariants.auditor import Auditor

__all__ = [
    "CapacityAuditor",
    "leases_fit_what_was_asked_for",
    "no_node_is_held_in_a_window_of_others",
    "no_node_is_leased_anew_in_a_window_of_others",
]


class CapacityAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of who holds what.
    """

    def __init__(self, auditor: Auditor) -> None:
        self.auditor = auditor
        self.nodes: dict[str, e.NodeJoined] = {}
        self.windows: dict[str, Window] = {}
        self.projects: dict[str, str] = {}

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case e.SimulationSubmitted() | e.SimulationChanged():
                self._submitted(record)
            case e.RuleEvaluated():
                for fact in record.consequences:
                    self._submitted(fact)
            case e.NodeJoined():
                self.nodes[record.node] = record
            case e.WindowDeclared():
                self.windows[record.window.name] = record.window
            case e.WindowWithdrawn() | c.WindowEnded():
                self.windows.pop(record.name, None)
            case e.WishTaken():
                if record.id not in self.auditor.wishes:
                    self.take(record.wish, now_s)
            case c.WindowPlaced():
                self._placed(record)
            case c.SetLease():
                leases_fit_what_was_asked_for(self, record)
                no_node_is_leased_anew_in_a_window_of_others(self, record, now_s)
            case _:
                pass

    def _submitted(self, fact: e.SimulationSubmitted | e.SimulationChanged) -> None:
        known = fact.simulation in self.projects
        if not known or isinstance(fact, e.SimulationChanged):
            self.projects[fact.simulation] = fact.scenario.project

    def _placed(self, record: c.WindowPlaced) -> None:
        window = self.windows[record.name]
        self.windows[record.name] = Window(
            name=window.name,
            start_s=window.start_s,
            stop_s=window.stop_s,
            nodes=record.nodes,
            holder=window.holder,
            hard=window.hard,
        )

    def shut(self, simulation: str, node: str, now_s: float) -> Iterable[Window]:
        """Return the windows of a node that keep a simulation out now."""
        own = ("", simulation, self.projects[simulation])
        return [
            window
            for window in self.windows.values()
            if window.start_s <= now_s < window.stop_s
            and window.covers(node)
            and (not window.holder or window.holder not in own)
        ]


def leases_fit_what_was_asked_for(audit: CapacityAuditor, record: c.SetLease) -> None:
    """Nodes that are given are large enough, and no more than can be used."""
    book = audit.auditor.books[record.simulation]
    new = [node for node in record.nodes if node not in book.lease]
    if not new:
        return
    plan = book.plan
    assert plan.nodes <= len(record.nodes) <= plan.most_nodes, (record, plan.nodes)
    for node in new:
        have = audit.nodes[node]
        assert have.cores >= plan.cores, (record, have)
        assert have.memory_bytes == 0 or have.memory_bytes >= plan.memory_bytes, have
        assert have.scratch_bytes == 0 or have.scratch_bytes >= plan.scratch_bytes, have
    if plan.together:
        jobs = {audit.nodes[node].job for node in record.nodes}
        assert len(jobs) == 1, (record, jobs)


def no_node_is_leased_anew_in_a_window_of_others(
    audit: CapacityAuditor, record: c.SetLease, now_s: float
) -> None:
    """What is serviced or kept for others is given to nobody."""
    for node in set(record.nodes) - set(audit.auditor.books[record.simulation].lease):
        shut = audit.shut(record.simulation, node, now_s)
        assert not shut, (record, node, shut)
        end_s = audit.nodes[node].deadline_s
        assert end_s is None or end_s > now_s, (record, audit.nodes[node])


def no_node_is_held_in_a_window_of_others(audit: CapacityAuditor, now_s: float) -> None:
    """When a hard window has begun, or a walltime has ended, the nodes are free."""
    for name, book in audit.auditor.books.items():
        for node in book.lease:
            hard = [w for w in audit.shut(name, node, now_s) if w.hard]
            assert not hard, (name, node, hard, now_s)
            end_s = audit.nodes[node].deadline_s
            assert end_s is None or end_s > now_s, (name, audit.nodes[node], now_s)
