"""What may be found about a campaign, and what it is found from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from climorch.forecast.entries import Entry
from climorch.forecast.parts import Part
from climorch.forecast.timings import SetTimes, SimulationTimes, Times
from climorch.model.codec import Codec

__all__ = ["Finder", "Finding", "Gain", "Kind", "Study"]


class Kind(StrEnum):
    """What kind of finding it is."""

    BALANCE = "balance"
    """Coupled stages wait for each other."""
    SCALING = "scaling"
    """More nodes than are used well."""
    CHECKPOINTS = "checkpoints"
    """Too many checkpoints, or too few."""
    STRAGGLER = "straggler"
    """A node holds up others."""
    MEMORY_OVER = "memory over-asked"
    """Nodes are left out that would do."""
    MEMORY_UNDER = "memory under-asked"
    """Nodes are used that will not do."""
    QUEUE = "queue-bound"
    """Simulations wait for nodes."""
    COMPUTE = "compute-bound"
    """Nodes wait for simulations."""
    STORAGE = "storage-bound"
    """Checkpoints wait for each other."""
    CODEC = "codec"
    """Checkpoints are compressed too much, or too little."""


class Gain(StrEnum):
    """What a gain is a share of."""

    TIME = "time"
    """Wall time of the same work."""
    NODE_HOURS = "node hours"
    """Node-time that leases take for the same work."""
    NODE_HOURS_UP = "node hours up"
    """Node-time until the same work is done, nodes that nobody leased included."""
    BYTES = "bytes of checkpoints"
    """What is written for checkpoints of the same work."""
    NODES = "nodes"
    """Nodes that may be used, more of them; relative to those that may be now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that could be better, with why it is believed and what to do.

    Attributes
    ----------
    kind : Kind
        What kind.
    about : str
        A workflow and its set, a node, or the campaign.
    message : str
        What was found, in words.
    evidence : dict of str to float
        Numbers that it rests on; seconds and bytes where their names say so.
    gain : float
        What the change would spare, as a share of what ``of`` says, in (0, 1]; of
        nodes what it would add. First-order: nothing else changes.
    of : Gain
        What that is a share of.
    change : str
        What to do, in words.
    settings : dict of str to float
        The same as data.
    codecs : dict of (str, str) to Codec
        By stage and variable, what belongs into ``Scope(codecs=...)``; empty where
        that is not what is to be changed.
    """

    kind: Kind
    about: str
    message: str
    evidence: Mapping[str, float]
    gain: float
    of: Gain
    change: str
    settings: Mapping[str, float] = field(default_factory=dict)
    codecs: Mapping[tuple[str, str], Codec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What findings are made from.

    Attributes
    ----------
    times : Times
        How long what took.
    entries : tuple of Entry
        What nodes were spent on.
    ends : mapping of str to float
        When simulations were complete, UTC seconds.
    as_of_s : float
        The newest row of the journal, UTC seconds.
    longest_s : float
        Most seconds between two checkpoints that the limits of the campaign allow.
    lost_to_memory_s : float
        Node-seconds lost because memory was full.
    """

    times: Times
    entries: tuple[Entry, ...]
    ends: Mapping[str, float]
    as_of_s: float
    longest_s: float
    lost_to_memory_s: float = 0.0

    def node_s(self, *parts: Part) -> float:
        """Return node-seconds spent on some parts; of none named, on all."""
        chosen = parts or tuple(Part)
        return sum(entry.node_s[part] for entry in self.entries for part in chosen)

    @property
    def held_node_s(self) -> float:
        """Node-seconds of all leases."""
        return self.node_s() - self.node_s(Part.FREE)

    @property
    def node_cores(self) -> float:
        """Cores of a node that was leased, on mean; 0: not known."""
        core_s = sum(x.core_s for x in self.entries if x.simulation)
        held = sum(x.held_node_s for x in self.entries if x.simulation)
        return core_s / held if held else 0.0

    def groups(self) -> Iterator[tuple[str, list[tuple[SimulationTimes, SetTimes]]]]:
        """Return sets that are alike, under a name: of one workflow and resources."""
        found: dict[object, list[tuple[SimulationTimes, SetTimes]]] = {}
        names: dict[object, str] = {}
        for simulation in self.times.of.values():
            workflow = simulation.plan.workflow
            for name, s in simulation.sets.items():
                asked = tuple(
                    (x.name, x.resources.nodes, x.resources.most_nodes)
                    for x in s.plan.stages
                )
                key = (workflow, asked)
                found.setdefault(key, []).append((simulation, s))
                names[key] = f"workflow {workflow!r}, set {name!r}"
        for alike, group in found.items():
            yield names[alike], group


Finder = Callable[[Study], Iterable[Finding]]
"""A pure function from what is known to what is found; one for each kind."""
