"""A journal of one simulation on one or two nodes, record by record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from climorch.forecast.booked import Ledger, booked
from climorch.forecast.entries import Power
from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.parts import Part
from climorch.forecast.timekeeping import Timekeeper
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.scenario import Project, Scenario
from tests.unit.core.script import plan
from tests.unit.twin.stage import stage

__all__ = ["BEGIN_S", "Journal"]

BEGIN_S = datetime(2026, 1, 31, 23, tzinfo=UTC).timestamp()
"""An hour before February."""


class Journal:
    """Writes records at seconds after `BEGIN_S`, and keeps books and times of them."""

    def __init__(self, *stages: Any, project: str = "p", cuts: Any = ()) -> None:
        self.cuts = tuple(cuts)
        self.keeper = Bookkeeper(self.cuts)
        self.timekeeper = Timekeeper(self.keeper.books)
        self.tell(0, e.CampaignOpened(campaign="c", version="0"))
        self.tell(0, e.DriverStarted(epoch=1, host="h", pid=1))
        self.tell(0, e.ProjectDeclared(project=Project("p", institution="i")))
        for node in ("n1", "n2"):
            self.tell(0, e.NodeJoined(node=node, cores=4, memory_bytes=2**30))
        self.submitted = e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario("s", project=project),
            plan=plan(*(stages or (stage(),))),
        )
        self.tell(0, self.submitted)

    def tell(self, after_s: float, *records: c.Record) -> None:
        """Journal records."""
        for record in records:
            self.keeper.note(record, BEGIN_S + after_s)
            self.timekeeper.note(record, BEGIN_S + after_s)

    def lease(self, after_s: float, *nodes: str) -> None:
        """Let the simulation hold nodes."""
        self.tell(after_s, c.SetLease(simulation="s", nodes=nodes))

    def attempt(self, after_s: float, number: int = 1, boundary: int = 0) -> None:
        """Start an attempt, whose states are there two seconds later."""
        own: dict[str, Any] = {
            "simulation": "s",
            "set": "a",
            "attempt": number,
            "boundary": boundary,
        }
        self.tell(after_s, c.StartAttempt(**own))
        self.tell(after_s + 2, e.SetRestored(**own, rung="init", bytes_read=7))

    def start(
        self, after_s: float, segment: int, attempt: int = 1, stage: str = "a"
    ) -> None:
        """Start a segment."""
        self.tell(
            after_s,
            c.StartSegment(
                simulation="s", stage=stage, segment=segment, attempt=attempt
            ),
        )

    def finish(
        self, after_s: float, segment: int, attempt: int = 1, **more: Any
    ) -> None:
        """Let a segment be computed."""
        fact: dict[str, Any] = {"stage": "a", "seconds": 1.0} | more
        self.tell(
            after_s,
            e.SegmentFinished(simulation="s", segment=segment, attempt=attempt, **fact),
        )

    def checkpoint(self, after_s: float, boundary: int, **more: Any) -> None:
        """Let a checkpoint be committed."""
        fact: dict[str, Any] = {"attempt": 1, "seconds": 1.0} | more
        self.tell(
            after_s,
            e.CheckpointCommitted(simulation="s", set="a", boundary=boundary, **fact),
        )

    def commit(self, after_s: float, *segments: int, stage: str = "a") -> None:
        """Let segments be covered by a checkpoint."""
        for segment in segments:
            self.tell(
                after_s,
                c.SegmentCommitted(simulation="s", stage=stage, segment=segment),
            )

    def abandon(
        self, after_s: float, attempt: int = 1, *, back: int | None = None, **more: Any
    ) -> None:
        """End an attempt; fall back to a boundary."""
        own: dict[str, Any] = {"simulation": "s", "set": "a", "attempt": attempt}
        self.tell(after_s, c.AbandonAttempt(**own))
        if back is not None:
            rest: dict[str, Any] = {"cause": e.Cause.MODEL} | more
            self.tell(
                after_s,
                c.RolledBack(**own, boundary=back, segments=1, lost_s=1.0, **rest),
            )

    def ledger(self, after_s: float, power: Power | None = None) -> Ledger:
        """Return what was used until then."""
        self.keeper.tick(BEGIN_S + after_s)
        return booked(self.keeper, "c", cuts=self.cuts, power=power)

    def parts(self, after_s: float) -> dict[str, float]:
        """Return what node-seconds were spent on, without what is nothing."""
        ledger = self.ledger(after_s)
        sums = {part.name: round(ledger.node_s(part), 6) for part in Part}
        return {name: node_s for name, node_s in sums.items() if node_s}
