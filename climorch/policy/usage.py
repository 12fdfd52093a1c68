"""What was used: node-seconds that fade, and node-seconds that do not.

Counts in closed form, so that it does not matter how often anybody looks. Ignores
who used them.
"""

from __future__ import annotations

import math

import msgspec

__all__ = ["Usage", "decayed", "grown"]


def decayed(value: float, *, elapsed_s: float, half_life_s: float) -> float:
    """Compute what is left of a usage.

    Parameters
    ----------
    value : float
        The usage.
    elapsed_s, half_life_s : float
        Time since then, >= 0, and time in which it halves, > 0; seconds.

    Returns
    -------
    float
        ``value * 2 ** (-elapsed_s / half_life_s)``.
    """
    return value * math.exp2(-elapsed_s / half_life_s)


def grown(rate: float, *, elapsed_s: float, half_life_s: float) -> float:
    """Compute the usage from a constant rate, faded while it grew.

    Parameters
    ----------
    rate : float
        Usage per second, such as nodes held for node-seconds.
    elapsed_s, half_life_s : float
        How long, >= 0, and time in which usage halves, > 0; seconds.

    Returns
    -------
    float
        The integral of ``rate * 2 ** (-age / half_life_s)`` over ages up to
        ``elapsed_s``; for ever, it tends to ``rate * half_life_s / ln 2``.
    """
    # expm1: a lease of a second against a half-life of a week loses no digits.
    faded = -math.expm1(-math.log(2) * elapsed_s / half_life_s)
    return rate * half_life_s / math.log(2) * faded


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What somebody has used until a time, and what they hold since.

    Attributes
    ----------
    at_s : float
        Until when the two counts hold; driver's clock, seconds.
    nodes : int
        Nodes held from then on.
    node_s : float
        All node-seconds ever, which budgets are compared with.
    decayed_node_s : float
        Node-seconds that have faded by a half-life, which shares are judged by.
    """

    at_s: float
    nodes: int = 0
    node_s: float = 0.0
    decayed_node_s: float = 0.0

    def held_until(self, now_s: float) -> float:
        """Return all node-seconds ever, counted on to a later time."""
        return self.node_s + self.nodes * max(now_s - self.at_s, 0.0)

    def faded_at(self, now_s: float, *, half_life_s: float) -> float:
        """Return the node-seconds that have faded, counted on to a later time."""
        elapsed_s = max(now_s - self.at_s, 0.0)
        left = decayed(
            self.decayed_node_s, elapsed_s=elapsed_s, half_life_s=half_life_s
        )
        return left + grown(self.nodes, elapsed_s=elapsed_s, half_life_s=half_life_s)

    def at(self, now_s: float, *, half_life_s: float, more: int = 0) -> Usage:
        """Count on to a later time.

        Parameters
        ----------
        now_s : float
            Driver's clock, seconds; an earlier time than ``at_s`` changes nothing.
        half_life_s : float
            Time in which usage halves, seconds, > 0.
        more : int
            Nodes that are held from then on beside those held before; below 0:
            that are given back.

        Returns
        -------
        Usage
            What is held then, and what was used until then.
        """
        elapsed_s = max(now_s - self.at_s, 0.0)
        return Usage(
            at_s=self.at_s + elapsed_s,
            nodes=self.nodes + more,
            node_s=self.node_s + self.nodes * elapsed_s,
            decayed_node_s=self.faded_at(now_s, half_life_s=half_life_s),
        )
