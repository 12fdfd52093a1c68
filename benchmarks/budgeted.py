"""Plays a campaign under a fixed budget of node-hours, to compare rules of promise.

One node for each simulation, so many nodes as are given, from the first second to
the last: what is not finished then counts for nothing. A rule is asked whenever a
node is free, and at each boundary whether who computes should go on. The rules are
those of the library; that the allocation follows them is shown elsewhere.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from climorch.policy.prospects import PromiseRule, Prospect, Skill

__all__ = ["Budgeted", "Output", "play"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """What is to be computed, in the order of submission; the future is in it.

    Attributes
    ----------
    params : list of dict
        Of each scenario.
    group : list of str
        Declared kin of each.
    value : ndarray of float64, shape (simulations,)
        What each is worth.
    mandatory : ndarray of bool, shape (simulations,)
        Which must be finished.
    priority : ndarray of int, shape (simulations,)
        What a user would set beforehand.
    cost_s : ndarray of float64, shape (simulations, segments)
        Seconds of one node.
    margin : ndarray of float64, shape (simulations, segments)
        What the score says after each segment; NaN: nothing.
    nodes : int
        How many there are.
    part : float
        Budget, as a part of the cost of all.
    """

    params: list[dict[str, object]]
    group: list[str]
    value: Array
    mandatory: npt.NDArray[np.bool_]
    priority: npt.NDArray[np.int_]
    cost_s: Array
    margin: Array
    nodes: int
    part: float

    @property
    def size(self) -> int:
        """How many simulations there are."""
        return len(self.params)

    @property
    def segments(self) -> int:
        """How many segments each has."""
        return int(self.cost_s.shape[1])

    @property
    def end_s(self) -> float:
        """When the budget is used up."""
        return self.part * float(self.cost_s.sum()) / self.nodes


@dataclass(frozen=True, kw_only=True)
class Output:
    """What came out.

    Attributes
    ----------
    value : float
        Of all that were finished and good enough.
    groups : int
        Groups with at least one such.
    best : float
        Best final margin; NaN if none finished.
    finished, pauses, wrong, mandatory_left : int
        Simulations finished; pauses; pauses of who would have been good enough;
        mandatory ones not finished.
    """

    value: float
    groups: int
    best: float
    finished: int
    pauses: int
    wrong: int
    mandatory_left: int


class _Play:
    """The state of one campaign."""

    def __init__(self, campaign: Budgeted) -> None:
        self.of = campaign
        self.done = [0] * campaign.size
        self.spent_s = [0.0] * campaign.size
        self.skills: list[tuple[Skill, ...]] = [()] * campaign.size
        self.holding: set[int] = set()

    def prospects(self) -> list[Prospect]:
        """Tell a rule what it may know: nothing of the future, nor of costs."""
        of = self.of
        return [
            Prospect(
                simulation=str(i),
                serial=i,
                priority=int(of.priority[i]),
                params=of.params[i],
                group=of.group[i],
                value=float(of.value[i]),
                mandatory=bool(of.mandatory[i]),
                planned_node_s=1.0,
                left_node_s=max(1.0 - self.done[i] / of.segments, 1e-9),
                spent_node_s=self.spent_s[i],
                skills=self.skills[i],
                holding=i in self.holding,
                finished=self.done[i] == of.segments,
            )
            for i in range(of.size)
        ]

    def commit(self, i: int) -> None:
        """Count a segment."""
        k = self.done[i]
        self.spent_s[i] += float(self.of.cost_s[i, k])
        margin = float(self.of.margin[i, k])
        if not math.isnan(margin):
            self.skills[i] = (*self.skills[i], Skill(mark=k, margin=margin))
        self.done[i] = k + 1

    def output(self, pauses: list[int]) -> Output:
        """Count what is finished."""
        of = self.of
        ended = [i for i in range(of.size) if self.done[i] == of.segments]
        final = of.margin[:, -1]
        good = [i for i in ended if final[i] >= 0]
        return Output(
            value=float(sum(of.value[i] for i in good)),
            groups=len({of.group[i] for i in good}),
            best=max((float(final[i]) for i in ended), default=math.nan),
            finished=len(ended),
            pauses=len(pauses),
            wrong=sum(bool(final[i] >= 0) for i in pauses),
            mandatory_left=int(of.mandatory.sum())
            - sum(bool(of.mandatory[i]) for i in ended),
        )


def play(campaign: Budgeted, rule: PromiseRule) -> Output:
    """Play a campaign to the end of its budget.

    Parameters
    ----------
    campaign : Budgeted
        What is to be computed.
    rule : PromiseRule
        Who decides.

    Returns
    -------
    Output
        What came out.
    """
    state = _Play(campaign)
    ends: list[tuple[float, int]] = []
    pauses: list[int] = []
    now_s = 0.0

    def compute(i: int) -> None:
        heapq.heappush(ends, (now_s + float(campaign.cost_s[i, state.done[i]]), i))

    while True:
        while len(state.holding) < campaign.nodes:
            order = rule.rank(state.prospects(), now_s=now_s).order
            free = (int(p.simulation) for p in order)
            first = next((i for i in free if i not in state.holding), None)
            if first is None:
                break
            state.holding.add(first)
            compute(first)
        if not ends:
            break
        now_s, i = heapq.heappop(ends)
        if now_s > campaign.end_s:
            break
        state.commit(i)
        if state.done[i] == campaign.segments:
            state.holding.discard(i)
        elif str(i) in rule.rank(state.prospects(), now_s=now_s).pauses:
            state.holding.discard(i)
            pauses.append(i)
        else:
            compute(i)
    return state.output(pauses)
