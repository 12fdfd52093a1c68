"""How records about copies in partners' memory change the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.fold_commands import break_off, current
from climorch.core.remedying import given_up
from climorch.core.state import CampaignState, Phase, SetState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause

__all__ = ["COPIES", "supersede"]

# Weight of the newest sample in a running mean.
RECENT = 0.3


def supersede(s: SetState, fact: e.CheckpointCommitted) -> None:
    """Let a committed checkpoint take the place of the copies that it covers."""
    if given_up(s.blown, fact.attempt, fact.boundary):
        # They are of another course.
        return
    held = s.held
    # A newer copy than was known of may be there by the time it is written.
    saving = held.salvaging is not None and held.salvaging <= fact.boundary
    if saving and s.attempt == fact.attempt:
        held.salvaged, held.salvaging = fact.boundary, None
    if held.boundary is not None and held.boundary <= fact.boundary:
        held.boundary = None


def _planned(state: CampaignState, decision: c.CopyPlanned) -> None:
    held = state.simulations[decision.simulation].sets[decision.set].held
    held.planned, held.planned_why = decision.boundary, decision.why


def _begun(state: CampaignState, command: c.BeginCopy) -> None:
    s = current(state, command)
    if s is not None:
        held = s.held
        held.copying, held.planned = command.boundary, None
        held.begun, held.begun_s = command.boundary, state.now_s


def _held(state: CampaignState, fact: e.CopyHeld) -> None:
    s = current(state, fact)
    if s is None or s.held.copying != fact.boundary:
        return
    held = s.held
    held.copying = None
    old = fact.cost_s if held.cost_s is None else held.cost_s
    held.cost_s = (1 - RECENT) * old + RECENT * fact.cost_s
    if fact.boundary > s.committed:
        held.boundary = fact.boundary


def _failed(state: CampaignState, fact: e.CopyFailed) -> None:
    s = current(state, fact)
    if s is not None and s.held.copying == fact.boundary:
        s.held.copying = None


def _salvaging(state: CampaignState, command: c.SalvageCopy) -> None:
    s = current(state, command)
    if s is None:
        return
    s.broken = s.broken or (Cause.NODE_LOST, command.why)
    s.phase = Phase.SALVAGING
    s.planned = s.checkpoint = s.held.planned = s.held.copying = None
    s.held.salvaging, s.held.until_s = command.boundary, command.until_s
    # Nobody may answer: it is looked at again then.
    s.retry_at_s = command.until_s
    break_off(state, s)


def _not_salvaged(state: CampaignState, fact: e.SalvageFailed) -> None:
    s = current(state, fact)
    if s is not None and s.held.salvaging == fact.boundary:
        s.held.salvaging = s.held.boundary = None


COPIES: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    c.CopyPlanned: _planned,
    c.BeginCopy: _begun,
    c.SalvageCopy: _salvaging,
    e.CopyHeld: _held,
    e.CopyFailed: _failed,
    e.SalvageFailed: _not_salvaged,
}
