"""Random numbers of a virtual cluster: each hazard has a generator of its own.

Decides who draws from what. A generator is found by what it is for, never by
the order in which it is asked, so a policy that asks for more or less changes
nobody else's luck and two policies can be compared on the same one.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
import xxhash

__all__ = ["Draws", "Purpose", "SegmentNoise", "lognormal_sigma"]

# Segments whose noise is drawn in one go.
BLOCK = 256


class Purpose(IntEnum):
    """What random numbers are for; the numbers are part of every golden log."""

    FAILURE = 0
    OUTAGE = 1
    SPEED = 2
    SEGMENT = 3
    COST = 4
    LOAD = 5
    PACE = 6


class Draws:
    """Generators by purpose and name, all from one seed.

    Parameters
    ----------
    seed : int
        Of the whole run, >= 0.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generator(self, purpose: Purpose, *place: int | str) -> np.random.Generator:
        """Make the generator of one hazard, always in its first state.

        Parameters
        ----------
        purpose : Purpose
            What it is for.
        *place : int or str
            Which one of them: the number of a node, the name of a simulation.

        Returns
        -------
        numpy.random.Generator
            Independent of those of other purposes and places.
        """
        # Names as 32-bit words, as a spawn key wants them.
        words = [int(purpose)]
        for part in place:
            if isinstance(part, str):
                digest = xxhash.xxh3_64_intdigest(part.encode())
                words += [digest >> 32, digest & 0xFFFFFFFF]
            else:
                words.append(part)
        sequence = np.random.SeedSequence(self.seed, spawn_key=tuple(words))
        return np.random.Generator(np.random.PCG64(sequence))


def lognormal_sigma(cv: float) -> float:
    """Return sigma of a lognormal distribution.

    Parameters
    ----------
    cv : float
        Standard deviation over mean, >= 0.

    Returns
    -------
    float
        Standard deviation of the logarithm.
    """
    return math.sqrt(math.log1p(cv * cv))


class SegmentNoise:
    """By how much each segment takes longer than its stage's mean.

    The same segment has the same factor on every attempt and under every policy.

    Parameters
    ----------
    draws : Draws
        Of the run.
    cv : float
        Standard deviation over mean of the factors, >= 0.
    """

    def __init__(self, draws: Draws, cv: float) -> None:
        self._draws = draws
        self._sigma = lognormal_sigma(cv)
        self._blocks: dict[tuple[str, str], tuple[int, list[float]]] = {}

    def factor(self, simulation: str, stage: str, segment: int) -> float:
        """Return the factor of a segment, lognormal with mean 1.

        Parameters
        ----------
        simulation, stage : str
            Whose.
        segment : int
            Which, >= 0.

        Returns
        -------
        float
            Greater than 0; exactly 1 without noise.
        """
        if not self._sigma:
            return 1.0
        block, place = divmod(segment, BLOCK)
        # Segments come in order: the block at hand is nearly always the one.
        held = self._blocks.get((simulation, stage))
        if held is None or held[0] != block:
            rng = self._draws.generator(Purpose.SEGMENT, simulation, stage, block)
            sigma = self._sigma
            drawn = np.exp(sigma * rng.standard_normal(BLOCK) - sigma * sigma / 2)
            held = self._blocks[simulation, stage] = (block, drawn.tolist())
        return held[1][place]
