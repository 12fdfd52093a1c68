"""How many times each segment of a stage has in its results."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Lengths"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Run-length encoded, since nearly all segments have the same length.

    Attributes
    ----------
    runs : list of [int, int]
        Length and number of segments with it, from segment 0 on.
    """

    runs: list[list[int]]

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(count for _, count in self.runs)

    @property
    def total(self) -> int:
        """Times of all segments together."""
        return sum(length * count for length, count in self.runs)

    def with_next(self, length: int) -> Lengths:
        """Return these lengths and one segment more."""
        runs = [list(run) for run in self.runs]
        if runs and runs[-1][0] == length:
            runs[-1][1] += 1
        else:
            runs.append([length, 1])
        return Lengths(runs=runs)

    def cut(self, segments: int) -> Lengths:
        """Return the lengths of so many segments, the first ones."""
        runs = []
        for length, count in self.runs:
            kept = min(count, segments)
            segments -= kept
            if kept:
                runs.append([length, kept])
        return Lengths(runs=runs)

    def of(self, segment: int) -> int:
        """Return the length of a segment."""
        for length, count in self.runs:
            if segment < count:
                return length
            segment -= count
        return 0

    def offset(self, segment: int) -> int:
        """Return the place of a segment's first time."""
        offset = 0
        for length, count in self.runs:
            taken = min(segment, count)
            offset += length * taken
            segment -= taken
        return offset
