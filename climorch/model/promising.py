"""What was decided about the promise of simulations, as it is journaled."""

from __future__ import annotations

import msgspec

__all__ = ["Correlated", "PromiseRanked", "Promised"]


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """Why a simulation stands where it stands; rounded to six digits.

    Attributes
    ----------
    reason : str
        As of `Promise`.
    worth : float or None
        Expected value per node-hour; None: it goes first whatever that is.
    mean, sd, chance : float or None
        Of the belief in its final skill; None: there is none.
    known : int
        Finished simulations that this rests on.
    cost_node_s : float or None
        Expected cost of the rest, node-seconds; None: not known.
    """

    reason: str
    worth: float | None = None
    mean: float | None = None
    sd: float | None = None
    chance: float | None = None
    known: int = 0
    cost_node_s: float | None = None


class Correlated(msgspec.Struct, frozen=True, kw_only=True):
    """How well scores at a mark foretell final ones; as of `Correlation`.

    Attributes
    ----------
    mark : int
        Of the partial score.
    rank : float or None
        Rank correlation; None: one of both does not vary.
    samples : int
        Finished simulations that were scored there.
    """

    mark: int
    rank: float | None
    samples: int


class PromiseRanked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The simulations of a project stand in another order from now on.

    Attributes
    ----------
    project : str
        Which.
    order : tuple of int
        Serials, the first to be served first.
    promises : dict of str to Promised
        By simulation, of those for which anything is another than before.
    pauses : dict of str to str
        Who gives its nodes to whoever waits and stands before it, and why.
    correlations : tuple of Correlated
        What the pauses rest on.
    fault : str
        Why the rule could not be followed, so that the order is that of submission;
        empty: it was.
    on : bool
        Whether promise decides; else turns do, as without it.
    """

    project: str
    order: tuple[int, ...] = ()
    promises: dict[str, Promised] = {}
    pauses: dict[str, str] = {}
    correlations: tuple[Correlated, ...] = ()
    fault: str = ""
    on: bool = True
