"""How long a segment will take: a prior first, what was measured later.

Durations are taken as lognormal: their logarithms vary about a centre with a
spread that is the same on any number of nodes. What is known of the centre
comes from three sources, each with a variance, and counts by its inverse: the
user's guess, other simulations of the same workflow, the simulation's own
segments. The longer it has run, the less the first two count.

Ignores trends, and that a segment may hang: outliers widen the spread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from climorch.policy.learning import RECENT, Learned

__all__ = [
    "Duration",
    "Shown",
    "assumed",
    "expected",
    "t_quantile",
]

# Standard deviations of logarithms, close to relative ones; all are ours.
# How far off a user's guess is: in nine of ten cases by less than 2.3 times.
GUESS = 0.5
# Noise between segments before any is known, and its degrees of freedom.
NOISE, NOISE_FREEDOM = 0.2, 2.0
# Simulations of one workflow differ by parameters and by the nodes they got.
BETWEEN, BETWEEN_FREEDOM = 0.15, 2.0
# Other widths: work that does not get faster with nodes, as a share on one node
# (Amdahl 1967), and the error of the ratio per e-fold of nodes.
SERIAL = 0.1
SCALING = 0.3

# Share of the error of guesses and of what others have shown that all stages of
# a simulation have in common: the same nodes, the same hand at guessing. Ours; 0
# would make sums over stages too sure, 1 would let nothing even out.
SHARED = 0.5

P95 = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a simulation has shown of a stage.

    Attributes
    ----------
    widths : mapping of int to Learned
        By number of nodes, >= 1; not empty.
    """

    widths: Mapping[int, Learned]

    @property
    def count(self) -> int:
        """Segments on any number of nodes."""
        return sum(learned.count for learned in self.widths.values())

    def centre(self, nodes: int, noise: float) -> tuple[float, float]:
        """Estimate the centre on some nodes.

        Parameters
        ----------
        nodes : int
            How many, >= 1.
        noise : float
            Standard deviation of the logarithms of its segments.

        Returns
        -------
        tuple of (float, float)
            Mean of the logarithms and variance of its error, from all widths:
            near ones count more.
        """
        return _combined(
            (
                learned.centre + math.log(speedup(width) / speedup(nodes)),
                noise**2 / learned.effective + (SCALING * math.log(nodes / width)) ** 2,
            )
            for width, learned in self.widths.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """What something will take, with what is not known about it.

    Attributes
    ----------
    median_s : float
        Half of them take longer, in seconds.
    common : float
        Uncertainty of the median: standard deviation of its logarithm. It is
        the same for all segments to come, so it does not average out.
    noise : float
        Spread from one to the next: standard deviation of logarithms.
    freedom : float
        Degrees of freedom of that knowledge, >= 2; infinite: it is assumed.
    samples : int
        Measured durations that it rests on; 0: a guess.
    shared : float
        Part of the variance of ``common`` that is the same for all stages of a
        simulation, in [0, 1].
    """

    median_s: float
    common: float
    noise: float
    freedom: float
    samples: int
    shared: float = SHARED

    @property
    def mean_s(self) -> float:
        """Mean over many, in seconds, at the median as it is thought to be."""
        return self.median_s * self.bias

    @property
    def bias(self) -> float:
        """Mean over many to median: the mean of a lognormal is above it."""
        return math.exp(self.noise**2 / 2)

    @property
    def p95_s(self) -> float:
        """Seconds that one of them exceeds in one of 20 cases."""
        return self.quantile_s(P95)

    def quantile_s(self, level: float) -> float:
        """Compute a quantile of one of them.

        Parameters
        ----------
        level : float
            Share that is shorter, in [0.01, 0.99].

        Returns
        -------
        float
            Seconds; with few samples further from the median (Student's t).
        """
        spread = math.hypot(self.common, self.noise)
        return self.median_s * math.exp(spread * t_quantile(level, self.freedom))

    def widening(self, level: float) -> float:
        """Return how much wider than a normal distribution it must be taken.

        Parameters
        ----------
        level : float
            Quantile that is of interest, in [0.01, 0.99] but 0.5.

        Returns
        -------
        float
            Factor for ``common`` and ``noise``, >= 1.
        """
        normal = NormalDist().inv_cdf(level)
        return t_quantile(level, self.freedom) / normal


def expected(
    nodes: int,
    *,
    guess_s: float | None,
    guess_nodes: int = 1,
    own: Shown | None = None,
    others: Sequence[Shown] = (),
) -> Duration | None:
    """Say how long a segment of a stage will take.

    Parameters
    ----------
    nodes : int
        Nodes of the lease, >= 1.
    guess_s : float or None
        The user's guess, in seconds, > 0; None: there is none.
    guess_nodes : int
        Nodes that it holds for.
    own : Shown or None
        Measured of this simulation.
    others : sequence of Shown
        Measured of other simulations of the workflow.

    Returns
    -------
    Duration or None
        None: nothing is known. Of use from the first sample on; below five the
        spread is mostly assumed. The median has no bias but for the guess: one
        that is wrong by a factor f, with n segments measured on these nodes,
        moves it by at most ``f ** (0.9**n * (noise / GUESS)**2 / min(n, 10))``.
    """
    guess = None
    if guess_s is not None:
        doubt = GUESS**2 + (SCALING * math.log(nodes / guess_nodes)) ** 2
        guess = math.log(guess_s * speedup(guess_nodes) / speedup(nodes)), doubt
    if guess is None and own is None and not others:
        return None
    return _weighed(nodes, guess, own, others)


def assumed(
    guess_s: float, *, own: Learned | None, others: Sequence[Learned] = ()
) -> Duration:
    """Say how long something will take that does not depend on nodes.

    Parameters
    ----------
    guess_s : float
        What is assumed as long as none was measured, in seconds, > 0.
    own : Learned or None
        Measured of this simulation.
    others : sequence of Learned
        Measured of other simulations of the workflow.

    Returns
    -------
    Duration
        Of the next one.
    """
    return _weighed(
        1,
        (math.log(guess_s), GUESS**2),
        None if own is None else Shown(widths={1: own}),
        [Shown(widths={1: other}) for other in others],
    )


def speedup(nodes: float) -> float:
    """Return how much faster than on one node work is, by Amdahl's law."""
    return 1 / (SERIAL + (1 - SERIAL) / nodes)


def t_quantile(level: float, freedom: float) -> float:
    """Compute a quantile of Student's t distribution.

    Parameters
    ----------
    level : float
        In [0.01, 0.99].
    freedom : float
        Degrees of freedom, >= 2; infinite: the normal distribution.

    Returns
    -------
    float
        Within 0.5 % in [0.05, 0.95] and 3 % in [0.01, 0.99].

    References
    ----------
    Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**k for k, term in enumerate(terms, start=1))


def _weighed(
    nodes: int,
    guess: tuple[float, float] | None,
    own: Shown | None,
    others: Sequence[Shown],
) -> Duration:
    """Weigh what is known, of which there is something, by its precision."""
    measured = [shown for shown in (own, *others) if shown is not None]
    samples = sum(shown.count for shown in measured)
    noise, freedom = _noise(measured)
    sources = []
    if own is not None:
        sources.append(own.centre(nodes, noise))
    if others:
        centre, variance = _others(nodes, noise, others)
        # They fade with each own segment, as a wrong guess must.
        sources.append((centre, variance / _faded(own.count if own else 0)))
    if guess is not None:
        sources.append((guess[0], guess[1] / _faded(samples)))
    centre, variance = _combined(sources)
    # Only what was derived from the measured spread is uncertain with it.
    share = variance / sources[0][1] if own is not None else 0.0
    total = noise**2 + variance
    doubtful = noise**2 + share * variance
    return Duration(
        median_s=math.exp(centre),
        common=math.sqrt(variance),
        noise=noise,
        freedom=freedom * (total / doubtful) ** 2,
        samples=samples,
        shared=SHARED * (1 - share),
    )


def _noise(measured: Sequence[Shown]) -> tuple[float, float]:
    """Pool the spread of all samples with what is assumed of it."""
    squares, freedom = NOISE_FREEDOM * NOISE**2, NOISE_FREEDOM
    for shown in measured:
        for learned in shown.widths.values():
            # The expected value of n times the plain variance is n - 1 true ones.
            squares += learned.effective * learned.variance
            freedom += learned.effective - 1
    return math.sqrt(squares / freedom), freedom


def _others(nodes: int, noise: float, others: Sequence[Shown]) -> tuple[float, float]:
    """Estimate the centre of a simulation from those of others."""
    found = [shown.centre(nodes, noise) for shown in others]
    mean = fmean(centre for centre, _ in found)
    squares = sum((centre - mean) ** 2 for centre, _ in found)
    between = (BETWEEN_FREEDOM * BETWEEN**2 + squares) / (
        BETWEEN_FREEDOM + len(found) - 1
    )
    centre, variance = _combined((centre, own + between) for centre, own in found)
    return centre, variance + between


def _faded(count: int) -> float:
    """Return what is left of the weight of older knowledge; never nothing."""
    return float((1 - RECENT) ** min(count, 1000))


def _combined(sources: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return mean and variance of what several sources say, by precision."""
    weight = total = 0.0
    for centre, variance in sources:
        weight += 1 / variance
        total += centre / variance
    return total / weight, 1 / weight
