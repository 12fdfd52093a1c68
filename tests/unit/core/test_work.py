"""How much work a fact makes, counted in calls and not in seconds."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

import pytest

from climorch.core.fold import apply
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies, move_on, next_records
from climorch.core.state import CampaignState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

Decide = Callable[[CampaignState, SimulationState, Policies], Iterator[c.Record]]
WHERE = "climorch.core.orchestrator"


def test_work_grows_with_what_changed_not_with_the_campaign(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fact about one of a hundred simulations looks at that one only."""
    s = Script()
    s.tell(*(submitted(name=f"s{i}") for i in range(100)))
    s.nodes(*(f"n{i}" for i in range(100)))
    s.restored(simulation="s7")
    looked: list[tuple[str, str]] = []

    def recording(decide: Decide) -> Decide:
        def recorded(
            state: CampaignState, simulation: SimulationState, policies: Policies
        ) -> Iterator[c.Record]:
            looked.append((simulation.name, decide.__name__))
            return decide(state, simulation, policies)

        return recorded

    for decide in (next_records, move_on):
        monkeypatch.setattr(f"{WHERE}.{decide.__name__}", recording(decide))
    # The segment is checkpointed and the next one started in the same go.
    s.finished(0, simulation="s7")
    s.committed(1, simulation="s7")

    assert looked == [("s7", "move_on"), ("s7", "next_records")]


def calls(work: Callable[[], object]) -> int:
    """Count the calls of functions, those in C included, that some work makes."""
    count = 0

    def counting(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    # Whoever has callbacks in the garbage collector, as Hypothesis has, would be
    # counted whenever it happens to collect.
    collects = gc.isenabled()
    gc.disable()
    sys.setprofile(counting)
    try:
        work()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return count


def settle(s: Script, k: int, simulation: str = "s") -> None:
    """Let a segment finish and whatever follows from it happen."""
    s.finished(k, simulation=simulation)
    s.committed(k + 1, simulation=simulation)
    commands = s.outcome.commands
    s.published(k + 1, simulation=simulation)
    for command in commands:
        if isinstance(command, c.DeleteCheckpoint):
            boundary = command.boundary
            s.tell(
                e.CheckpointDeleted(simulation=simulation, set="a", boundary=boundary)
            )


def test_a_late_segment_costs_what_an_early_one_did() -> None:
    """The work per fact does not depend on how many segments are finished."""
    s = Script()
    s.tell(submitted(stage(boundaries=range(401))))
    s.nodes("n")
    s.restored()
    # A checkpoint without files of older ones comes every eighth time.
    work = [calls(partial(settle, s, k)) for k in range(400)]

    assert sorted(s.set().commits) == [398, 399, 400]
    assert work[384:392] == work[16:24]


def test_a_fact_costs_the_same_in_a_large_campaign() -> None:
    """The work per fact does not depend on how many others compute elsewhere."""
    work = []
    for size in (3, 60):
        s = Script()
        s.tell(*(submitted(name=f"s{i}") for i in range(size)))
        s.nodes(*(f"n{i}" for i in range(size)))
        s.restored(simulation="s2")
        settle(s, 0, simulation="s2")
        work.append(calls(partial(settle, s, 1, simulation="s2")))

    assert work[0] == work[1]


def test_folding_is_linear() -> None:
    """A hundred thousand records are folded with as many applications."""
    s = Script(Policies(checkpointing=EverySegments(count=5), limits=UNLIMITED))
    s.tell(submitted(stage(boundaries=range(401))))
    s.nodes("n")
    s.restored()
    records: list[tuple[c.Record, float]] = []
    for k in range(400):
        s.finished(k)
        records += [(record, s.now_s) for record in s.outcome.records]
        boundary = s.set().checkpoint
        if boundary is not None:
            s.committed(boundary)
            records += [(record, s.now_s) for record in s.outcome.records]
            s.published(boundary)
            records += [(record, s.now_s) for record in s.outcome.records]
    copies = 100_000 // len(records) + 1
    applied = 0

    def counting(state: CampaignState, record: c.Record, now_s: float) -> None:
        nonlocal applied
        applied += 1
        apply(state, record, now_s)

    again = Orchestrator(s.policies)
    again.replay([(submitted(stage(boundaries=range(401))), 0.0)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{WHERE}.apply", counting)
        for _ in range(copies):
            again.replay(records)

    assert applied == copies * len(records) >= 100_000
