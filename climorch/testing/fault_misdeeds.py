"""Faults of the matrix that models commit: they hang, kill their nodes, blow up.

Hangs are deeds of whichever process computes a block at the moment; the others are
misdeeds of a step, in a segment that the moment says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from climorch.testing.fault_campaign import Variant
from climorch.testing.fault_rows import Row
from climorch.testing.misdeeds import ALWAYS, Misdeed
from climorch.testing.moments import VICTIM

__all__ = ["MISDEEDS", "SEGMENT_AT"]

SEGMENT_AT: Mapping[str, int] = {"at start": 0, "mid-segment": 4}
"""Moment to the segment in which a misdeed is done."""

BUDGET_S = 4.0
_BOTH = ("at start", "mid-segment")
_HANGS = Variant(hang_s=BUDGET_S)


def _hang(deed: str, **more: Any) -> Row:
    # It computes, for all that is known, until its budget is over, and is found
    # within another.
    given = {"moments": _BOTH, "cause": "HANG", **more}
    return Row(deed=deed, variant=_HANGS, detect_s=2 * BUDGET_S, **given)


def _misdeed(kind: str, *, times: int = 1, **more: Any) -> Variant:
    misdeed = Misdeed(kind=kind, times=times, params={"name": VICTIM})
    return Variant(misdeed=asdict(misdeed), **more)


# Once for each simulation: else whoever has it loses it until all others have ended,
# and nobody can tell a bad node from a bad simulation.
_BAD_NODE = Misdeed(kind="bad node", node="node000", by="name")


def _blow_up(kind: str) -> Row:
    # Found at the next checkpoint, and two of them are given up.
    return Row(
        moments=_BOTH,
        variant=_misdeed(kind),
        cause="NUMERICAL",
        shows=("RemedyGiven",),
        spares=("SimulationFailed",),
        blows_up=True,
    )


MISDEEDS: Mapping[str, Row] = {
    "hang that sleeps": _hang("sleep"),
    "hang that holds the GIL": _hang("hold the lock"),
    "hang in C": _hang("compute in C"),
    "read that hangs": _hang("sleep", moments=("during restore",), cause="STORAGE"),
    "hang that comes back": _hang(
        "sleep",
        lasting=True,
        fails=True,
        shows=("SimulationFailed",),
        spares=("NodeQuarantined",),
    ),
    "deadlock of two coupled stages": Row(
        moments=_BOTH,
        variant=_misdeed("coupled deadlock", hang_s=BUDGET_S, side_by_side=True),
        # Both of them compute, for all that is known.
        detect_s=4 * BUDGET_S,
        cause="HANG",
    ),
    "poison task": Row(
        moments=_BOTH,
        variant=_misdeed("poison", times=ALWAYS, quarantine=True),
        fails=True,
        lost=4,
        cause="POISON",
        spares=("NodeQuarantined",),
    ),
    "bad node": Row(
        moments=("at start",),
        variant=Variant(misdeed=asdict(_BAD_NODE), members=4, quarantine=True),
        lost=2,
        shows=("NodeQuarantined",),
        spares=("SimulationFailed",),
    ),
    "blow-up to NaN": _blow_up("NaN"),
    "blow-up to infinity": _blow_up("Inf"),
    "blow-up out of bounds": _blow_up("out of bounds"),
}
"""Misbehaving models: name to what happens."""
