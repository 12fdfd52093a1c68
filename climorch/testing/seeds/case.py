"""What is played: a campaign, and what happens to it, as values.

A case says everything; the seed only drew it. So what does not matter for a
violation can be left out, one thing at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from climorch.core.progress import Policies
from climorch.model.events import Cause, Fact, SimulationSubmitted
from climorch.model.plan import SimulationPlan
from climorch.testing.seeds.features import Blow, Depot, Treatment
from climorch.twin.site import TwinSite

__all__ = [
    "ANSWERS",
    "KINDS",
    "Case",
    "Cut",
    "Death",
    "Event",
    "Extend",
    "Poison",
    "Rot",
    "Stop",
    "Strike",
    "Tell",
    "Trouble",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Nodes die together: one, a rack, all of them.

    Attributes
    ----------
    at_s, lasts_s : float
        When, and how long they are down; seconds.
    nodes : tuple of str
        Which.
    """

    at_s: float
    nodes: tuple[str, ...]
    lasts_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Somebody asks for something, or submits it.

    Attributes
    ----------
    at_s : float
        When, seconds.
    fact : Fact
        What; about a simulation that does not exist yet: nothing.
    """

    at_s: float
    fact: Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """A simulation is submitted again with another end and gang, where it may be.

    Attributes
    ----------
    at_s : float
        When, seconds.
    simulation : str
        Which.
    more, nodes : int
        Coarse segments more, or less; nodes of each stage.
    """

    at_s: float
    simulation: str
    more: int
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rot:
    """A checkpoint goes bad on the disk.

    Attributes
    ----------
    at_s : float
        When, seconds.
    pick : int
        Which of those that are there, newest first, one set after the other.
    scrubbed : bool
        Whether a scrub finds it at once; otherwise whoever needs it does.
    """

    at_s: float
    pick: int
    scrubbed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The driver dies, and a new one takes over.

    Attributes
    ----------
    at_s : float
        When, at the earliest, seconds.
    decisions : int
        In so many decisions from then on.
    journaled : bool
        Whether that decision was journaled; none of its commands is executed.
    away_s : float
        Until the new one starts, seconds.
    """

    at_s: float
    decisions: int
    journaled: bool
    away_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The driver is asked to leave, and the script is run again.

    Attributes
    ----------
    at_s, away_s : float
        When, and how long nobody runs it; seconds.
    """

    at_s: float
    away_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The power goes, everywhere; only in cases with a real disk.

    Attributes
    ----------
    at_s : float
        When, at the earliest, seconds.
    operations : int
        In the so many-th commit of a checkpoint from then on, or transaction of
        the journal.
    journal : bool
        Whether it goes within a transaction of the journal.
    away_s : float
        Until it is back, seconds.
    """

    at_s: float
    operations: int
    journal: bool
    away_s: float


Event = Strike | Tell | Extend | Rot | Death | Stop | Cut
"""Something that happens at a time."""

KINDS: tuple[str, ...] = (
    "segment",
    "hang",
    "restore",
    "damage",
    "checkpoint",
    "copy",
    "rule",
    "again",
    "late",
)
"""Kinds of `Trouble`.

A segment fails, or hangs; a restore fails, or finds its checkpoint damaged; a
checkpoint, a copy or a rule fails; an answer arrives twice, or late.
"""

ANSWERS: tuple[str, ...] = ("remedy", "score", "infinite", "unreadable", "unheard")
"""Kinds of `Trouble` with what only some cases have.

A remedy has nothing to try; a score fails, or is not finite; what was asked back from
an archive cannot be read; a checkpoint has its name, and that is heard of late.
"""

# By how much an answer is late where nothing else is said, seconds.
LATE_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What becomes of an answer of the world.

    Attributes
    ----------
    kind : str
        One of `KINDS` or `ANSWERS`.
    nth : int
        Of the answers that such a trouble may befall, counted from 0.
    cause : Cause
        Why, where that is told.
    late_s : float
        By how much what is late, or told again, is; seconds.
    """

    kind: str
    nth: int
    cause: Cause = Cause.STORAGE
    late_s: float = LATE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A segment that takes its nodes down, each time it is computed.

    Attributes
    ----------
    simulation, stage : str
        Whose.
    segment, times : int
        Which, and how often.
    """

    simulation: str
    stage: str
    segment: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A campaign, and all that happens to it.

    Attributes
    ----------
    seed : int
        Of what the twin draws: noise, failures.
    facts : tuple of Fact
        What the first driver is told: projects and simulations.
    policies : Policies
        The rules.
    site : TwinSite
        The virtual cluster, with what makes it slow.
    events : tuple of Event
        By time.
    troubles : tuple of Trouble
        In any order.
    poison : tuple of Poison
        In any order.
    walltime_s : float or None
        How long each node stays until its job ends, seconds; None: it stays.
    children : int
        Simulations that rules add, at most.
    real : bool
        Whether journal and checkpoints are real ones, on a recorded disk.
    blows : tuple of Blow
        In any order.
    treatment : Treatment or None
        What is tried when numbers blow up; None: nothing.
    depot : Depot or None
        The archive, if there is one.
    level : float
        Up to which mean of what its newest segments returned a stage ends early, where
        it may; in [0, 1], as what segments return.
    """

    seed: int
    facts: tuple[Fact, ...]
    policies: Policies
    site: TwinSite
    events: tuple[Event, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    poison: tuple[Poison, ...] = field(default=())
    walltime_s: float | None = None
    children: int = 1
    real: bool = False
    blows: tuple[Blow, ...] = ()
    treatment: Treatment | None = None
    depot: Depot | None = None
    level: float = 0.0

    @property
    def plans(self) -> tuple[SimulationPlan, ...]:
        """Of all simulations that somebody submits."""
        told = [event.fact for event in self.events if isinstance(event, Tell)]
        return tuple(
            fact.plan
            for fact in (*self.facts, *told)
            if isinstance(fact, SimulationSubmitted)
        )
