"""The way of a set of one stage that computes alone on its lease.

Nothing waits for anything there, so one look at each boundary is enough: this is what
months of a virtual cluster consist of. Gives what `Stride.step` would.
"""

from __future__ import annotations

from climorch.core.calm import LAST
from climorch.core.fold_strides import mean
from climorch.twin.entries import Computed, enter
from climorch.twin.lab import Running
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
    number, price, begun_s, ends_s = (
        running.number,
        running.price,
        running.begun_s,
        running.ends_s,
    )
    stall_s = running.since_s - begun_s
    pace_s = here.pace_s.get(stage)
    seconds = way.seconds.setdefault(stage, [])
    computed: list[Computed] = []
    end = here.plan.last - LAST
    while True:
        if at.written_s <= until_s and at.written_s <= ends_s:
            way.commit()
        if ends_s > until_s or number >= end:
            break
        computed.append(Computed(number, price.seconds, price.base_s, stall_s, ends_s))
        seconds.append(price.seconds)
        pace_s = mean(pace_s, price.seconds)
        at.redo_base_s += price.base_s
        number, begun_s = number + 1, ends_s
        if here.checkpoint is None and number > way.committed:
            here.pace_s[stage] = pace_s
            way.plan(number, begun_s)
            if here.planned is not None:
                way.begin(number, begun_s)
        stall_s = max(at.ready_s - begun_s, 0.0)
        price = lab.price(name, stage, number, begun_s)
        ends_s = begun_s + (stall_s + price.seconds)
    if pace_s is not None:
        here.pace_s[stage] = pace_s
    here.done[stage] = here.running[stage] = number
    at.running[stage] = Running(
        number, price, begun_s=begun_s, since_s=begun_s + stall_s, ends_s=ends_s
    )
    way.news = True
    enter(
        lab.ledger,
        name,
        here.name,
        stage,
        computed,
        committed=way.committed,
        stall_s=stall_s,
        writing=here.checkpoint is not None,
    )
