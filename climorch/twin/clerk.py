"""Who keeps the books of a virtual cluster from what is decided.

Notes what was committed and lost, who waits for nodes, whose lease went and why. What
computing costs is noted where it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from climorch.core.state import CampaignState, Control
from climorch.model import commands as c
from climorch.model import events as e
from climorch.twin.account import Interruption
from climorch.twin.ledger import Ledger

__all__ = ["Clerk"]

# These change whether a simulation waits for nodes.
CHANGING = (
    e.WishTaken,
    e.PauseRequested,
    e.ResumeRequested,
    e.CancelRequested,
    e.SimulationChanged,
    c.SetDropped,
    c.SimulationFailed,
    e.RuleFailed,
)


class Clerk:
    """Reads every decision.

    Parameters
    ----------
    ledger : Ledger
        The books.
    state : CampaignState
        The orchestrator's; only read.
    begin_s : float
        Clock at the beginning of the run, seconds.
    windowed : callable
        Called when a window was declared or placed.
    """

    def __init__(
        self,
        ledger: Ledger,
        state: CampaignState,
        begin_s: float,
        windowed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._now_s = begin_s
        self._windowed = windowed
        self._note: dict[type[Any], Callable[[Any], None]] = {
            c.SegmentCommitted: self._committed,
            c.RolledBack: self._rolled_back,
            c.SetLease: self._leased,
            e.SimulationSubmitted: self._submitted,
            e.RuleEvaluated: self._evaluated,
            **dict.fromkeys(CHANGING, self._changed),
            e.WindowDeclared: self._window,
            c.WindowPlaced: self._window,
        }
        for simulation in state.simulations.values():
            ledger.open(simulation.name, simulation.plan.nodes, begin_s)
            self._look(simulation.name)

    def note(self, records: Iterable[c.Record], now_s: float) -> None:
        """Enter what was decided.

        Parameters
        ----------
        records : iterable of Record
            In order; the state has them.
        now_s : float
            Clock, seconds.
        """
        self._now_s = now_s
        note = self._note
        for record in records:
            take = note.get(type(record))
            if take is not None:
                take(record)

    def _committed(self, record: c.SegmentCommitted) -> None:
        plan = self._state.simulations[record.simulation].plan
        self._ledger.committed(
            record.simulation,
            plan.set_of[record.stage],
            record.stage,
            record.segment,
        )

    def _rolled_back(self, record: c.RolledBack) -> None:
        self._ledger.rolled_back(
            record.simulation, record.set, record.lost_s, self._now_s
        )

    def _submitted(self, fact: e.SimulationSubmitted) -> None:
        self._ledger.open(fact.simulation, fact.plan.nodes, self._now_s)
        self._look(fact.simulation)

    def _evaluated(self, fact: e.RuleEvaluated) -> None:
        self.note(fact.consequences, self._now_s)

    def _changed(self, record: Any) -> None:
        told = record.wish if isinstance(record, e.WishTaken) else record
        if isinstance(told, e.WindowDeclared):
            self._windowed()
        name = getattr(told, "simulation", None)
        if name in self._ledger.accounts:
            self._look(name)

    def _window(self, record: e.WindowDeclared | c.WindowPlaced) -> None:
        self._windowed()

    def _look(self, name: str) -> None:
        """See whether a simulation waits for nodes now."""
        simulation = self._state.simulations[name]
        account = self._ledger.accounts[name]
        if not simulation.wants_nodes:
            account.leased(self._now_s)
        elif not simulation.lease and account.waits_since_s is None:
            account.waits_since_s = self._now_s

    def _leased(self, command: c.SetLease) -> None:
        simulation = self._state.simulations[command.simulation]
        account = self._ledger.accounts[command.simulation]
        if command.nodes:
            short = len(command.nodes) < account.nodes
            account.short_why = command.why if short else ""
            account.leased(self._now_s)
        elif simulation.complete:
            account.completed_s = self._now_s
        elif simulation.control is Control.RUN and simulation.failed is None:
            # What is left of a lease goes because of what it was left by.
            why = account.short_why or command.why
            account.interruptions.append(Interruption(self._now_s, why))
            account.short_why = ""
            account.waits_since_s = self._now_s
