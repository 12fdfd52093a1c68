"""Checkpoints that cost more than they save, or save less than they could."""

from __future__ import annotations

import math
from collections.abc import Iterator

from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.forecast.timings import SetTimes, SimulationTimes
from climorch.policy.daly import daly_interval, expected_run_time_s

__all__ = ["checkpoints"]

# Checkpoints without which nobody knows what one costs; ours.
LEAST_CHECKPOINTS = 3
LEAST_GAIN = 0.02
# Without any loss in a time the mean between losses is longer than a third of it, in
# 95 of 100 cases (the rule of three).
RULE_OF_THREE = 3.0
# Losses without which nobody knows that checkpoints are too few; ours.
LEAST_LOSSES = 3

Group = list[tuple[SimulationTimes, SetTimes]]


def checkpoints(study: Study) -> Iterator[Finding]:
    """Find sets that would be done earlier with another interval between checkpoints.

    By the model of Daly (2006), Future Gener. Comput. Syst. 22, 303-312, with what
    checkpoints cost, and with losses as they were; where there were none, as many as
    could have been missed by chance.
    """
    for about, group in study.groups():
        sets = [s for _, s in group]
        count = sum(s.checkpoints for s in sets)
        run_s = sum(s.run_s for s in sets)
        cost_s = sum(s.cost_s for s in sets) / count if count else 0.0
        if count < LEAST_CHECKPOINTS or not (cost_s > 0 and run_s > 0):
            continue
        losses = sum(s.losses for s in sets)
        restores = sum(s.restores for s in sets)
        mtbf_s = run_s / losses if losses else run_s / RULE_OF_THREE
        restart_s = sum(s.restore_s for s in sets) / restores if restores else cost_s
        # What is kept of computing between two of them; none is within a segment.
        kept_s = run_s - sum(s.lost_s for s in sets)
        interval_s = max(kept_s / count - cost_s, cost_s)
        least_s = min(_stretch_s(group), interval_s)
        best_s = daly_interval(cost_s=cost_s, mtbf_s=mtbf_s)
        best_s = max(min(best_s, study.longest_s), least_s)
        now, then = (
            expected_run_time_s(
                work_s=1.0,
                interval_s=x,
                cost_s=cost_s,
                restart_s=restart_s,
                mtbf_s=mtbf_s,
            )
            for x in (interval_s, best_s)
        )
        gain = 1 - then / now
        seldom = interval_s > best_s
        if gain < LEAST_GAIN or (seldom and losses < LEAST_LOSSES):
            continue
        often = "seldom" if seldom else "often"
        yield Finding(
            kind=Kind.CHECKPOINTS,
            about=about,
            message=f"checkpoints are too {often}: each {interval_s:.0f} s of "
            f"computing, where {best_s:.0f} s would lose least",
            evidence={
                "interval_s": interval_s,
                "cost_s": cost_s,
                "mtbf_s": mtbf_s,
                "losses": float(losses),
                "checkpoints": float(count),
            },
            gain=gain,
            of=Gain.TIME,
            change=f"checkpointing=EveryWall(seconds={best_s:.0f}), or Daly(), which "
            "finds it by itself",
            settings={"interval_s": best_s},
        )


def _stretch_s(group: Group) -> float:
    """Return the seconds from one common boundary to the next; inf: not known."""
    run_s, stretches = 0.0, 0.0
    for simulation, s in group:
        if s.plan.last < 1:
            continue
        first = s.plan.name
        each = s.plan.segments_at[1][first] - s.plan.segments_at[0][first]
        run_s += s.run_s
        stretches += simulation.stages[first].segments / each
    return run_s / stretches if stretches else math.inf
