"""The usage of projects, counted from the journal by hand.

Every lease is kept as a span of time with its nodes, and what has faded of it is
computed from that span alone: no running sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from climorch.core.state import FIRST_HALF_LIFE_S, CampaignState
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["Tally", "usage_is_that_of_the_leases"]


@dataclass(slots=True)
class _Span:
    """Nodes that a project held for a while."""

    project: str
    simulation: str
    nodes: tuple[str, ...]
    start_s: float
    stop_s: float = math.inf


class Tally:
    """Reads what was journaled, with its times."""

    def __init__(self) -> None:
        self.spans: list[_Span] = []
        self.projects: dict[str, str] = {}
        self.now_s = 0.0
        # From when which half-life holds.
        self.half_lives: list[tuple[float, float]] = [(-math.inf, FIRST_HALF_LIFE_S)]

    def read(self, records: Iterable[tuple[c.Record, float]]) -> None:
        """Take records in order."""
        for record, now_s in records:
            if isinstance(record, e.DriverStarted):
                # Held until anybody was heard of for the last time.
                self._end_all()
            self.now_s = max(self.now_s, now_s)
            self._take(record)

    def _take(self, record: c.Record) -> None:
        match record:
            case e.SimulationSubmitted():
                self._open(record)
            case e.RuleEvaluated():
                for fact in record.consequences:
                    self._take(fact)
            case e.SimulationChanged():
                nodes = self._end(record.simulation)
                self.projects[record.simulation] = record.scenario.project
                self._begin(record.simulation, nodes)
            case c.SetLease():
                self._end(record.simulation)
                self._begin(record.simulation, record.nodes)
            case e.NodeLost() | e.NodeJoined():
                for span in [s for s in self._open_spans() if record.node in s.nodes]:
                    left = tuple(n for n in span.nodes if n != record.node)
                    self._end(span.simulation)
                    self._begin(span.simulation, left)
            case e.DriverStopped():
                self._end_all()
            case c.SharingSet():
                self.half_lives.append((self.now_s, record.half_life_s))
            case _:
                pass

    def node_s(self, project: str, now_s: float) -> float:
        """Add up what a project has held."""
        return sum(
            len(s.nodes) * (min(s.stop_s, now_s) - s.start_s)
            for s in self.spans
            if s.project == project
        )

    def decayed_node_s(self, project: str, now_s: float) -> float:
        """Add up what has not faded of it."""
        changes = [*(start_s for start_s, _ in self.half_lives[1:]), now_s]
        total = 0.0
        for (start_s, half_life_s), stop_s in zip(
            self.half_lives, changes, strict=True
        ):
            # What was used under a half-life, and what that left of all before.
            total *= 2.0 ** (-(stop_s - start_s) / half_life_s)
            for span in self.spans:
                a, b = max(span.start_s, start_s), min(span.stop_s, stop_s)
                if span.project == project and a < b:
                    faded = 2.0 ** (-(stop_s - b) / half_life_s) - 2.0 ** (
                        -(stop_s - a) / half_life_s
                    )
                    total += len(span.nodes) * half_life_s / math.log(2) * faded
        return total

    def _open(self, fact: e.SimulationSubmitted) -> None:
        self.projects.setdefault(fact.simulation, fact.scenario.project)

    def _open_spans(self) -> list[_Span]:
        return [span for span in self.spans if span.stop_s == math.inf]

    def _begin(self, simulation: str, nodes: tuple[str, ...]) -> None:
        if nodes:
            project = self.projects[simulation]
            self.spans.append(_Span(project, simulation, nodes, self.now_s))

    def _end(self, simulation: str) -> tuple[str, ...]:
        for span in self._open_spans():
            if span.simulation == simulation:
                span.stop_s = self.now_s
                return span.nodes
        return ()

    def _end_all(self) -> None:
        for span in self._open_spans():
            span.stop_s = self.now_s


def usage_is_that_of_the_leases(tally: Tally, state: CampaignState) -> None:
    """Projects have used what their leases held, now and faded, and nothing else."""
    now_s = state.now_s
    found = state.usage_at(now_s)
    held = sum(len(simulation.lease) for simulation in state.simulations.values())
    assert sum(usage.nodes for usage in found.values()) == held
    for project in {*found, *tally.projects.values()}:
        usage = found.get(project)
        counted = (
            tally.node_s(project, now_s),
            tally.decayed_node_s(project, now_s),
        )
        known = (0.0, 0.0) if usage is None else (usage.node_s, usage.decayed_node_s)
        for a, b in zip(known, counted, strict=True):
            assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6), (project, a, b)
    everything = sum(simulation.node_s for simulation in state.simulations.values())
    running = sum(
        len(s.lease) * (now_s - s.lease_since_s) for s in state.simulations.values()
    )
    total = sum(usage.node_s for usage in found.values())
    total_s = everything + running
    assert math.isclose(total, total_s, rel_tol=1e-9, abs_tol=1e-6), (total, total_s)
