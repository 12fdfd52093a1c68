"""Deletions and takeovers where another checkpoint has taken the place of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.engine.alarms import Alarms
from climorch.engine.chores import Chores
from climorch.engine.recovery import reconcile
from climorch.engine.services import Services
from climorch.model import events as e
from climorch.model.commands import DeleteCheckpoint
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.core.script import stage, submitted
from tests.unit.storage.checkpoint_cases import open_store, request, save

OWN: dict[str, Any] = {"simulation": "m01", "set": "earth"}


class Disk:
    """Does at once what is to be done on a thread."""

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)


def told_of(store: CheckpointStore, command: DeleteCheckpoint) -> list[e.Fact]:
    """Let a chore delete something; return what it tells."""
    told: list[e.Fact] = []
    services = SimpleNamespace(disk=Disk(), checkpoints=store, post=told.append)
    alarms = SimpleNamespace(begin=None, end=lambda kind, *, subject: None)

    async def do() -> None:
        chores = Chores(cast("Services", services), cast("Alarms", alarms))
        chores.start(command)
        await chores.close()

    asyncio.run(do())
    return told


@pytest.mark.parametrize(
    ("attempt", "left"), [(6, [7]), (7, []), (8, []), (0, [])], ids=str
)
def test_a_deletion_leaves_what_took_the_place_of_what_it_is_about(
    tmp_path: Path, attempt: int, left: list[int]
) -> None:
    """A newer attempt's stays; an older one's, with the same in it, goes."""
    store = open_store(tmp_path)
    save(store, request(1, attempt=7))
    command = DeleteCheckpoint(**OWN, boundary=1, attempt=attempt)

    (fact,) = told_of(store, command)

    assert isinstance(fact, e.CheckpointDeleted)
    assert (fact.boundary, fact.attempt) == (1, attempt)
    assert bool(fact.bytes_freed) is (left == [])
    assert [x.manifest.attempt for x in store.list("m01", "earth")] == left


def known(attempt: int, *, damaged: bool) -> CampaignState:
    """Let an orchestrator know one checkpoint of a set."""
    orchestrator = Orchestrator(Policies())
    facts: list[e.Fact] = [
        submitted(stage("earth"), name="m01"),
        e.CheckpointCommitted(**OWN, boundary=1, attempt=attempt, seconds=1.0),
    ]
    if damaged:
        facts.append(e.CheckpointScrubbed(**OWN, boundary=1, damaged=True))
    orchestrator.handle(facts, 0.0)
    return orchestrator.state


@pytest.mark.parametrize(
    ("attempt", "damaged", "found"),
    [(7, False, []), (7, True, []), (6, False, []), (6, True, [7])],
)
def test_a_new_driver_finds_what_took_the_place_of_a_damaged_one(
    tmp_path: Path, attempt: int, damaged: bool, found: list[int]
) -> None:
    """Whoever wrote it died before that was journaled; nothing is counted twice."""
    save(open_store(tmp_path), request(1, attempt=7))
    state = known(attempt, damaged=damaged)

    facts = reconcile(state, open_store(tmp_path, epoch=2))

    commits = [f.attempt for f in facts if isinstance(f, e.CheckpointCommitted)]
    assert commits == found
