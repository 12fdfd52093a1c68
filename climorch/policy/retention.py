"""Which checkpoints may go.

Whatever a policy says, two good checkpoints that share no file stay: hard
links make several checkpoints one physical copy, which one bad block ruins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from climorch.errors import Fault, InvalidInputError

__all__ = ["KeepLast", "Kept", "RetentionPolicy", "guarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A committed checkpoint of a set.

    Attributes
    ----------
    boundary : int
        Common boundary.
    copy : int
        Physical copy: checkpoints with the same number share files.
    good : bool
        False once a restore found it damaged.
    pinned : bool
        Whether something needs it: the end of a phase, a branch, a reader.
    """

    boundary: int
    copy: int = 0
    good: bool = True
    pinned: bool = False


class RetentionPolicy(Protocol):
    """Says which checkpoints it does not want any longer."""

    def unwanted(self, kept: Sequence[Kept]) -> frozenset[int]:
        """Choose what may go.

        Parameters
        ----------
        kept : sequence of Kept
            Checkpoints of one set that exist, ascending by boundary.

        Returns
        -------
        frozenset of int
            Boundaries; the guard spares what must stay all the same.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLast:
    """Keep the newest good checkpoints.

    Attributes
    ----------
    count : int
        How many, >= 1; two independent ones always stay.
    """

    count: int = 3

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidInputError(
                "this retention policy cannot work",
                faults=[
                    Fault(
                        place="KeepLast.count",
                        problem=f"got {self.count}, expected >= 1",
                        remedy="keep at least one; two always stay anyway",
                    )
                ],
            )

    def unwanted(self, kept: Sequence[Kept]) -> frozenset[int]:
        """Return all but the newest ``count`` good ones."""
        good = [k.boundary for k in kept if k.good]
        return frozenset(k.boundary for k in kept) - frozenset(good[-self.count :])


def guarded(policy: RetentionPolicy, kept: Sequence[Kept]) -> tuple[int, ...]:
    """Return the boundaries whose checkpoints may be deleted now, ascending.

    Parameters
    ----------
    policy : RetentionPolicy
        Whose wish it is.
    kept : sequence of Kept
        Checkpoints of one set that exist, ascending by boundary.

    Returns
    -------
    tuple of int
        What the policy does not want, less pinned ones, less damaged ones
        (evidence) and less what is needed for two good independent copies.
    """
    unwanted = policy.unwanted(kept)
    if not unwanted:
        return ()
    good = [k for k in kept if k.good]
    spared = {k.boundary for k in good[-2:]}
    # The newest one of another physical copy, however far back: the number is
    # given at the commit, so it outlives the deletion of the copy's first one.
    other = [k.boundary for k in good if k.copy != good[-1].copy]
    spared |= set(other[-1:])
    spared |= {k.boundary for k in kept if k.pinned or not k.good}
    return tuple(sorted(unwanted - spared))
