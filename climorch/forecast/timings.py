"""How long what took: the values that a journal is summed up into, for performance.

Seconds here are those of sets and stages on the driver's clock; what nodes were spent
on stands in the books. Sums over all that was computed, twice computed included.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from climorch.model.codec import Codec, CodecTrial
from climorch.model.plan import SetPlan, SimulationPlan
from climorch.model.usage import Usage

__all__ = [
    "LeaseSpan",
    "SetTimes",
    "SimulationTimes",
    "Slowness",
    "StageTimes",
    "Stored",
    "Times",
    "Tried",
    "Width",
]


@dataclass(frozen=True, slots=True)
class LeaseSpan:
    """A lease between two changes: how many nodes, and when, UTC seconds."""

    nodes: int
    since_s: float
    until_s: float


@dataclass(slots=True)
class Width:
    """Segments that were computed on leases of one width, and their seconds."""

    count: int = 0
    seconds: float = 0.0

    @property
    def mean_s(self) -> float:
        """Seconds of a segment."""
        return self.seconds / self.count


@dataclass(slots=True)
class Slowness:
    """How one node held up others.

    Attributes
    ----------
    segments, slowest : int
        In which it took part and was compared; in which it was the slowest.
    node_s : float
        Node-seconds of leases that others would not have waited for it, had it been
        as fast as the next one.
    """

    segments: int = 0
    slowest: int = 0
    node_s: float = 0.0


@dataclass(slots=True)
class StageTimes:
    """One stage of one simulation.

    Attributes
    ----------
    segments : int
        Computed.
    seconds, stall_s, vain_s : float
        They took; that checkpoints kept them from computing; that losses undid.
    node_s : float
        ``seconds`` times the nodes of the lease.
    model_s : float
        Model time that was computed.
    wait_s : float
        From the end of one segment to the begin of the next: others of its set
        computed, or its checkpoint was cut.
    usage : Usage
        Sums, and the most memory.
    measured : int
        Segments whose usage was.
    widths : dict of int to Width
        By nodes of the lease.
    """

    segments: int = 0
    seconds: float = 0.0
    stall_s: float = 0.0
    vain_s: float = 0.0
    node_s: float = 0.0
    model_s: float = 0.0
    wait_s: float = 0.0
    usage: Usage = field(default_factory=Usage)
    measured: int = 0
    widths: dict[int, Width] = field(default_factory=dict)

    def add(self, usage: Usage) -> None:
        """Count what one segment used."""
        old = self.usage
        self.measured += 1
        self.usage = Usage(
            task_s=old.task_s + usage.task_s,
            transfer_s=old.transfer_s + usage.transfer_s,
            io_s=old.io_s + usage.io_s,
            cpu_s=old.cpu_s + usage.cpu_s,
            memory_bytes=max(old.memory_bytes, usage.memory_bytes),
            output_bytes=old.output_bytes + usage.output_bytes,
        )


@dataclass(slots=True)
class Tried:
    """What a codec made of pieces of a variable.

    Attributes
    ----------
    pieces : int
        How many.
    raw_bytes, stored_bytes : int
        Of all of them, before and after.
    cpu_s : float
        CPU seconds of all of them.
    """

    pieces: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    cpu_s: float = 0.0

    def add(self, other: Tried | CodecTrial) -> None:
        """Count what was tried on another piece, or on others."""
        self.pieces += other.pieces if isinstance(other, Tried) else 1
        self.raw_bytes += other.raw_bytes
        self.stored_bytes += other.stored_bytes
        self.cpu_s += other.cpu_s


@dataclass(slots=True)
class Stored:
    """How a variable is stored in checkpoints, and how it could be.

    Attributes
    ----------
    codec : Codec
        With which it is, newest.
    whole_bytes : int
        Raw bytes of it, newest.
    tried : dict of Codec to Tried
        What codecs made of it, the one in use too.
    """

    codec: Codec
    whole_bytes: int
    tried: dict[Codec, Tried] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class SetTimes:
    """One set of coupled stages.

    Attributes
    ----------
    plan : SetPlan
        What it is.
    run_s : float
        While a segment of it was computed, and it was not waited for states.
    whole_node_s, busy_node_s : float
        Node-seconds of the lease meanwhile; those that stages asked for.
    checkpoints : int
        Committed.
    writing_s, cost_s : float
        From begins of checkpoints to their commits; that they cost the lease.
    alone, crowded : Width
        Checkpoints during which no other set wrote; the others.
    bytes_state, bytes_written, bytes_linked : int
        Of the newest checkpoint; of all of them.
    restores, restore_s, bytes_read : int, float, int
        How often states were brought back; seconds; bytes.
    losses, lost_s : int, float
        How often something was lost; seconds of computing.
    stored : dict of (str, str) to Stored
        By stage and variable, of those on which codecs were tried.
    """

    plan: SetPlan
    run_s: float = 0.0
    whole_node_s: float = 0.0
    busy_node_s: float = 0.0
    checkpoints: int = 0
    writing_s: float = 0.0
    cost_s: float = 0.0
    alone: Width = field(default_factory=Width)
    crowded: Width = field(default_factory=Width)
    bytes_state: int = 0
    bytes_written: int = 0
    bytes_linked: int = 0
    restores: int = 0
    restore_s: float = 0.0
    bytes_read: int = 0
    losses: int = 0
    lost_s: float = 0.0
    stored: dict[tuple[str, str], Stored] = field(default_factory=dict)

    def add_trial(self, trial: CodecTrial) -> None:
        """Count what was tried on a piece of a variable."""
        stored = self.stored.setdefault(
            (trial.stage, trial.variable), Stored(trial.codec, trial.whole_bytes)
        )
        stored.whole_bytes = trial.whole_bytes
        if trial.used:
            stored.codec = trial.codec
        stored.tried.setdefault(trial.codec, Tried()).add(trial)


@dataclass(slots=True, kw_only=True)
class SimulationTimes:
    """One simulation.

    Attributes
    ----------
    plan : SimulationPlan
        What it is.
    project : str
        Who pays.
    submitted_s : float
        When it was submitted, UTC seconds.
    queue_s, held_s : float
        While it wanted nodes and had none; while it held some.
    spans : list of LeaseSpan
        Its leases, in order.
    stages : dict of str to StageTimes
        All of its plan.
    sets : dict of str to SetTimes
        Likewise.
    """

    plan: SimulationPlan
    project: str
    submitted_s: float
    queue_s: float = 0.0
    held_s: float = 0.0
    spans: list[LeaseSpan] = field(default_factory=list)
    stages: dict[str, StageTimes] = field(default_factory=dict)
    sets: dict[str, SetTimes] = field(default_factory=dict)


@dataclass(slots=True)
class Times:
    """All simulations, in order of submission, and the nodes that were compared.

    Attributes
    ----------
    of : dict of str to SimulationTimes
        By simulation.
    nodes : dict of str to Slowness
        By node.
    memory : dict of str to int
        Bytes of each node that ever joined; 0: unknown or unlimited.
    """

    of: dict[str, SimulationTimes] = field(default_factory=dict)
    nodes: dict[str, Slowness] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
