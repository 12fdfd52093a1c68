"""Which checkpoints may go.

Whatever a policy says, two good checkpoints that share no file stay: hard
links make several checkpoints one physical copy, which one bad block ruins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from climorch.errors import InvalidInputError
from climorch.model.kinds import require_kinds
from climorch.model.ranges import range_faults
from climorch.policy.calendar import frequency_faults, unit_number

__all__ = [
    "KeepAny",
    "KeepCalendar",
    "KeepLast",
    "Kept",
    "RetentionPolicy",
    "guarded",
    "indispensable",
]

CANNOT_WORK = "this retention policy cannot work"


class Kept(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    model_s : int
        Its date, seconds of model time since 0001-01-01 in ``calendar``.
    calendar : str
        CF calendar.
    own_bytes : int
        Of its files that no older checkpoint had when it was committed.
    committed_s : float
        When it was committed, driver's clock, seconds.
    archived : bool
        Whether an archive has it too, verified.
    """

    boundary: int
    copy: int = 0
    good: bool = True
    pinned: bool = False
    model_s: int = 0
    calendar: str = "standard"
    own_bytes: int = 0
    committed_s: float = 0.0
    archived: bool = False


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


def either(one: RetentionPolicy, other: RetentionPolicy) -> KeepAny:
    """Return the policy that keeps what one of two keeps; ``one | other``.

    Parameters
    ----------
    one, other : RetentionPolicy
        Each may be such a one already.
    """
    parts: list[RetentionPolicy] = []
    for policy in (one, other):
        parts += policy.policies if isinstance(policy, KeepAny) else [policy]
    return KeepAny(policies=tuple(parts))


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
        require_kinds(self)
        faults = range_faults(
            self,
            [("count", self.count >= 1, ">= 1")],
            remedy="keep at least one; two always stay anyway",
        )
        if faults:
            raise InvalidInputError(CANNOT_WORK, faults=faults)

    __or__ = either

    def unwanted(self, kept: Sequence[Kept]) -> frozenset[int]:
        """Return all but the newest ``count`` good ones."""
        good = [k.boundary for k in kept if k.good]
        return frozenset(k.boundary for k in kept) - frozenset(good[-self.count :])


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepCalendar:
    """Keep the first good checkpoint of each unit of model time.

    ``KeepLast(count=3) | KeepCalendar(every="10YS")`` keeps the newest three, and
    one for each decade for good.

    Attributes
    ----------
    every : str
        Length of a unit, as for `ModelCalendar`: ``"1YS"``, ``"10YS"``, ``"3MS"``.

    Raises
    ------
    InvalidInputError
        If this is no such frequency.
    """

    every: str = "1YS"

    def __post_init__(self) -> None:
        faults = frequency_faults("KeepCalendar.every", self.every)
        if faults:
            raise InvalidInputError(CANNOT_WORK, faults=faults)

    __or__ = either

    def unwanted(self, kept: Sequence[Kept]) -> frozenset[int]:
        """Return all but the first good one of each unit."""
        first: dict[int, int] = {}
        # The first, not the last: what was kept once stays, whatever follows.
        for k in kept:
            if k.good:
                unit = unit_number(k.model_s, k.calendar, self.every)
                first.setdefault(unit, k.boundary)
        return frozenset(k.boundary for k in kept) - frozenset(first.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAny:
    """Keep what any of several policies keeps.

    Attributes
    ----------
    policies : tuple of RetentionPolicy
        At least one.
    """

    policies: tuple[RetentionPolicy, ...]

    def __post_init__(self) -> None:
        faults = range_faults(
            self, [("policies", bool(self.policies), "one or more")], remedy="give some"
        )
        if faults:
            raise InvalidInputError(CANNOT_WORK, faults=faults)

    __or__ = either

    def unwanted(self, kept: Sequence[Kept]) -> frozenset[int]:
        """Return what none of the policies wants."""
        first, *others = (policy.unwanted(kept) for policy in self.policies)
        return first.intersection(*others)


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
        What the policy does not want, less what is `indispensable`.
    """
    unwanted = policy.unwanted(kept)
    return tuple(sorted(unwanted - indispensable(kept))) if unwanted else ()


def indispensable(kept: Sequence[Kept]) -> frozenset[int]:
    """Return the boundaries whose checkpoints stay, whoever wants space.

    Parameters
    ----------
    kept : sequence of Kept
        Checkpoints of one set that exist, ascending by boundary.

    Returns
    -------
    frozenset of int
        Pinned ones, damaged ones (evidence), and what is needed for two good
        independent copies.
    """
    good = [k for k in kept if k.good]
    spared = {k.boundary for k in good[-2:]}
    # The newest one of another physical copy, however far back: the number is
    # given at the commit, so it outlives the deletion of the copy's first one.
    other = [k.boundary for k in good if k.copy != good[-1].copy]
    spared |= set(other[-1:])
    spared |= {k.boundary for k in kept if k.pinned or not k.good}
    return frozenset(spared)
