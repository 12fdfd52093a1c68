"""All findings about a campaign, the largest gain first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from climorch.forecast.booked import Ledger
from climorch.forecast.insights.balance import balance
from climorch.forecast.insights.checkpointing import checkpoints
from climorch.forecast.insights.compressing import codecs
from climorch.forecast.insights.finding import Finder, Finding, Kind, Study
from climorch.forecast.insights.memory import memory
from climorch.forecast.insights.queueing import bound
from climorch.forecast.insights.scaling import scaling
from climorch.forecast.insights.storing import storage_bound
from climorch.forecast.insights.straggling import stragglers
from climorch.forecast.timings import Times
from climorch.model.causes import Cause

__all__ = ["FINDERS", "Insights", "insights"]

FINDERS: tuple[Finder, ...] = (
    balance,
    scaling,
    checkpoints,
    codecs,
    stragglers,
    memory,
    bound,
    storage_bound,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Insights:
    """What was found; empty: nothing that would gain enough.

    Attributes
    ----------
    campaign : str
        Its name.
    findings : tuple of Finding
        The largest gain first.
    """

    campaign: str
    findings: tuple[Finding, ...] = ()

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(x for x in self.findings if x.kind is kind)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per finding."""
        columns = ["kind", "about", "message", "gain", "of", "change"]
        rows = [
            (x.kind.value, x.about, x.message, x.gain, x.of.value, x.change)
            for x in self.findings
        ]
        return pd.DataFrame(rows, columns=columns)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return f"campaign {self.campaign}: nothing found that would gain enough"
        return "\n".join(
            f"{x.kind} ({x.about}): {x.message}. {x.change} ({x.gain:+.0%} of {x.of})"
            for x in self.findings
        )


def insights(ledger: Ledger, times: Times, *, longest_s: float) -> Insights:
    """Look for everything that could be better.

    Parameters
    ----------
    ledger : Ledger
        Of everybody, whole.
    times : Times
        Of the same journal.
    longest_s : float
        Most seconds between two checkpoints that the limits allow.

    Returns
    -------
    Insights
        All findings.
    """
    study = Study(
        times=times,
        entries=ledger.entries,
        ends={x.simulation: x.at_s for x in ledger.completed},
        as_of_s=ledger.as_of_s,
        longest_s=longest_s,
        lost_to_memory_s=sum(
            x.node_s for x in ledger.losses if x.cause == Cause.MEMORY.value
        ),
    )
    found = [finding for finder in FINDERS for finding in finder(study)]
    found.sort(key=lambda finding: -finding.gain)
    return Insights(campaign=ledger.campaign, findings=tuple(found))
