"""Budgets: what a project may not use is used for the way to a boundary at most."""

from __future__ import annotations

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.scenario import Project
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.books import SetBook
from climorch.testing.invariants.tally import Tally

__all__ = [
    "BudgetAuditor",
    "nothing_is_begun_on_a_spent_budget",
    "nothing_is_leased_on_a_spent_budget",
]

# Budgets are sums of floats.
NODE_S = 1e-3


class BudgetAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed.
    tally : Tally
        What projects have used.
    """

    def __init__(self, auditor: Auditor, tally: Tally) -> None:
        self.auditor = auditor
        self.tally = tally
        self.projects: dict[str, Project] = {}
        # To which boundary a set may go though nothing is left.
        self.limits: dict[tuple[str, str], int] = {}

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case e.ProjectDeclared():
                self.projects[record.project.name] = record.project
                self.limits.clear()
            case e.SimulationChanged():
                self.limits.clear()
            case e.RuleEvaluated():
                for fact in record.consequences:
                    self.take(fact, now_s)
            case c.SetLease() if record.nodes:
                nothing_is_leased_on_a_spent_budget(self, record, now_s)
            case c.StartAttempt():
                self.limits.pop((record.simulation, record.set), None)
                nothing_is_begun_on_a_spent_budget(self, record, now_s)
            case c.StartSegment():
                nothing_is_begun_on_a_spent_budget(self, record, now_s)
            case _:
                pass

    def spent(self, simulation: str, now_s: float) -> bool:
        """Tell whether the project of a simulation has nothing left."""
        name = self.tally.projects[simulation]
        project = self.projects.get(name)
        if project is None or project.budget_node_hours is None:
            return False
        budget_s = project.budget_node_hours * 3600.0
        return self.tally.node_s(name, now_s) > budget_s + NODE_S


def nothing_is_leased_on_a_spent_budget(
    audit: BudgetAuditor, record: c.SetLease, now_s: float
) -> None:
    """Nobody is given nodes whose project has nothing left."""
    new = set(record.nodes) - set(audit.auditor.books[record.simulation].lease)
    if new:
        assert not audit.spent(record.simulation, now_s), (record, now_s)


def nothing_is_begun_on_a_spent_budget(
    audit: BudgetAuditor, record: c.StartAttempt | c.StartSegment, now_s: float
) -> None:
    """With nothing left sets go to the boundary that is ahead of them, no further."""
    if not audit.spent(record.simulation, now_s):
        return
    assert isinstance(record, c.StartSegment), (record, "the budget is used up")
    book = audit.auditor.books[record.simulation]
    s = book.of(record.stage)
    place = record.simulation, next(iter(s.stages))
    limit = audit.limits.setdefault(place, ahead_of(s))
    assert record.segment < s.ended(record.stage, limit), (record, limit, s.done)


def ahead_of(s: SetBook) -> int:
    """Return the first common boundary that no stage has begun to pass."""
    last = len(s.commons) - 1
    for boundary in range(1, last):
        # Those that stand there have reached it; the way goes on from it.
        reached = all(s.done[stage] >= s.ended(stage, boundary) for stage in s.stages)
        if not (reached or s.passed(boundary)):
            return boundary
    return last
