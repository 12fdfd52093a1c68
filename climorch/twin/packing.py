"""What compressing states costs a virtual cluster, and what it spares.

Decides how long checkpoints take with a codec, from what codecs make of variables.
Ignores values: that a codec is good for some is said, not found.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from climorch.errors import Fault
from climorch.model.codec import LZ4, Codec, CodecTrial
from climorch.twin.costs import Overheads
from climorch.twin.hazards import number_faults, refuse

__all__ = ["Packed", "Variable", "packed"]

PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What a codec makes of a variable.

    Attributes
    ----------
    share : float
        Of its bytes, those that are left; > 0.
    bytes_per_s : float
        Raw bytes that a core compresses in a second; > 0, infinite: at once.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    share: float
    bytes_per_s: float = math.inf

    def __post_init__(self) -> None:
        faults = list(number_faults("Packed", {"share": self.share}, above=True))
        if not self.bytes_per_s > 0:
            fault = Fault(
                place="Packed.bytes_per_s",
                problem=f"got {self.bytes_per_s!r}, expected > 0",
                remedy="give the speed of one core, or leave it out",
            )
            faults.append(fault)
        refuse("this codec", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of a state.

    Attributes
    ----------
    stage, name : str
        Which.
    size_bytes : int
        Its raw bytes.
    made : mapping of Codec to Packed
        What codecs make of it.
    codec : Codec
        With which it is stored; one of these.

    Raises
    ------
    InvalidInputError
        If nobody says what its codec makes of it.
    """

    stage: str
    name: str
    size_bytes: int
    made: Mapping[Codec, Packed]
    codec: Codec = LZ4

    def __post_init__(self) -> None:
        size = {"size_bytes": float(self.size_bytes)}
        faults = list(number_faults("Variable", size, above=True))
        if self.codec not in self.made:
            fault = Fault(
                place="Variable.codec",
                problem=f"{self.codec} is not among those in made",
                remedy="say what it makes of the variable",
            )
            faults.append(fault)
        refuse("this variable", faults)

    @property
    def stored_bytes(self) -> float:
        """Bytes of its files."""
        return self.size_bytes * self.made[self.codec].share

    @property
    def cpu_s(self) -> float:
        """CPU seconds that compressing it takes."""
        return self.size_bytes / self.made[self.codec].bytes_per_s


def packed(
    overheads: Overheads, variables: Iterable[Variable], *, cores: int
) -> Overheads:
    """Return the overheads of a set whose state consists of these variables.

    Parameters
    ----------
    overheads : Overheads
        Of the same set, were its state stored as it is, at once.
    variables : iterable of Variable
        Its state; at least one.
    cores : int
        Of its lease: compressing is divided among them. >= 1.

    Returns
    -------
    Overheads
        Reading and writing take as much less as files are smaller; a stall takes
        longer by the time of compressing; what codecs make of the state is told.

    Raises
    ------
    InvalidInputError
        With every fault.
    """
    given = tuple(variables)
    faults = list(number_faults("packed", {"cores": float(cores)}, above=True))
    if not given:
        fault = Fault(
            place="packed.variables",
            problem="there are none",
            remedy="give all variables of the state",
        )
        faults.append(fault)
    refuse("these variables", faults)
    size_bytes = sum(v.size_bytes for v in given)
    stored_bytes = sum(v.stored_bytes for v in given)
    share = stored_bytes / size_bytes
    return dataclasses.replace(
        overheads,
        checkpoint_s=overheads.checkpoint_s * share,
        restore_s=overheads.restore_s * share,
        stall_s=overheads.stall_s + sum(v.cpu_s for v in given) / cores,
        state_bytes=size_bytes,
        written_bytes=round(stored_bytes),
        tried=tuple(trial for v in given for trial in _trials(v)),
    )


def _trials(variable: Variable) -> Iterable[CodecTrial]:
    """Tell what nodes would tell of a piece of a variable."""
    raw_bytes = min(PIECE_BYTES, variable.size_bytes)
    for codec, made in variable.made.items():
        yield CodecTrial(
            stage=variable.stage,
            variable=variable.name,
            codec=codec,
            used=codec == variable.codec,
            whole_bytes=variable.size_bytes,
            raw_bytes=raw_bytes,
            stored_bytes=round(raw_bytes * made.share),
            cpu_s=raw_bytes / made.bytes_per_s,
        )
