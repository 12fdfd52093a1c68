"""The error tree: one class per thing that the caller can do about it.

Decides what a failure is called and what it carries. Ignores where it is
caught: boundaries re-raise with ``raise ... from``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = [
    "BackendError",
    "ClimorchError",
    "ConflictError",
    "CorruptDataError",
    "ErrorKind",
    "Fault",
    "InternalError",
    "InvalidInputError",
    "NotAllowedError",
    "NotFoundError",
]


class ErrorKind(Enum):
    """Stable codes for machines; append only, never renumber."""

    INVALID_INPUT = "invalid-input"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    NOT_ALLOWED = "not-allowed"
    BACKEND = "backend"
    CORRUPT_DATA = "corrupt-data"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in one place of an input.

    Attributes
    ----------
    place : str
        Where: ``workflow 'coupled', stage 'ocean', reads``.
    problem : str
        What is wrong, with what was found and what was expected.
    remedy : str
        What to do about it.
    """

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


class ClimorchError(Exception):
    """Base of every error that this library raises on purpose.

    Parameters
    ----------
    message : str
        What, where, got, expected, remedy.
    **facts
        The same as values; readable as ``error.facts``.
    """

    kind: ErrorKind = ErrorKind.INTERNAL

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        # KeyError would otherwise quote the message as a repr.
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.facts))


class InvalidInputError(ClimorchError, ValueError):
    """The call is wrong: fix it and call again.

    Parameters
    ----------
    message : str
        What the call was.
    faults : iterable of Fault
        Everything that is wrong with it, found in one pass.
    """

    kind = ErrorKind.INVALID_INPUT

    def __init__(
        self, message: str, *, faults: Iterable[Fault] = (), **facts: Any
    ) -> None:
        self.faults = tuple(faults)
        lines = [message, *(f"  - {fault}" for fault in self.faults)]
        super().__init__("\n".join(lines), **facts)
        self._headline = message

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            _rebuild,
            (type(self), self._headline, {"faults": self.faults, **self.facts}),
        )


class NotFoundError(ClimorchError, KeyError):
    """What was named does not exist."""

    kind = ErrorKind.NOT_FOUND


class ConflictError(ClimorchError):
    """Somebody else holds it or changed it: reload and try again."""

    kind = ErrorKind.CONFLICT


class NotAllowedError(ClimorchError):
    """It exists but is in the wrong status for this."""

    kind = ErrorKind.NOT_ALLOWED


class BackendError(ClimorchError):
    """Disk, network or cluster failed; often passes: try again."""

    kind = ErrorKind.BACKEND


class CorruptDataError(ClimorchError):
    """Stored data are not what was written: stop and keep the evidence."""

    kind = ErrorKind.CORRUPT_DATA


class InternalError(ClimorchError):
    """A rule of this library was broken by this library: please report it."""

    kind = ErrorKind.INTERNAL


def _rebuild(
    cls: type[ClimorchError], message: str, facts: dict[str, Any]
) -> ClimorchError:
    return cls(message, **facts)
