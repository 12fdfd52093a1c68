"""Lists of hosts as batch systems shorten them: ``n[1-3,7],gpu04``."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["MOST_HOSTS", "expand"]

MOST_HOSTS = 100_000
"""More hosts than any machine has: a list of more is none."""

# What stands between commas, where those within brackets do not count.
_ENTRY = re.compile(r"(?:[^,\[\]]|\[[^\[\]]*\])+")
_PART = re.compile(r"(\[)([^\[\]]*)\]|([^\[\]]+)")


def expand(text: str) -> tuple[str, ...]:
    """Return the hosts of a shortened list.

    Parameters
    ----------
    text : str
        Names between commas, each with any number of ranges in brackets; a
        range keeps the zeros that its first number begins with.

    Returns
    -------
    tuple of str
        In the order of the list.

    Raises
    ------
    ValueError
        If it is no such list, or names more than `MOST_HOSTS`.
    """
    entries = _ENTRY.findall(text)
    if ",".join(entries) != text:
        raise ValueError(f"no list of hosts: {text!r}")
    found: list[str] = []
    for entry in entries:
        names = [""]
        for bracket, ranges, plain in _PART.findall(entry):
            ends = list(_ends(ranges)) if bracket else [plain]
            if len(found) + len(names) * len(ends) > MOST_HOSTS:
                raise ValueError(f"more than {MOST_HOSTS} hosts: {text[:80]!r}")
            names = [name + end for name in names for end in ends]
        found += names
    return tuple(found)


def _ends(ranges: str) -> Iterator[str]:
    for one in ranges.split(","):
        first, dash, last = one.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"no range of hosts: {one!r}")
        start, stop = int(first), int(last or first)
        if not start <= stop < start + MOST_HOSTS:
            raise ValueError(f"no range of hosts: {one!r}")
        for number in range(start, stop + 1):
            yield str(number).zfill(len(first))
