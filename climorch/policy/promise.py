"""Which scenarios promise most: by what finished siblings achieved, per node-hour.

A scenario's chance of becoming good enough comes from a posterior over its
parameters, its cost likewise. Who was started is let finish, unless something shows
that it will not end well, or unless partial scores of this very campaign were seen
to foretell final ones. Ignores gangs, nodes and shares between projects.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median

from climorch.errors import InvalidInputError
from climorch.model.ranges import range_faults
from climorch.policy.foretelling import Foretold, foretell
from climorch.policy.prospects import (
    Belief,
    Correlation,
    Promise,
    Prospect,
    Ranking,
)
from climorch.policy.siblings import Estimate, kinship, learned

__all__ = ["SiblingPromise"]

HOUR_S = 3600.0
# Beyond this the mean of a cost of unknown size is ruled by its tail.
WIDEST_COST_VARIANCE = 2.0
CDF = NormalDist().cdf


@dataclass(frozen=True, slots=True, kw_only=True)
class SiblingPromise:
    """Prefer what promises most value per node-hour, judged by finished siblings.

    Attributes
    ----------
    diversity : float
        How much less the next success of a group is worth after n of them: by the
        factor ``(1 + n) ** -diversity``; >= 0, 0: nothing.
    floor : float
        Part of the starts that goes to whoever has waited longest, in [0, 1]; so
        that nobody waits for ever and something is learned of all.
    hysteresis : float
        Who waits must promise so many times more than who computes before that one
        is paused, >= 1.
    rank_correlation : float
        Partial scores count only where their rank correlation with final scores is
        at least this in the campaign itself, in (0, 1].
    samples : int
        ... measured on at least so many finished simulations, >= 3.
    slack : float
        A simulation with a deadline goes first once what is left of it, stretched
        by ``1 + slack``, only just fits; >= 0.

    Raises
    ------
    InvalidInputError
        With every number that is out of its range.
    """

    diversity: float = 0.1
    floor: float = 0.05
    hysteresis: float = 1.5
    rank_correlation: float = 0.6
    samples: int = 12
    slack: float = 0.2

    def __post_init__(self) -> None:
        faults = range_faults(
            self,
            [
                ("diversity", 0 <= self.diversity < math.inf, "finite and >= 0"),
                ("floor", 0 <= self.floor <= 1, "in [0, 1]"),
                ("hysteresis", 1 <= self.hysteresis < math.inf, "finite and >= 1"),
                ("rank_correlation", 0 < self.rank_correlation <= 1, "in (0, 1]"),
                ("samples", self.samples >= 3, ">= 3"),
                ("slack", 0 <= self.slack < math.inf, "finite and >= 0"),
            ],
            remedy="give a plain number",
        )
        if faults:
            raise InvalidInputError("no promise can be judged so", faults=faults)

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order the simulations of a project by what they promise.

        Parameters
        ----------
        prospects : sequence of Prospect
            All that were submitted, finished and failed ones too.
        now_s : float
            The time, in seconds.

        Returns
        -------
        Ranking
            Mandatory ones first, then deadlines that press, then by worth.
        """
        lore = _Lore.of(prospects)
        foretold = self._foretold(prospects, lore)
        promises = [
            self._promise(i, p, lore, foretold, now_s)
            for i, p in enumerate(prospects)
            if p.open
        ]
        by_name = {p.simulation: p for p in prospects}
        pauses = self._pauses(promises, by_name, foretold)
        promises = self._with_floor(promises, prospects)

        def key(promise: Promise) -> tuple[float, bool, float, int, int]:
            p = by_name[promise.simulation]
            # Who computes is worth as much more as who waits must promise more.
            kept = p.holding and p.simulation not in pauses
            worth = promise.worth * (self.hysteresis if kept else 1.0)
            first = promise.reason == "mandatory"
            return (-worth, not first, -float(p.begun), -p.priority, p.serial)

        return Ranking(
            order=tuple(sorted(promises, key=key)),
            pauses=pauses,
            correlations=tuple(f.correlation for f in foretold.values()),
        )

    def _promise(
        self,
        i: int,
        p: Prospect,
        lore: _Lore,
        foretold: Mapping[int, Foretold],
        now_s: float,
    ) -> Promise:
        belief = lore.belief(i)
        told = foretold.get(p.skills[-1].mark) if p.skills else None
        if told is not None and self._counts(told.correlation):
            belief = lore.foretold(belief, told, p.skills[-1].margin)
        cost_node_s = lore.cost_node_s(i, p)
        again = (1 + lore.successes[p.group]) ** -self.diversity if p.group else 1.0
        worth = p.value * belief.chance * again / (cost_node_s / HOUR_S)
        reason = "promise"
        if p.failing:
            worth, reason = 0.0, "failing"
        elif p.mandatory:
            worth, reason = math.inf, "mandatory"
        elif p.deadline_s is not None:
            if now_s + p.left_s > p.deadline_s:
                worth, reason = 0.0, "late"
            elif now_s + p.left_s * (1 + self.slack) >= p.deadline_s:
                worth, reason = math.inf, "deadline"
        return Promise(
            simulation=p.simulation,
            worth=worth,
            reason=reason,
            belief=belief,
            cost_node_s=cost_node_s,
        )

    def _counts(self, correlation: Correlation) -> bool:
        return (
            correlation.samples >= self.samples
            and correlation.rank >= self.rank_correlation
        )

    def _foretold(
        self, prospects: Sequence[Prospect], lore: _Lore
    ) -> dict[int, Foretold]:
        """Learn what partial scores say at the marks where one is asked about."""
        marks = sorted({p.skills[-1].mark for p in prospects if p.open and p.skills})
        found = {}
        for mark in marks:
            pairs = [
                (lore.scaled(skill.margin), lore.scaled(p.skills[-1].margin))
                for p in prospects
                if p.finished
                for skill in p.skills[:-1]
                if skill.mark == mark
            ]
            told = foretell(mark, [a for a, _ in pairs], [b for _, b in pairs])
            if told is not None:
                found[mark] = told
        return found

    def _pauses(
        self,
        promises: Iterable[Promise],
        by_name: Mapping[str, Prospect],
        foretold: Mapping[int, Foretold],
    ) -> dict[str, str]:
        pauses = {
            p.simulation: p.failing
            for p in by_name.values()
            if p.holding and p.failing and not p.mandatory
        }
        waiting = [p for p in promises if not by_name[p.simulation].holding]
        best = sorted(waiting, key=lambda p: -p.worth)
        holding = sorted(
            (p for p in promises if p.reason == "promise"), key=lambda p: p.worth
        )
        for promise in holding:
            p = by_name[promise.simulation]
            if not (p.holding and p.skills) or p.simulation in pauses:
                continue
            told = foretold.get(p.skills[-1].mark)
            if told is None or not self._counts(told.correlation):
                continue
            # Each one that waits can take the place of one that computes.
            if len(pauses) >= len(best):
                break
            other = best[len(pauses)]
            if other.worth > self.hysteresis * promise.worth:
                pauses[p.simulation] = (
                    f"{other.simulation} promises {other.worth:.3g} per node-hour, "
                    f"this {promise.worth:.3g}; rank correlation of scores at mark "
                    f"{told.correlation.mark} with final ones "
                    f"{told.correlation.rank:.2f} of {told.correlation.samples}"
                )
        return pauses

    def _with_floor(
        self, promises: list[Promise], prospects: Sequence[Prospect]
    ) -> list[Promise]:
        """Put whoever has waited longest first, where its turn has come."""
        begun = sum(p.begun or not p.open for p in prospects)
        if not self.floor or (begun + 1) % max(1, round(1 / self.floor)):
            return promises
        untouched = [p for p in prospects if p.open and not (p.begun or p.failing)]
        if not untouched:
            return promises
        oldest = min(untouched, key=lambda p: p.serial).simulation
        return [
            replace(p, worth=math.inf, reason="floor")
            if p.simulation == oldest and p.reason == "promise"
            else p
            for p in promises
        ]


@dataclass(frozen=True, slots=True)
class _Lore:
    """What was learned from those that finished.

    Attributes
    ----------
    unit : float
        Median size of the final margins; they count linearly below, as their
        logarithm above, so that one that is far off does not rule the rest.
    skill, cost : Estimate or None
        Of the final margin, scaled; of the logarithm of cost over plan.
    known : int
        Finished or failed simulations.
    rate : float
        Part of these that were good enough, as if one good and one bad one had
        been seen before.
    successes : Counter of str
        Good ones by group.
    """

    unit: float
    skill: Estimate | None
    cost: Estimate | None
    known: int
    rate: float
    successes: Counter[str]

    @classmethod
    def of(cls, prospects: Sequence[Prospect]) -> _Lore:
        ended = [
            (i, p) for i, p in enumerate(prospects) if p.failed or _final(p) is not None
        ]
        margins = [m for _, p in ended if (m := _final(p)) is not None]
        unit = median(map(abs, margins)) if margins else 1.0
        unit = unit or 1.0
        # Who failed stands beside the worst that was seen.
        worst = min(margins, default=-unit)
        finals = [m if (m := _final(p)) is not None else worst for _, p in ended]
        # How uncertain a value is shrinks where the scale does.
        noise = [
            (p.skills[-1].sd if p.skills else 0.0) / math.hypot(unit, m)
            for (_, p), m in zip(ended, finals, strict=True)
        ]
        kin = kinship([{**p.params, "group": p.group} for p in prospects])
        size = len(prospects)
        skill = learned(
            kin,
            size,
            tuple(i for i, _ in ended),
            tuple(math.asinh(m / unit) for m in finals),
            tuple(noise),
        )
        paid = [(i, p) for i, p in ended if p.finished and p.spent_node_s > 0]
        cost = learned(
            kin,
            size,
            tuple(i for i, _ in paid),
            tuple(math.log(p.spent_node_s / p.planned_node_s) for _, p in paid),
        )
        good = [p for _, p in ended if (m := _final(p)) is not None and m >= 0]
        return cls(
            unit=unit,
            skill=skill,
            cost=cost,
            known=len(ended),
            rate=(len(good) + 1) / (len(ended) + 2),
            successes=Counter(p.group for p in good),
        )

    def scaled(self, margin: float) -> float:
        return math.asinh(margin / self.unit)

    def belief(self, i: int) -> Belief:
        if self.skill is None:
            return Belief(
                mean=math.nan, sd=math.inf, chance=self.rate, known=self.known
            )
        return Belief(
            mean=float(self.skill.mean[i]),
            sd=float(self.skill.sd[i]),
            chance=float(self.skill.above[i]),
            known=self.known,
        )

    def foretold(self, belief: Belief, told: Foretold, margin: float) -> Belief:
        if self.skill is None:
            return belief
        mean, sd = told.final(self.scaled(margin), mean=belief.mean, sd=belief.sd)
        return replace(belief, mean=mean, sd=sd, chance=CDF(mean / sd))

    def cost_node_s(self, i: int, p: Prospect) -> float:
        if self.cost is None:
            return p.left_node_s
        variance = min(float(self.cost.sd[i]) ** 2, WIDEST_COST_VARIANCE)
        return p.left_node_s * math.exp(float(self.cost.mean[i]) + variance / 2)


def _final(p: Prospect) -> float | None:
    return p.skills[-1].margin if p.finished and p.skills else None
