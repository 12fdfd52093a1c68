"""Whether the numbers of a rule lie where they must."""

from __future__ import annotations

from collections.abc import Iterable

from climorch.errors import Fault

__all__ = ["range_faults"]


def range_faults(
    rule: object, wanted: Iterable[tuple[str, bool, str]], *, remedy: str
) -> list[Fault]:
    """Return a fault for each number of a rule that is out of its range.

    Parameters
    ----------
    rule : object
        Whose class names the places.
    wanted : iterable of (str, bool, str)
        Attribute, whether it is in its range, and that range in words.
    remedy : str
        What to do about any of them.
    """
    return [
        Fault(
            place=f"{type(rule).__name__}.{name}",
            problem=f"got {getattr(rule, name)!r}, expected {expected}",
            remedy=remedy,
        )
        for name, good, expected in wanted
        if not good
    ]
