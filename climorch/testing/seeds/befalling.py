"""What may befall an answer, each by itself: parts of `relay`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from climorch.core.origins import origins
from climorch.core.state import CampaignState
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.seeds.case import Trouble
from climorch.testing.seeds.features import Blow

__all__ = ["Blowing", "ruled", "scored", "spoilt_origins"]

Place = tuple[str, str, int]


class Blowing:
    """Tells which segments blow up.

    Parameters
    ----------
    blows : iterable of Blow
        As drawn.
    """

    def __init__(self, blows: Iterable[Blow]) -> None:
        self._blows = {(b.simulation, b.stage, b.segment): b for b in blows}
        self._counts: Counter[Place] = Counter()

    def __call__(self, state: CampaignState, fact: e.SegmentFinished) -> bool:
        """Tell whether the numbers of a segment blow up as it is computed now."""
        place = fact.simulation, fact.stage, fact.segment
        blow = self._blows.get(place)
        if blow is None or self._counts[place] >= blow.times:
            return False
        simulation = state.simulations[fact.simulation]
        s = simulation.sets[simulation.plan.set_of[fact.stage]]
        tried = sum(
            t.in_force and s.plan.segments_at[t.boundary][fact.stage] <= fact.segment
            for t in s.blown.tried
        )
        if tried >= blow.tries:
            return False
        self._counts[place] += 1
        return True


def ruled(
    fact: e.RuleEvaluated, failed: Trouble | None
) -> e.RuleEvaluated | e.RuleFailed:
    """Return what a rule says, or that it is wrong; some pause their simulation."""
    if failed is None:
        return fact
    return e.RuleFailed(
        simulation=fact.simulation,
        rule=fact.rule,
        at=fact.at,
        message="made to",
        pause=failed.cause is Cause.MODEL,
    )


def scored(
    fact: e.ScoreEvaluated, failed: Trouble | None, infinite: Trouble | None
) -> e.ScoreEvaluated | e.ScoreFailed:
    """Return what a score says, or that it failed."""
    if failed is None and infinite is None:
        return fact
    return e.ScoreFailed(
        simulation=fact.simulation,
        score=fact.score,
        mark=fact.mark,
        message="made to",
        not_finite=infinite is not None,
    )


def spoilt_origins(
    state: CampaignState,
    disk: FakeDisk,
    rotten: Collection[Place],
    fact: e.SetRestored,
) -> Iterator[Place]:
    """Yield the checkpoints that a set begins from and that cannot be read.

    Parameters
    ----------
    state : CampaignState
        What is known.
    disk : FakeDisk
        What is there.
    rotten : collection
        What went bad, and nobody has looked yet.
    fact : SetRestored
        Where it begins.
    """
    if fact.boundary:
        return
    own = state.simulations[fact.simulation].sets[fact.set].plan
    found = origins(state.simulations, fact.simulation, own)
    for place in dict.fromkeys((owner, name, at) for owner, name, _, at in found):
        stored = disk.of(place[0], place[1]).get(place[2])
        if stored is None or stored.damaged or place in rotten:
            yield place
