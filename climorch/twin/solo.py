"""The way of a set of one stage that computes alone on its lease.

Nothing waits for anything there, so one look at each boundary is enough: this is what
months of a virtual cluster consist of. Gives what `Stride.step` would.
"""

from __future__ import annotations

from climorch.core.calm import LAST
from climorch.core.fold_strides import mean
from climorch.policy.checkpointing import Pace
from climorch.policy.recovery import mean_time_between_failures
from climorch.twin.lab import Running
from climorch.twin.ledger import Computed
from climorch.twin.way import Way

__all__ = ["go_alone"]


def go_alone(way: Way, until_s: float) -> None:
    """Go on up to a time or to near the end of the set.

    Parameters
    ----------
    way : Way
        With one stage, one segment under way and no checkpoint planned.
    until_s : float
        Clock of the run, seconds; what happens then has happened.
    """
    here, at, lab = way.here, way.at, way.lab
    name, (stage,) = way.simulation.name, here.done
    (running,) = at.running.values()
    stall_s = running.since_s - running.begun_s
    pace_s = here.pace_s.get(stage)
    seconds = way.seconds.setdefault(stage, [])
    computed: list[Computed] = []
    end = here.plan.last - LAST
    while True:
        ends_s = running.ends_s
        if at.written_s <= until_s and at.written_s <= ends_s:
            way.commit()
        if ends_s > until_s:
            break
        price = running.price
        computed.append(
            Computed(running.number, price.seconds, price.base_s, stall_s, ends_s)
        )
        seconds.append(price.seconds)
        pace_s = mean(pace_s, price.seconds)
        at.redo_base_s += price.base_s
        boundary = running.number + 1
        if here.checkpoint is None and boundary > way.committed:
            why = way.rules.checkpointing.due(_pace(way, boundary, pace_s, ends_s))
            if why is not None:
                here.planned_why = why
                way.begin(boundary, ends_s)
        stall_s = max(at.ready_s - ends_s, 0.0)
        price = lab.price(name, stage, boundary, ends_s)
        running = Running(
            boundary,
            price,
            begun_s=ends_s,
            since_s=ends_s + stall_s,
            ends_s=ends_s + (stall_s + price.seconds),
        )
        if boundary >= end:
            break
    if pace_s is not None:
        here.pace_s[stage] = pace_s
    here.done[stage] = here.running[stage] = running.number
    at.running[stage] = running
    way.news = True
    lab.ledger.computed(
        name,
        here.name,
        stage,
        computed,
        committed=way.committed,
        stall_s=stall_s,
        writing=here.checkpoint is not None,
    )


def _pace(way: Way, boundary: int, pace_s: float, now_s: float) -> Pace:
    """Return what `progress.pace_of` does for a set of one stage."""
    here, state = way.here, way.state
    return Pace(
        since_s=now_s - here.since_s,
        boundaries=boundary - here.from_boundary,
        next_s=pace_s,
        cost_s=here.cost_s,
        mtbf_s=mean_time_between_failures(
            node_s=state.node_s + len(state.nodes) * (now_s - state.counted_s),
            failures=state.failures,
            nodes=max(len(way.simulation.lease), 1),
        ),
    )
