"""Protection: nobody is interrupted outside its terms.

Keeps turns and interruptions of its own, from what was journaled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import Scenario

__all__ = [
    "TermsAuditor",
    "nobody_is_interrupted_outside_its_terms",
    "what_is_lent_back_leaves_a_gang",
]

MONTH_S = 30 * 86_400.0


@dataclass(slots=True, kw_only=True)
class _Holder:
    """What of a simulation its terms depend on."""

    scenario: Scenario
    plan: SimulationPlan
    granted: int = 0
    turn_s: float = 0.0
    left_s: float = -math.inf
    preempted: bool = False
    interrupted_s: list[float] = field(default_factory=list)

    def exempt_until_s(self, now_s: float) -> float:
        """Say until when its terms let nobody interrupt it."""
        terms = self.scenario.protection
        past_s = [t for t in self.interrupted_s if t > now_s - MONTH_S]
        until_s = self.turn_s + terms.exempt_for_s
        if self.interrupted_s:
            until_s = max(until_s, self.interrupted_s[-1] + terms.min_between_s)
        if terms.max_preemptions == 0:
            return math.inf
        if terms.max_preemptions is not None and len(past_s) >= terms.max_preemptions:
            until_s = max(until_s, past_s[-terms.max_preemptions] + MONTH_S)
        return until_s


class TermsAuditor:
    """Reads what was journaled, with its times.

    Parameters
    ----------
    min_run_s : float
        As of `Sharing`: after so long shares go before "never".
    """

    def __init__(self, min_run_s: float) -> None:
        self.min_run_s = min_run_s
        self.holders: dict[str, _Holder] = {}
        self.now_s = 0.0

    def read(self, records: Iterable[c.Record], now_s: float) -> None:
        """Take the records of one instant."""
        for record in records:
            if isinstance(record, e.DriverStarted):
                # Nobody knows that anything was held after the last record.
                self._all_left()
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
                holder = self.holders[record.simulation]
                holder.scenario, holder.plan = record.scenario, record.plan
            case e.DriverStopped():
                self._all_left()
            case c.PreemptPlanned():
                nobody_is_interrupted_outside_its_terms(self, record)
                self.holders[record.simulation].preempted = True
            case c.ShrinkPlanned():
                what_is_lent_back_leaves_a_gang(self, record)
            case c.SetLease():
                self._leased(self.holders[record.simulation], len(record.nodes))
            case _:
                pass

    def _open(self, fact: e.SimulationSubmitted) -> None:
        holder = _Holder(scenario=fact.scenario, plan=fact.plan)
        self.holders.setdefault(fact.simulation, holder)

    def _all_left(self) -> None:
        for holder in self.holders.values():
            if holder.granted:
                holder.left_s = self.now_s
            holder.granted, holder.preempted = 0, False

    def _leased(self, holder: _Holder, nodes: int) -> None:
        if nodes and not holder.granted and holder.left_s != self.now_s:
            # One that moved to other nodes at once goes on with its turn.
            holder.turn_s = self.now_s
        if not nodes and holder.preempted:
            holder.interrupted_s.append(self.now_s)
            holder.left_s = -math.inf
        elif not nodes and holder.granted:
            holder.left_s = self.now_s
        holder.granted = nodes
        holder.preempted = holder.preempted and bool(nodes)


def nobody_is_interrupted_outside_its_terms(
    auditor: TermsAuditor, record: c.PreemptPlanned
) -> None:
    """Exemptions are over; "never" yields to shares alone, after a minimum of time."""
    holder, now_s = auditor.holders[record.simulation], auditor.now_s
    terms = holder.scenario.protection
    until_s = holder.exempt_until_s(now_s)
    evidence = (record, terms, until_s, now_s)
    foreign = record.why.startswith("project ") or "waited too long" in record.why
    if until_s == math.inf:
        assert foreign, evidence
        until_s = holder.turn_s + auditor.min_run_s
    assert now_s >= until_s - 1e-6, evidence
    taker = auditor.holders.get(record.why.split()[-1])
    if taker is not None and "not its turn" not in record.why and not foreign:
        # Of its own project: who is less protected takes nobody's turn.
        assert taker.scenario.protection.level >= terms.level, evidence


def what_is_lent_back_leaves_a_gang(
    auditor: TermsAuditor, record: c.ShrinkPlanned
) -> None:
    """Who gives lent nodes back keeps as many as it cannot run without."""
    gang = auditor.holders[record.simulation].plan.nodes
    assert record.nodes >= gang, (record, gang)
