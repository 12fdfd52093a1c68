"""What a rule of promise is told of a campaign, and what it answers.

Values only: what each simulation asks, has reached and is worth, and in which
order nodes should go to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = [
    "Belief",
    "Correlation",
    "Promise",
    "PromiseRule",
    "Prospect",
    "Ranking",
    "Skill",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """What a score said of a simulation at one mark.

    Attributes
    ----------
    mark : int
        Where it was taken; the same mark is the same model time in all simulations.
    margin : float
        By how much it is better than the threshold, in units of the score; >= 0 is
        good enough. The direction of the score is in it already.
    sd : float
        Standard deviation of its uncertainty, in the same units, >= 0.
    """

    mark: int
    margin: float
    sd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """A simulation, as a rule of promise sees it.

    Attributes
    ----------
    simulation : str
        Its name.
    serial : int
        Order of submission, unique.
    priority : int
        As the user set it; higher is more.
    params : mapping of str to object
        Of its scenario. Numbers are neighbours of near numbers; text and booleans
        are the same or not; whatever else is ignored.
    group : str
        Declared kin; empty: only the parameters say who is near.
    value : float
        What it is worth if it is good enough, > 0, in units of the user's.
    mandatory : bool
        It must be finished, whatever it promises.
    deadline_s : float or None
        After that, in seconds on the clock of ``now_s``, it is worth nothing.
    left_s : float
        What it still takes once it computes, in seconds, >= 0.
    planned_node_s, left_node_s : float
        What all of it costs and what is left of that, in node-seconds, > 0; what
        others of its kind really cost is not in it.
    spent_node_s : float
        What it has cost, in node-seconds, >= 0.
    skills : sequence of Skill
        In the order of their marks.
    holding : bool
        Whether it has nodes.
    finished : bool
        Whether all is committed; its last skill is its final one.
    failed : bool
        Whether it ended without a result.
    failing : str
        What shows that it will not end well; empty: nothing does.
    """

    simulation: str
    serial: int
    priority: int = 0
    params: Mapping[str, object] = field(default_factory=dict)
    group: str = ""
    value: float = 1.0
    mandatory: bool = False
    deadline_s: float | None = None
    left_s: float = 0.0
    planned_node_s: float = 1.0
    left_node_s: float = 1.0
    spent_node_s: float = 0.0
    skills: Sequence[Skill] = ()
    holding: bool = False
    finished: bool = False
    failed: bool = False
    failing: str = ""

    @property
    def begun(self) -> bool:
        """Whether anything was spent on it."""
        return self.holding or self.spent_node_s > 0

    @property
    def open(self) -> bool:
        """Whether nodes are still of use to it."""
        return not (self.finished or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What is expected of the final skill of one simulation.

    Attributes
    ----------
    mean, sd : float
        Mean and standard deviation of the final margin. On a scale that is linear
        near the threshold and logarithmic far from it, in units of the median
        size of the margins seen: 0 is the threshold.
    chance : float
        Probability that it is good enough, in [0, 1].
    known : int
        Finished simulations that this rests on.
    """

    mean: float
    sd: float
    chance: float
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """How well a partial score foretells the final one, in this campaign.

    Attributes
    ----------
    mark : int
        Of the partial score.
    rank : float
        Spearman's rank correlation with the final margin, in [-1, 1]; NaN where
        one of both does not vary.
    samples : int
        Finished simulations that were scored there too.
    """

    mark: int
    rank: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Why a simulation stands where it stands.

    Attributes
    ----------
    simulation : str
        Its name.
    worth : float
        Expected value per node-hour still to be spent, >= 0; infinite for who
        goes first whatever it promises.
    reason : str
        ``"mandatory"``, ``"deadline"`` or ``"floor"``: it goes first for that;
        ``"late"`` or ``"failing"``: it goes last for that; else what orders it:
        ``"promise"``, ``"priority"``, ``"order"`` or ``"progress"``.
    belief : Belief or None
        Of the final skill, where the rule has one.
    cost_node_s : float
        Expected cost of the rest, node-seconds.
    """

    simulation: str
    worth: float
    reason: str
    belief: Belief | None = None
    cost_node_s: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Who should compute.

    Attributes
    ----------
    order : tuple of Promise
        All simulations to which nodes are of use, the first to be served first.
    pauses : mapping of str to str
        Who should give its nodes back at its next boundary after a checkpoint,
        and why. Nothing of it is deleted; it stays in the order.
    correlations : tuple of Correlation
        What the pauses rest on, by mark.
    """

    order: tuple[Promise, ...]
    pauses: Mapping[str, str] = field(default_factory=dict)
    correlations: tuple[Correlation, ...] = ()


class PromiseRule(Protocol):
    """Decides which simulations of a project should have its nodes.

    Within a project only: shares between projects, protection and windows stand
    above it. A user's own rule is any object with this method; it must be pure.
    """

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order the simulations of a project.

        Parameters
        ----------
        prospects : sequence of Prospect
            All that were submitted, finished and failed ones too.
        now_s : float
            The time, in seconds.

        Returns
        -------
        Ranking
            Each open simulation once.
        """
        ...
