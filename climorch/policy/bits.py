"""Which of some nodes are taken: low bits of an integer first."""

from __future__ import annotations

__all__ = ["lowest"]

# Up to so many bits are picked one by one; more are found by halving.
_ONE_BY_ONE = 6
# Bits that are looked at first.
_WORD = 60


def lowest(nodes: int, count: int) -> int:
    """Return the lowest so many of some nodes, or all where they are fewer."""
    if nodes.bit_count() <= count:
        return nodes
    # Mostly they lie close together: steps on few bits cost least.
    skipped = (nodes & -nodes).bit_length() - 1
    nodes >>= skipped
    width = _WORD
    while (near := nodes & ((1 << width) - 1)).bit_count() < count:
        width *= 2
    if count <= _ONE_BY_ONE:
        rest = near
        for _ in range(count):
            rest &= rest - 1
        return (near ^ rest) << skipped
    low, high = count, width
    while low < high:
        middle = (low + high) // 2
        if (near & ((1 << middle) - 1)).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return (near & ((1 << low) - 1)) << skipped
