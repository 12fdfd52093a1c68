"""How what a user asks for changes the state.

One of three parts of `fold`, beside what happened and what was decided.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.dropping import try_all_again
from climorch.core.fold_nodes import forgive, released
from climorch.core.state import CampaignState, Control
from climorch.model import events as e

__all__ = ["WISHES"]


def _paused(state: CampaignState, fact: e.PauseRequested) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is not None and simulation.control is Control.RUN:
        simulation.control = Control.PAUSED


def _resumed(state: CampaignState, fact: e.ResumeRequested) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is None or simulation.control is Control.CANCELLED:
        return
    if not simulation.wants_nodes:
        simulation.waits_since_s = state.now_s
    simulation.control = Control.RUN
    if simulation.failed is not None:
        forgive(state, simulation.name)
    try_all_again(simulation)
    simulation.rule_faults.clear()
    for s in simulation.sets.values():
        s.retry_at_s = 0.0


def _cancelled(state: CampaignState, fact: e.CancelRequested) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is not None:
        simulation.control = Control.CANCELLED


def _prioritized(state: CampaignState, fact: e.PriorityRequested) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is not None:
        simulation.priority = fact.priority


def _drained(state: CampaignState, fact: e.DrainRequested) -> None:
    state.draining.add(fact.node)


def _undrained(state: CampaignState, fact: e.UndrainRequested) -> None:
    released(state, fact.node)


def _window_declared(state: CampaignState, fact: e.WindowDeclared) -> None:
    state.windows[fact.window.name] = fact.window


def _window_withdrawn(state: CampaignState, fact: e.WindowWithdrawn) -> None:
    state.windows.pop(fact.name, None)


WISHES: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    e.PauseRequested: _paused,
    e.ResumeRequested: _resumed,
    e.CancelRequested: _cancelled,
    e.PriorityRequested: _prioritized,
    e.DrainRequested: _drained,
    e.UndrainRequested: _undrained,
    e.WindowDeclared: _window_declared,
    e.WindowWithdrawn: _window_withdrawn,
}
