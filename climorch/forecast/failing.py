"""How nodes will fail, as far as a campaign has seen them fail.

Rates are Gamma, repairs lognormal; what little is known beforehand is that of
`policy.reliability`. Ignores bad nodes: all are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from climorch.forecast.witness import NodesSeen
from climorch.policy.reliability import PRIOR_EVENTS, PRIOR_NODE_S, PRIOR_UP_S

__all__ = ["FailureDraw", "OutageDraw", "draw_failures"]

# Of a repair, before one was seen: median in seconds, spread of logarithms.
REPAIR_S, SPREAD = 4 * 3600.0, 1.0
# Longer than anybody forecasts: never, in seconds.
NEVER_S = 100 * 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageDraw:
    """How often and how long many nodes may be gone.

    Attributes
    ----------
    every_s, lasts_s : float
        Mean between two of them; median of their lengths; seconds.
    sigma : float
        Standard deviation of the logarithm of the latter.
    share : float
        Of the nodes.
    """

    every_s: float
    lasts_s: float
    sigma: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureDraw:
    """How nodes may fail: one world.

    Attributes
    ----------
    mtbf_s : float or None
        Mean time between failures of a node, seconds; None: none will.
    repair_s, sigma : float
        Median of repairs, seconds; standard deviation of their logarithm.
    outage : OutageDraw or None
        Of many nodes; None: none will come.
    """

    mtbf_s: float | None
    repair_s: float
    sigma: float
    outage: OutageDraw | None


def draw_failures(seen: NodesSeen, seed: int) -> FailureDraw:
    """Draw how nodes fail from what they have done.

    Parameters
    ----------
    seen : NodesSeen
        What they have done.
    seed : int
        The same gives the same.

    Returns
    -------
    FailureDraw
        Rates unsure as the events are few; that of none in half a year is mostly zero.
    """
    rng = np.random.default_rng((seed, 3))
    rate = rng.gamma(seen.failures + PRIOR_EVENTS) / (seen.up_node_s + PRIOR_NODE_S)
    repair_s, sigma = _lengths(seen.repairs_s, rng)
    rate_all = rng.gamma(len(seen.outages) + PRIOR_EVENTS) / (seen.span_s + PRIOR_UP_S)
    lasting = [o.lasts_s for o in seen.outages if o.lasts_s is not None]
    lasts_s, outage_sigma = _lengths(tuple(lasting), rng)
    shares = [o.share for o in seen.outages]
    return FailureDraw(
        mtbf_s=None if rate * NEVER_S < 1 else 1 / rate,
        repair_s=repair_s,
        sigma=sigma,
        outage=None
        if rate_all * NEVER_S < 1
        else OutageDraw(
            every_s=1 / rate_all,
            lasts_s=lasts_s,
            sigma=outage_sigma,
            share=fmean(shares) if shares else 1.0,
        ),
    )


def _lengths(
    found_s: tuple[float, ...], rng: np.random.Generator
) -> tuple[float, float]:
    """Draw the median of lengths, and say what their logarithms spread by."""
    logs = [math.log(REPAIR_S), *(math.log(max(x, 1.0)) for x in found_s)]
    centre = fmean(logs)
    squares = sum((x - centre) ** 2 for x in logs)
    sigma = math.sqrt((2 * SPREAD**2 + squares) / (2 + len(logs) - 1))
    off = sigma / math.sqrt(len(logs)) * float(rng.standard_normal())
    return math.exp(centre + off), sigma
