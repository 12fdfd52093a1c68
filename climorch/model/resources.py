"""What a stage asks of a node, and how many of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.kinds import require_kinds

__all__ = ["Resources", "parse_bytes"]

_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_bytes(size: int | str, *, place: str = "memory") -> int:
    """Turn ``"8 GiB"`` into bytes.

    Parameters
    ----------
    size : int or str
        Bytes, or a number with one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.
        ``G`` alone is refused: batch systems disagree about what it means.
    place : str
        What the size is of, for the error.

    Returns
    -------
    int
        Bytes, >= 0.

    Raises
    ------
    InvalidInputError
        If the text is not such a size or negative.
    """
    if isinstance(size, int):
        if size >= 0:
            return size
    else:
        match = _SIZE.fullmatch(size)
        if match is not None and match.group(2) in _UNITS:
            return int(float(match.group(1)) * _UNITS[match.group(2)])
    raise InvalidInputError(
        f"size {size!r} is not understood",
        faults=[
            Fault(
                place=place,
                problem=f"got {size!r}",
                remedy=f"give bytes or a number with one of {sorted(_UNITS)[1:]}",
            )
        ],
    )


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage needs.

    Attributes
    ----------
    nodes : int
        Nodes without which it does not run (its gang), >= 1.
    max_nodes : int or None
        Most nodes it can use; None: the same as ``nodes``. In between, free
        nodes are lent to it and taken back at checkpoints.
    memory : int or str
        Memory that each node must have, bytes or text such as ``"8 GiB"``.
        0: any node will do.
    cores : int
        Cores for compute that each node must have. 0: any node will do.
    scratch : int or str
        Disk of its own that each node must have, bytes or text. 0: any node
        will do.
    segment_s : float or None
        What one segment will take, in seconds, on the nodes that the simulation
        asks for; a guess that counts until segments were measured. None: not
        known.
    """

    nodes: int = 1
    max_nodes: int | None = None
    memory: int | str = 0
    cores: int = 0
    scratch: int | str = 0
    segment_s: float | None = None

    def __post_init__(self) -> None:
        require_kinds(self)
        faults = []
        if self.nodes < 1:
            faults.append(
                Fault(
                    place="Resources.nodes",
                    problem=f"got {self.nodes}, expected >= 1",
                    remedy="ask for at least one node",
                )
            )
        if self.max_nodes is not None and self.max_nodes < self.nodes:
            faults.append(
                Fault(
                    place="Resources.max_nodes",
                    problem=f"got {self.max_nodes}, below nodes={self.nodes}",
                    remedy="leave it out or raise it",
                )
            )
        if self.cores < 0:
            faults.append(
                Fault(
                    place="Resources.cores",
                    problem=f"got {self.cores}, expected >= 0",
                    remedy="leave it out where any node will do",
                )
            )
        if self.segment_s is not None and not 0 < self.segment_s < math.inf:
            faults.append(
                Fault(
                    place="Resources.segment_s",
                    problem=f"got {self.segment_s!r}, expected finite seconds > 0",
                    remedy="leave it out where nothing is known",
                )
            )
        faults += _size_faults("memory", self.memory)
        faults += _size_faults("scratch", self.scratch)
        if faults:
            raise InvalidInputError("these resources cannot be given", faults=faults)

    @property
    def memory_bytes(self) -> int:
        """Memory that each node must have, in bytes."""
        return parse_bytes(self.memory)

    @property
    def scratch_bytes(self) -> int:
        """Disk of its own that each node must have, in bytes."""
        return parse_bytes(self.scratch)

    @property
    def most_nodes(self) -> int:
        """Most nodes it can use."""
        return self.nodes if self.max_nodes is None else self.max_nodes


def _size_faults(name: str, size: int | str) -> Iterator[Fault]:
    try:
        parse_bytes(size, place=f"Resources.{name}")
    except InvalidInputError as error:
        yield from error.faults
