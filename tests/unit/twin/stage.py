"""A small virtual campaign whose every step can be told in advance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.policy.checkpointing import EverySegments
from climorch.twin.costs import Amdahl, Costs, Overheads, StageCost
from climorch.twin.driver import Twin
from climorch.twin.site import TwinSite
from climorch.twin.world import RuleAnswer, no_edits
from tests.unit.core.script import stage as make_stage
from tests.unit.core.script import submitted, words

__all__ = ["FREE", "OVERHEADS", "Play", "said", "stage"]

FREE = Overheads(
    checkpoint_s=0.0,
    stall_s=0.0,
    restore_s=0.0,
    init_s=0.0,
    restart_s=0.0,
    copy_s=0.0,
    copy_stall_s=0.0,
    publish_s=0.0,
    delete_s=0.0,
)
"""A world in which only segments take time."""

OVERHEADS = Overheads(
    checkpoint_s=3.0,
    stall_s=0.5,
    restore_s=4.0,
    init_s=2.0,
    restart_s=1.0,
    copy_s=1.0,
    copy_stall_s=0.5,
    publish_s=0.25,
    delete_s=0.25,
)


def stage(name: str = "a", *, segments: int = 4, **more: Any) -> StagePlan:
    """Make a stage of so many segments of one second of model time."""
    return make_stage(name, boundaries=tuple(range(segments + 1)), **more)


def said(record: c.Record) -> str:
    """Say a record in a few words; facts by their kind."""
    if isinstance(record, c.Command | c.Decision):
        return words(record)
    about = str(getattr(record, "simulation", getattr(record, "node", "")))
    if isinstance(record, e.SegmentFinished | e.SegmentFailed):
        about += f".{record.stage} {record.segment}"
    return f"{type(record).__name__} {about}".strip()


class Play:
    """A twin, and everything that it journaled, in words.

    Parameters
    ----------
    site : TwinSite or None
        None: four nodes.
    cost : callable
        Of every stage.
    overheads : Overheads
        What is not the model.
    takes_bytes : int
        Memory that stage ``a`` takes of each node; 0: none.
    every : int
        Segments from one checkpoint to the next.
    coarse : bool
        Whether in coarse mode.
    """

    def __init__(
        self,
        *,
        cost: StageCost | None = None,
        overheads: Overheads = FREE,
        every: int = 1,
        seed: int = 1,
        noise_cv: float = 0.0,
        drift_per_day: float = 0.0,
        nodes: int = 4,
        begin_s: float = 0.0,
        policies: Policies | None = None,
        rules: RuleAnswer = no_edits,
        coarse: bool = False,
        takes_bytes: int = 0,
        **site: Any,
    ) -> None:
        self.records: list[tuple[float, c.Record]] = []
        self.watchers: list[Callable[[Outcome, float], None]] = []
        costs = Costs(
            default=cost or Amdahl(seconds=10.0),
            noise_cv=noise_cv,
            drift_per_day=drift_per_day,
            memory_bytes={("w", "a"): takes_bytes} if takes_bytes else {},
        )
        self.twin = Twin(
            Orchestrator(
                policies or Policies(checkpointing=EverySegments(count=every))
            ),
            TwinSite(nodes=nodes, costs=costs, overheads=overheads, **site),
            seed=seed,
            begin_s=begin_s,
            rules=rules,
            watcher=self._watch,
            coarse=coarse,
        )

    def _watch(self, outcome: Outcome, now_s: float) -> None:
        self.records += [(now_s, record) for record in outcome.records]
        for watcher in self.watchers:
            watcher(outcome, now_s)

    def submit(
        self, *stages: StagePlan, name: str = "s", after_s: float = 0.0, **more: Any
    ) -> None:
        """Let a simulation be submitted."""
        self.twin.post(submitted(*stages, name=name, **more), after_s=after_s)

    def run(self, until_s: float = 1e6) -> None:
        """Run, and see that the books balance."""
        ledger = self.twin.run(until_s)
        whole = sum(ledger.spent().values())
        assert abs(whole - ledger.up_node_s) < 1e-6 * max(ledger.up_node_s, 1.0)

    def told(self, *kinds: str) -> list[str]:
        """Return what was journaled of some kinds, each with its time."""
        lines = [f"{now_s:g} {said(record)}" for now_s, record in self.records]
        return [line for line in lines if not kinds or line.split()[1] in kinds]

    def facts(self, *kinds: type[e.Fact]) -> list[tuple[float, Any]]:
        """Return the facts of some kinds with their times."""
        return [(t, record) for t, record in self.records if isinstance(record, kinds)]

    def parts(self) -> dict[str, float]:
        """Return what node-seconds were spent on, without what is nothing."""
        spent = self.twin.ledger.spent()
        return {p.name: round(s, 6) for p, s in spent.items() if abs(s) > 1e-9}
