"""What durations of one kind have shown, in constant space and time.

Recent ones weigh more. Ignores what the durations are of and what else is known
of them: that is for `durations`.
"""

from __future__ import annotations

import math

import msgspec

__all__ = ["RECENT", "Learned", "learn"]

# Weight of the newest sample once there are 1/RECENT of them. Speed drifts over
# hours (other users of the network, of storage; a model that gets stiff), while
# noise between segments is of the order of 0.1: about 19 samples in effect
# follow a drift within ten segments and know the centre to 0.1 / 19**0.5 = 2 %.
RECENT = 0.1
# No clock tells less, and there is no logarithm of nothing.
SHORTEST_S = 1e-3


class Learned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What durations of one kind have shown; kept in constant space.

    A struct of msgspec, since one is made for every finished segment and that
    costs a fifth of a dataclass.

    Attributes
    ----------
    count : int
        Durations so far, >= 1.
    centre : float
        Weighted mean of the logarithms of seconds.
    variance : float
        Weighted variance about it, not corrected for the size of the sample.
    """

    count: int
    centre: float
    variance: float

    @property
    def effective(self) -> float:
        """Equally weighted samples that would tell as much, in [1, 19)."""
        first = round(1 / RECENT)
        if self.count <= first:
            return float(self.count)
        # Sum of squared weights: 1/first at first, then a geometric series.
        left = (1 - RECENT) ** (2 * (self.count - first))
        return 1 / (RECENT * left + RECENT / (2 - RECENT) * (1 - left))


def learn(learned: Learned | None, seconds: float) -> Learned:
    """Add a duration to what was learned.

    Parameters
    ----------
    learned : Learned or None
        So far; None: nothing.
    seconds : float
        The newest one; less than a millisecond counts as that.

    Returns
    -------
    Learned
        A plain mean and variance at first, exponentially weighted from the
        tenth sample on, so that neither the first one nor old ones weigh more
        than others.

    References
    ----------
    West (1979), Communications of the ACM 22(9), 532-535.
    """
    log = math.log(seconds if seconds > SHORTEST_S else SHORTEST_S)
    if learned is None:
        return Learned(count=1, centre=log, variance=0.0)
    count = learned.count + 1
    weight = 1.0 / count if count * RECENT < 1.0 else RECENT
    off = log - learned.centre
    step = weight * off
    return Learned(
        count=count,
        centre=learned.centre + step,
        variance=(1.0 - weight) * (learned.variance + off * step),
    )
