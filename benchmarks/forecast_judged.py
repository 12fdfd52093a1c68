"""One forecast of a campaign whose laws are hidden, beside what came.

Read `benchmarks/forecast_accuracy.py` first.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.hidden_truth import AHEAD, BEGIN_S, KNOWN, Truth, truth_of
from climorch.core.progress import Policies
from climorch.forecast.past import Past, past_of
from climorch.forecast.projection import Forecast
from climorch.forecast.unfolded import edges_of
from climorch.policy.checkpointing import EverySegments
from climorch.twin.asking import Asked, Question, forecast_from

__all__ = ["WORLDS", "Judged", "Size", "compared", "judge"]

WORLDS = 12
HOUR_S = 3600.0
EDGES_S = edges_of(BEGIN_S, KNOWN + AHEAD)
ORIGIN_S = EDGES_S[KNOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is played.

    Attributes
    ----------
    worlds : int
        Of each forecast.
    quick : bool
        Whether the forecast is the quick sum.
    """

    worlds: int = WORLDS
    quick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One forecast and what came.

    Attributes
    ----------
    seed : int
        Of the campaign.
    limited : str
        By what.
    coming : int
        Scenarios that were planned and not submitted.
    fewest : int
        Finished segments of the configuration that has fewest.
    errors, flat, naive : tuple of float
        Relative errors of six and twelve months: of the forecast, of the flat mean and
        of plan times mean cost.
    covered : tuple of bool
        Whether six and twelve months came between P10 and P90.
    months : int
        Scenarios that were done, or expected to be, in six months.
    right : int
        Of these, in the month that was expected, or one off.
    cpu_s : float
        CPU seconds of it all, of the campaign itself, too.
    """

    seed: int
    limited: str
    coming: int
    fewest: int
    errors: tuple[float, float]
    flat: tuple[float, float]
    naive: tuple[float, float]
    covered: tuple[bool, bool]
    months: int
    right: int
    cpu_s: float = 0.0


def judge(size: Size, seed: int) -> Judged:
    """Let a campaign be, forecast it at month six, and compare.

    Parameters
    ----------
    size : Size
        How much is played.
    seed : int
        Of the campaign.
    """
    begin_s = time.process_time()
    truth = truth_of(seed)
    judged = compared(truth, past_of(truth.records), size)
    return dataclasses.replace(judged, cpu_s=time.process_time() - begin_s)


def compared(truth: Truth, known: Past, size: Size) -> Judged:
    """Forecast a campaign from its past, and compare with what came.

    Parameters
    ----------
    truth : Truth
        What came.
    known : Past
        Its journal up to month six.
    size : Size
        How much is played.
    """
    past = dataclasses.replace(known, as_of_s=ORIGIN_S)
    asked = Asked(
        campaign=f"truth-{truth.seed}",
        facts=(),
        policies=Policies(checkpointing=EverySegments()),
        workflows={a.workflow.name: a.workflow for a in truth.plan},
    )
    question = Question(
        months=AHEAD,
        plan=truth.plan,
        quick=size.quick,
        seeds=tuple(range(size.worlds)),
    )
    found = forecast_from(past, question, asked, begin_s=ORIGIN_S)
    came = [sum(truth.held[KNOWN : KNOWN + n]) for n in (6, AHEAD)]
    mean = sum(truth.held[:KNOWN]) / KNOWN
    ranges = [found.total(months=n) for n in (6, AHEAD)]
    months, right = _months(truth, found)
    return Judged(
        seed=truth.seed,
        limited=truth.limited,
        coming=sum(a.name not in past.state.simulations for a in truth.plan),
        fewest=found.trust.segments,
        errors=_two([r.p50 / x - 1 for r, x in zip(ranges, came, strict=True)]),
        flat=_two([mean * n / x - 1 for n, x in zip((6, AHEAD), came, strict=True)]),
        naive=_two(
            [
                plan_times_mean(truth, past, n, found) / x - 1
                for n, x in zip((6, AHEAD), came, strict=True)
            ]
        ),
        covered=(
            ranges[0].p10 <= came[0] <= ranges[0].p90,
            ranges[1].p10 <= came[1] <= ranges[1].p90,
        ),
        months=months,
        right=right,
    )


def _two(several: Sequence[float]) -> tuple[float, float]:
    return several[0], several[1]


def plan_times_mean(truth: Truth, past: Past, months: int, found: Forecast) -> float:
    """Return what somebody with a calculator would say.

    Each scenario's segments that are left times the plain mean of its configuration's,
    from its planned start on, on its nodes; at most what there is.
    """
    sums: dict[tuple[str, str], list[float]] = {}
    for piece in past.seen.pieces:
        both = sums.setdefault((piece.workflow, piece.stage), [0.0, 0.0])
        both[0] += piece.count * piece.mean_s
        both[1] += piece.count
    end_s = EDGES_S[KNOWN + months]
    hours = 0.0
    for activity in truth.plan:
        plan = activity.plan
        own = past.state.simulations.get(activity.name)
        done = own.committed_segments if own else {}
        # Stages side by side: the longest counts.
        takes_s = max(
            (stage.segments - done.get(stage.name, 0))
            * sums[plan.workflow, stage.name][0]
            / sums[plan.workflow, stage.name][1]
            for stage in plan.stages
        )
        span_s = end_s - max(ORIGIN_S, activity.start_s if own is None else 0.0)
        hours += plan.nodes * max(min(takes_s, span_s), 0.0) / HOUR_S
    return min(hours, sum(found.capacity_node_hours[:months]))


def _months(truth: Truth, found: Forecast) -> tuple[int, int]:
    """Count scenarios whose month of completion was to be told, and was."""
    asked = right = 0
    for completion in found.completions:
        came_s = truth.came.ended_s.get(completion.simulation, np.inf)
        came, said = (
            min(int(np.searchsorted(EDGES_S, at_s, side="right")) - 1 - KNOWN, 6)
            for at_s in (came_s, completion.p50_s)
        )
        if min(came, said) < 6:
            asked += 1
            right += abs(came - said) <= 1
    return asked, right
