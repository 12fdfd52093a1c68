"""Where a simulation stands by promise, as the state keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from climorch.model.promising import Correlated, Promised

__all__ = ["ProjectPromise", "Standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a simulation stands by promise.

    Attributes
    ----------
    place : int
        Among those of its project, from 0; lower goes first.
    promised : Promised
        Why.
    yields : str
        Why it gives its nodes to whoever waits and stands before it; empty: it
        does not.
    """

    place: int
    promised: Promised
    yields: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPromise:
    """What was last decided of a project, beside its simulations.

    Attributes
    ----------
    at_s : float
        When, driver's clock, seconds.
    correlations, fault
        As of `PromiseRanked`.
    """

    at_s: float
    correlations: tuple[Correlated, ...] = ()
    fault: str = ""
