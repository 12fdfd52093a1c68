"""Rungs of the restore ladder that need no disk of their own: stash, branch parent."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from climorch import AddSimulation, Advance, Campaign, Scenario, Segment
from climorch.engine import worker
from climorch.model import events as e
from climorch.model.edits import Committed, Edit
from climorch.storage import chunks
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import (
    continued,
    ended,
    here,
    kinds,
    last,
    policies,
    records,
    same,
    series,
)


def reads_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which chunks nodes read from checkpoints from now on."""
    found: list[str] = []
    read = chunks.read_chunk

    def noted(path: Path, *more: Any) -> Any:
        found.append(str(path))
        return read(path, *more)

    monkeypatch.setattr(worker, "read_chunk", noted)
    return found


def campaign_of(root: Path) -> Campaign:
    """Two boxes, and a checkpoint at each of their boundaries."""
    campaign = Campaign("c", root=root, policies=policies(every=1))
    campaign.submit(box_workflow(segments=4), scenario=Scenario("s"))
    return campaign


def test_a_cut_goes_on_from_the_stash_of_those_who_hold_the_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: nothing is waited for, and nothing read from the disk."""
    reads = reads_of(monkeypatch)
    campaign = campaign_of(tmp_path)
    assert campaign.run(here(2)).finished

    assert reads == []
    found = records(campaign)
    assert len(kinds(found, e.CheckpointCommitted)) >= 2
    assert [x.rung for x in kinds(found, e.SetRestored)] == ["init"]
    assert same(ended(campaign, "s"), reference_run("s", segments=4))


# Failures that are still to come: none while the workflow is tried at submit.
PENDING: list[str] = []


def fails_once(state: Any, inputs: Any, segment: Segment, *, inner: Any) -> Advance:
    """Meet a server that does not answer, once."""
    if PENDING:
        raise ConnectionError(PENDING.pop())
    advance: Advance = inner(state, inputs, segment)
    return advance


def branches(committed: Committed) -> Iterable[Edit]:
    """Add another course at the first commit."""
    name = f"from-{committed.segments}"
    yield AddSimulation(template=name, scenario=Scenario(f"other-{name}"))


def test_a_branch_that_has_no_checkpoint_yet_begins_anew_at_its_parent(
    tmp_path: Path,
) -> None:
    """As often as need be: the parent's checkpoint is pinned."""
    pasts = [continued(f"from-{k}", year=2000 + k, segments=2) for k in range(1, 5)]
    for past in pasts:
        past.stages[:] = [
            replace(s, step=functools.partial(fails_once, inner=s.step))
            for s in past.stages
        ]
    wf = box_workflow(segments=4, templates=tuple(pasts))
    wf.rule("branch", when="sea", then=branches, on="commit", most=1)
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2, keep=1))
    campaign.submit(wf, scenario=Scenario("s"))
    PENDING[:] = ["no forcing"]
    assert campaign.run(here(2)).finished

    found = records(campaign)
    added = [a for x in kinds(found, e.RuleEvaluated) for a in x.added]
    assert PENDING == []
    taken = [x for x in kinds(found, e.SetRestored) if x.simulation != "s"]
    assert {(x.rung, x.boundary) for x in taken} == {("branch", 0)}
    assert len(taken) == len(added) + 1
    for child in added:
        start = reference_run("s", segments=child.branch.boundaries["air"])
        wanted = last(series(child.simulation, 2, start=start))
        assert same(ended(campaign, child.simulation), wanted)
