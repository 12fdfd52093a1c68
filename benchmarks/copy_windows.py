"""What a copy in a partner's memory costs the model that runs beside it.

The windows of `benchmarks.checkpoint_overhead`, begun with a copy instead of a
checkpoint: pairs of windows with and without, interleaved, in one campaign.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import climorch as co
from benchmarks.bench import (
    NODES,
    Busy,
    Chosen,
    Figures,
    Size,
    busy_times,
    make_campaign,
    upper_limit,
    work_per_block,
)
from climorch.model.commands import BeginCopy
from climorch.model.events import CopyFailed, CopyHeld, SegmentFailed, SegmentFinished
from climorch.policy.partnering import CopyPace, PartnerCopy

__all__ = ["ChosenCopies", "Windows", "run_copies"]


class Windows(Protocol):
    """How windows lie, as `checkpoint_overhead.Design` has it."""

    @property
    def pairs(self) -> int:
        """Windows that begin with a copy, and as many that do not."""

    @property
    def window(self) -> int:
        """Segments in each."""

    @property
    def segment_s(self) -> float:
        """Seconds that a segment shall take about."""

    @property
    def has_checkpoint(self) -> list[bool]:
        """Which windows begin with a copy."""

    @property
    def begins(self) -> list[int]:
        """Boundary at which each window begins."""

    @property
    def checkpoints(self) -> list[int]:
        """Boundaries to copy at, the first of which warms up."""

    @property
    def segments(self) -> int:
        """How many are computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCopies(PartnerCopy):
    """Copies at given boundaries and nowhere else.

    Attributes
    ----------
    boundaries : frozenset of int
        Where.
    begun : list of int
        Where so far; the last is where the next is counted from.
    """

    boundaries: frozenset[int] = frozenset()
    begun: list[int] = field(default_factory=lambda: [0])

    def copy_due(self, pace: CopyPace) -> str | None:
        """Copy where it was chosen beforehand."""
        boundary = self.begun[-1] + pace.boundaries
        if boundary not in self.boundaries:
            return None
        self.begun.append(boundary)
        return "chosen"


def run_copies(folder: Path, design: Windows) -> Figures:
    """Run the windows with copies; return what they tell.

    Parameters
    ----------
    folder : Path
        Of the campaign.
    design : Windows
        How they lie.
    """
    size = Size()
    strategy = ChosenCopies(
        disk=Chosen(()), boundaries=frozenset(design.checkpoints), most_overhead=1.0
    )
    campaign = make_campaign(
        folder,
        size=size,
        segments=design.segments,
        iterations=work_per_block(size, design.segment_s),
        policies=co.Policies(checkpointing=strategy),
    )
    running = campaign.start(co.LocalSite(nodes=NODES))
    running.wait(handle_signals=True)
    return _told(design, running.facts(), busy_times(folder))


def _told(
    design: Windows,
    records: Sequence[tuple[Any, float]],
    busy: Sequence[dict[int, Busy]],
) -> Figures:
    failed = [r for r, _ in records if isinstance(r, CopyFailed | SegmentFailed)]
    begun = [r.boundary for r, _ in records if isinstance(r, BeginCopy)]
    held = [r for r, _ in records if isinstance(r, CopyHeld)]
    if failed or begun != design.checkpoints:
        sys.exit(
            f"copies at {begun}, expected {design.checkpoints}; failed: {failed[:1]}"
        )
    ends = {r.segment: t for r, t in records if isinstance(r, SegmentFinished)}
    windows = [ends[b + design.window - 1] - ends[b - 1] for b in design.begins]
    costs = differences(design, windows)
    cpu_costs: list[float] = []
    for here in busy:
        # No block begins after the last pair.
        used = [
            here[b + design.window].process_cpu_s - here[b].process_cpu_s
            for b in design.begins[:-2]
        ]
        cpu_costs += differences(design, used)
    measured = held[1:]
    return {
        "cost_mean_s": statistics.mean(costs),
        "cost_sd_s": statistics.stdev(costs),
        "cost_upper_95_s": upper_limit(costs),
        "cpu_cost_mean_s": statistics.mean(cpu_costs),
        "cpu_cost_upper_95_s": upper_limit(cpu_costs),
        "engine_cost_median_s": statistics.median(c.cost_s for c in measured),
        "held_after_median_s": statistics.median(c.seconds for c in measured),
        "bytes_copied": measured[0].bytes_copied,
    }


def differences(design: Windows, took_s: Sequence[float]) -> list[float]:
    """Return what windows took more than those beside them, pair by pair."""
    return [
        (took_s[i] - took_s[i + 1]) * (1 if design.has_checkpoint[i] else -1)
        for i in range(0, len(took_s), 2)
    ]
