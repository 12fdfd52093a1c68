"""What goes where all checkpoints of a campaign together take too much space.

One budget over all simulations, since they share one file system. It comes after
each set's own retention and before pins and the guard: a budget never costs the two
good copies that a set falls back to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from climorch.errors import Fault, InvalidInputError
from climorch.model.resources import parse_bytes
from climorch.policy.retention import Kept, indispensable

__all__ = ["ByteBudget", "Leaving", "freed_bytes", "to_fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteBudget:
    """Most that the checkpoints of a campaign take on the disk.

    Counted are the bytes of chunks, each file once. What is deleted while there is
    a budget does not wait in the trash, whose bytes would count.

    Attributes
    ----------
    size : int or str
        Bytes, or text such as ``"20 TiB"``; > 0.

    Raises
    ------
    InvalidInputError
        If this is no such size.
    """

    size: int | str

    def __post_init__(self) -> None:
        if self.bytes < 1:
            fault = Fault(
                place="ByteBudget.size",
                problem=f"got {self.size!r}, expected > 0",
                remedy="give bytes or a text such as '20 TiB'; no budget: None",
            )
            raise InvalidInputError("this budget cannot be kept", faults=[fault])

    @property
    def bytes(self) -> int:
        """The size as a number."""
        return parse_bytes(self.size, place="ByteBudget.size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A checkpoint that goes to make room.

    Attributes
    ----------
    simulation, set : str
        Whose it is.
    boundary : int
        Which.
    bytes : int
        About what its end frees.
    """

    simulation: str
    set: str
    boundary: int
    bytes: int


def freed_bytes(kept: Sequence[Kept], boundary: int) -> int:
    """Return about how many bytes the end of a checkpoint frees.

    Parameters
    ----------
    kept : sequence of Kept
        Checkpoints of its set that exist, ascending by boundary, itself among them.
    boundary : int
        Which.

    Returns
    -------
    int
        Ours: a file goes with the last checkpoint that has it. The newest of a
        physical copy takes its own files along. Of any other, the next one still has
        all but what was written anew there, so about so much is freed; exact where
        the same fields change each time.
    """
    place = next(i for i, k in enumerate(kept) if k.boundary == boundary)
    own = kept[place]
    after = kept[place + 1] if place + 1 < len(kept) else None
    if after is None or after.copy != own.copy:
        return own.own_bytes
    return min(own.own_bytes, after.own_bytes)


def to_fit(
    excess_bytes: int,
    sets: Iterable[tuple[str, str, Sequence[Kept]]],
) -> tuple[Leaving, ...]:
    """Choose what goes so that the rest fits into the budget.

    Parameters
    ----------
    excess_bytes : int
        By how much all of them exceed it.
    sets : iterable of (str, str, sequence of Kept)
        Simulation, set, and its checkpoints that exist, ascending by boundary.

    Returns
    -------
    tuple of Leaving
        First what an archive has too, then of each set what lies farthest behind
        its newest, so that the long histories are thinned first and no set pays for
        another; the oldest first among equals. Not more than what frees enough,
        which may be too little: what is indispensable stays.
    """
    if excess_bytes <= 0:
        return ()
    found: list[tuple[tuple[bool, int, float, str, str, int], Leaving]] = []
    for simulation, name, kept in sets:
        spared = indispensable(kept)
        for place, k in enumerate(kept):
            if k.boundary in spared:
                continue
            behind = len(kept) - place
            order = (not k.archived, -behind, k.committed_s)
            leaving = Leaving(
                simulation=simulation,
                set=name,
                boundary=k.boundary,
                bytes=freed_bytes(kept, k.boundary),
            )
            found.append(((*order, simulation, name, k.boundary), leaving))
    chosen = []
    for _, leaving in sorted(found, key=lambda pair: pair[0]):
        if excess_bytes <= 0:
            break
        chosen.append(leaving)
        excess_bytes -= leaving.bytes
    return tuple(chosen)
