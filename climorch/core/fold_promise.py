"""How decisions about promise change the state: one part of `fold`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.standing import ProjectPromise, Standing
from climorch.core.state import CampaignState
from climorch.model.promising import Promised, PromiseRanked

__all__ = ["PROMISE"]

# Of a journal that lacks why somebody stands where it stands.
UNSAID = Promised(reason="")


def _ranked(state: CampaignState, decision: PromiseRanked) -> None:
    before = {}
    for simulation in state.of_project(decision.project):
        before[simulation.name] = simulation.standing
        simulation.standing = None
    if not decision.on:
        state.promises.pop(decision.project, None)
        return
    state.promises[decision.project] = ProjectPromise(
        at_s=state.now_s, correlations=decision.correlations, fault=decision.fault
    )
    # By serial.
    names = list(state.simulations)
    for place, serial in enumerate(decision.order):
        name = names[serial]
        known = before.get(name)
        said = UNSAID if known is None else known.promised
        state.simulations[name].standing = Standing(
            place=place,
            promised=decision.promises.get(name, said),
            yields=decision.pauses.get(name, ""),
        )


PROMISE: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    PromiseRanked: _ranked,
}
