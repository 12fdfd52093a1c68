"""How long things take on a virtual cluster.

Seconds of a segment as a function of nodes, and what a restart and a checkpoint
cost beside it. Ignores noise, slow nodes and storage: others multiply those in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from climorch.errors import Fault
from climorch.model.codec import CodecTrial
from climorch.twin.hazards import number_faults, refuse

__all__ = ["Amdahl", "Costs", "Overheads", "ScalingTable", "StageCost", "Work"]


class Work(NamedTuple):
    """A segment whose cost is asked for.

    Attributes
    ----------
    simulation, workflow, stage : str
        Whose.
    segment : int
        Which.
    base : int
        Nodes that the stage asked for.
    params : mapping
        Of the scenario.
    """

    simulation: str
    workflow: str
    stage: str
    segment: int
    base: int
    params: Mapping[str, Any]


StageCost = Callable[[Work, float], float]
"""``cost(work, nodes)`` returns seconds on so many nodes, > 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amdahl:
    """A part that nodes share, and one that they cannot.

    Attributes
    ----------
    seconds : float
        Of a segment on the nodes that the stage asks for, > 0.
    serial : float
        Share of these seconds that more nodes do not shorten, in [0, 1].

    Raises
    ------
    InvalidInputError
        With every fault.

    References
    ----------
    Amdahl (1967), AFIPS Spring Joint Computer Conference, 483-485.
    """

    seconds: float
    serial: float = 0.0

    def __post_init__(self) -> None:
        faults = [
            *number_faults("Amdahl", {"seconds": self.seconds}, above=True),
            *number_faults("Amdahl", {"serial": self.serial}),
        ]
        if self.serial > 1:
            faults.append(
                Fault(
                    place="Amdahl.serial",
                    problem=f"got {self.serial}, expected a share up to 1",
                    remedy="give the share of the seconds on the stage's own nodes",
                )
            )
        refuse("this cost", faults)

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment on so many nodes."""
        return self.seconds * (self.serial + (1 - self.serial) * work.base / nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingTable:
    """Measured seconds by number of nodes.

    Attributes
    ----------
    seconds : mapping of int to float
        Between two entries it is a power of the nodes; below the first nodes
        share all of it, beyond the last more nodes do not help.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    seconds: Mapping[int, float]

    def __post_init__(self) -> None:
        numbers = {f"seconds[{n}]": s for n, s in self.seconds.items()}
        faults = list(number_faults("ScalingTable", numbers, above=True))
        if not self.seconds or min(self.seconds) < 1:
            faults.append(
                Fault(
                    place="ScalingTable.seconds",
                    problem=f"has nodes {sorted(self.seconds)}",
                    remedy="give seconds for at least one number of nodes, >= 1",
                )
            )
        refuse("this cost", faults)

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment on so many nodes."""
        known = sorted(self.seconds.items())
        first, last = known[0], known[-1]
        if nodes <= first[0]:
            return first[1] * first[0] / nodes
        for (n, s), (m, t) in pairwise(known):
            if nodes <= m:
                return s * math.exp(
                    math.log(t / s) * math.log(nodes / n) / math.log(m / n)
                )
        return last[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds of every stage.

    Attributes
    ----------
    default : StageCost or None
        For stages that are not named.
    stages : mapping of (str, str) to StageCost
        By workflow and stage.
    noise_cv : float
        Standard deviation over mean of a segment's seconds, lognormal.
    drift_per_day : float
        By which share segments take longer with each day of the run, compound.
    memory_bytes : mapping of (str, str) to int
        What a stage takes on each node of its lease, by workflow and stage: measured
        as in a real campaign; on a node that has less its segments fail. Those that are
        not named take none.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    default: StageCost | None = None
    stages: Mapping[tuple[str, str], StageCost] = field(default_factory=dict)
    noise_cv: float = 0.0
    drift_per_day: float = 0.0
    memory_bytes: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = list(number_faults("Costs", {"noise_cv": self.noise_cv}))
        memory = {
            f"memory_bytes[{x!r}]": float(n) for x, n in self.memory_bytes.items()
        }
        faults += number_faults("Costs", memory, above=True)
        if not (math.isfinite(self.drift_per_day) and self.drift_per_day > -1):
            faults.append(
                Fault(
                    place="Costs.drift_per_day",
                    problem=f"got {self.drift_per_day!r}, expected finite and > -1",
                    remedy="0.01 means that a segment takes 1 % longer each day",
                )
            )
        refuse("these costs", faults)

    def of(self, workflow: str, stage: str) -> StageCost | None:
        """Return the cost of a stage, if it is known.

        Parameters
        ----------
        workflow, stage : str
            Which.

        Returns
        -------
        StageCost or None
            Its own, or the default.
        """
        return self.stages.get((workflow, stage), self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheads:
    """What is not the model: seconds that a set costs besides its segments.

    Attributes
    ----------
    checkpoint_s : float
        Of input and output of a checkpoint, on good storage, beside computing.
    stall_s : float
        That a set cannot compute because of one.
    restore_s : float
        To read a checkpoint back, on good storage.
    init_s : float
        To make the first states.
    restart_s : float
        Of every start, before anything is read: a model to build or to load.
    copy_s : float
        To bring a state to partners, beside computing.
    copy_stall_s : float
        That a set cannot compute because of that.
    publish_s, delete_s : float
        To move outputs into the results; to delete a checkpoint.
    state_bytes, written_bytes : int
        Size of a set's state, and of the files of a checkpoint; only told, cost
        nothing. 0: not known.
    tried : tuple of CodecTrial
        What codecs make of it; only told. `climorch.twin.packing` makes all of these.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    checkpoint_s: float = 30.0
    stall_s: float = 0.5
    restore_s: float = 30.0
    init_s: float = 30.0
    restart_s: float = 5.0
    copy_s: float = 2.0
    copy_stall_s: float = 0.05
    publish_s: float = 1.0
    delete_s: float = 1.0
    state_bytes: int = 0
    written_bytes: int = 0
    tried: tuple[CodecTrial, ...] = ()

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in self.__slots__}
        del numbers["tried"]
        refuse("these overheads", list(number_faults("Overheads", numbers)))
