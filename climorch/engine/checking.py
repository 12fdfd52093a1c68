"""What is looked for in blocks, where they lie: NaN, bounds, what a user checks.

Part of the tasks that write a checkpoint, which read every value anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from climorch.model.numerics import Checks

__all__ = [
    "Findings",
    "NotFiniteError",
    "OutOfBoundsError",
    "count_not_finite",
    "look_over",
    "refuse_metrics",
    "refuse_unsound",
]

# Of a user's function, so many are told.
MOST_TOLD = 3


class NotFiniteError(ArithmeticError):
    """A state gained NaN or infinity."""


class OutOfBoundsError(ArithmeticError):
    """A state, or a metric, is not as its stage says that it must be."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found in blocks.

    Attributes
    ----------
    not_finite : dict of str to int
        Array to the number of its values that are NaN or infinite.
    outside : dict of str to (int, float, float)
        Array to the number of its values that are out of bounds, and its least and
        largest value.
    wrong : list of str
        What functions of users say.
    """

    not_finite: dict[str, int] = field(default_factory=dict)
    outside: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Take what was found elsewhere."""
        for array, bad in other.not_finite.items():
            self.not_finite[array] = self.not_finite.get(array, 0) + bad
        for array, (count, low, high) in other.outside.items():
            known, least, most = self.outside.get(array, (0, low, high))
            self.outside[array] = known + count, min(least, low), max(most, high)
        self.wrong += other.wrong


def array_of(key: str) -> str:
    """Return the path of the array that a chunk belongs to."""
    return key.removesuffix("/c") if key.endswith("/c") else key.rsplit("/c/", 1)[0]


def count_not_finite(keys: Sequence[str], blocks: Sequence[Any]) -> dict[str, int]:
    """Return per array how many values are NaN or infinite."""
    counts: dict[str, int] = {}
    for key, block in zip(keys, blocks, strict=True):
        if np.asarray(block).dtype.kind in "fc":
            bad = int(np.size(block) - np.count_nonzero(np.isfinite(block)))
            counts[array_of(key)] = counts.get(array_of(key), 0) + bad
    return counts


def look_over(
    keys: Sequence[str], blocks: Sequence[Any], checks: Mapping[str, Checks]
) -> Findings:
    """Look at the blocks of states.

    Parameters
    ----------
    keys : sequence of str
        Paths of their chunks.
    blocks : sequence of array
        Their values.
    checks : mapping of str to Checks
        By the beginning of an array's path, up to its stage.
    """
    found = Findings(not_finite=count_not_finite(keys, blocks))
    for key, block in zip(keys, blocks, strict=True):
        array = array_of(key)
        stage, _, variable = array.rpartition("/")
        own = checks.get(stage)
        if own is None or not np.size(block):
            continue
        bounds = own.bounds.get(variable)
        if bounds is not None and np.asarray(block).dtype.kind in "biuf":
            # The extremes first: in most blocks they are all that is asked.
            least, most = float(np.nanmin(block)), float(np.nanmax(block))
            if least < bounds[0] or most > bounds[1]:
                bad = int(np.count_nonzero((block < bounds[0]) | (block > bounds[1])))
                found.add(Findings(outside={array: (bad, least, most)}))
        if own.function is not None:
            told = own.function(variable, block)
            if told is not None and len(found.wrong) < MOST_TOLD:
                found.wrong.append(f"{array.partition('/')[2]}: {told}")
    return found


def refuse_unsound(
    limits: Mapping[str, int], checks: Mapping[str, Checks], found: Findings
) -> None:
    """Refuse states that are not as they must be.

    Parameters
    ----------
    limits : mapping of str to int
        Array to the number of its values that may be NaN or infinite.
    checks : mapping of str to Checks
        As for `look_over`.
    found : Findings
        Of all blocks.

    Raises
    ------
    NotFiniteError
        If a state has more NaN or infinities than when the attempt began.
    OutOfBoundsError
        If a value is out of bounds, or a function of the user's says that one is
        wrong.
    """
    for array, before in limits.items():
        bad = found.not_finite.get(array, 0)
        if bad > before:
            _, stage, variable = array.split("/", 2)
            raise NotFiniteError(
                f"stage {stage!r}, variable {variable!r}: {bad} values are NaN or "
                f"infinite, {before} when the attempt began; look at the model, or "
                f"pass check_finite=False"
            )
    for array, (bad, least, most) in sorted(found.outside.items()):
        _, stage, variable = array.split("/", 2)
        low, high = checks[array.rpartition("/")[0]].bounds[variable]
        raise OutOfBoundsError(
            f"stage {stage!r}, variable {variable!r}: {bad} values are out of bounds, "
            f"{least:g} to {most:g}, expected {low:g} to {high:g}"
        )
    if found.wrong:
        raise OutOfBoundsError("; ".join(found.wrong))


def refuse_metrics(
    stage: str, segment: int, checks: Checks | None, metrics: Mapping[str, float]
) -> None:
    """Refuse metrics of a segment that are out of bounds.

    Raises
    ------
    OutOfBoundsError
        If one is, or is NaN.
    """
    bounds = checks.bounds if checks is not None else {}
    for name, value in metrics.items():
        low, high = bounds.get(name, (-np.inf, np.inf))
        if name in bounds and not low <= value <= high:
            raise OutOfBoundsError(
                f"stage {stage!r}, segment {segment}, metric {name!r}: {value:g} is "
                f"out of bounds, expected {low:g} to {high:g}"
            )
