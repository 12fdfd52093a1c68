"""What needs a person, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Alarm", "AlarmEvent", "AlarmKind"]

AlarmKind = Literal[
    "journal",
    "inbox",
    "chore",
    "storage",
    "damage",
    "failed",
    "rule",
    "hang",
    "score",
    "exposure",
    "node",
    "window",
    "scheduler",
    "site",
    "driver",
]
AlarmEvent = Literal["begins", "lasts", "ends"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that needs a person began, still lasts, or is over.

    Attributes
    ----------
    kind : str
        ``journal``: it cannot be written · ``inbox``: it cannot be read, or
        something strange lay in it · ``chore``: results cannot be published, a
        checkpoint not deleted · ``storage``: checkpoints of a simulation
        cannot be written, or one takes long · ``damage``: something that was
        committed is bad, and no other copy is left · ``failed``: a simulation
        failed for good · ``rule``: one raised or asked for something impossible ·
        ``score``: one of its scores cannot be computed · ``hang``: its segments
        hang since its newest checkpoint · ``exposure``: more than an hour of
        compute is not checkpointed ·
        ``node``: one is frozen or a task on it is stuck · ``window``: nodes to
        be serviced or kept for somebody are too few, and it starts soon or has
        started · ``scheduler``: there is no Dask scheduler · ``site``: where nodes
        come from gives none, or does not answer · ``driver``: the driver ends with
        an error.
    event : str
        ``begins`` once, ``lasts`` as a reminder at growing intervals, ``ends``
        once.
    text : str
        What is wrong, in words.
    when_s : float
        UTC seconds.
    simulation : str or None
        Which it is about, if one.
    """

    kind: AlarmKind
    event: AlarmEvent
    text: str
    when_s: float
    simulation: str | None = None
