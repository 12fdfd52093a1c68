"""Policies that must not be asked: replay decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from climorch.core.progress import Policies
from climorch.model.events import Cause
from climorch.policy.checkpointing import Pace
from climorch.policy.recovery import Budget, RecoveryPolicy
from climorch.policy.retention import Kept

__all__ = ["refusing"]


class _Refusing:
    """A policy that must not be asked."""

    def due(self, pace: Pace) -> NoReturn:
        """Refuse."""
        raise AssertionError(f"replay asked whether to checkpoint at {pace}")

    def unwanted(self, kept: Sequence[Kept]) -> NoReturn:
        """Refuse."""
        raise AssertionError(f"replay asked what to delete of {kept}")


class _NoBudgets(Mapping[Cause, Budget]):
    def __getitem__(self, cause: Cause) -> Budget:
        raise AssertionError(f"replay asked for the budget of {cause}")

    def __iter__(self) -> Iterator[Cause]:
        # Which causes have one is looked at when a policy is made, not in replay.
        return iter(Cause)

    def __len__(self) -> int:
        return len(Cause)


def refusing() -> Policies:
    """Return policies that raise when they are asked anything."""
    return Policies(
        checkpointing=_Refusing(),
        retention=_Refusing(),
        recovery=RecoveryPolicy(budgets=_NoBudgets()),
    )
