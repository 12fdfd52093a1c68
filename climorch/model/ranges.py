"""Whether the numbers of a rule lie where they must."""

from __future__ import annotations

from collections.abc import Iterable

from climorch.errors import Fault

__all__ = ["range_faults"]


def range_faults(
    rule: object,
    wanted: Iterable[tuple[str, bool, str]],
    *,
    remedy: str,
    place: str = "",
) -> list[Fault]:
    """Return a fault for each number of a rule that is out of its range.

    Parameters
    ----------
    rule : object
        Whose numbers they are.
    wanted : iterable of (str, bool, str)
        Attribute, whether it is in its range, and that range in words.
    remedy : str
        What to do about any of them.
    place : str
        What the user knows it by; empty: the name of its class.
    """
    return [
        Fault(
            place=f"{place or type(rule).__name__}.{name}",
            problem=f"got {getattr(rule, name)!r}, expected {expected}",
            remedy=remedy,
        )
        for name, good, expected in wanted
        if not good
    ]
