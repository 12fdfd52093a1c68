"""What stays on the Dask scheduler, and what a lost node makes it do again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Scheduler, SchedulerPlugin, Worker

from climorch import Campaign, LocalSite, Scenario
from climorch.engine.worker import NAME, NodePlugin
from climorch.model.events import CheckpointCommitted, NodeLost, SegmentFinished
from climorch.testing.faults import kill_node, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same


class Tally(SchedulerPlugin):
    """Counts tasks on the scheduler and who computed each."""

    name = "tally"

    def __init__(self) -> None:
        self.who: dict[Any, list[str]] = {}

    def transition(
        self,
        key: Any,
        start: Any,
        finish: Any,
        *args: Any,
        worker: str = "",
        **kwargs: Any,
    ) -> None:
        """Note a result."""
        if start == "processing" and finish == "memory":
            self.who.setdefault(key, []).append(worker)


def scheduler_of(site: LocalSite) -> Scheduler:
    """Wait until a site is open."""
    return until(lambda: site.scheduler, what="the site is open", timeout_s=60.0)


def plugins_here() -> list[NodePlugin]:
    """Return our plugins of the nodes that are in this process."""
    found = [worker.plugins.get(NAME) for worker in list(Worker._instances)]
    return [plugin for plugin in found if isinstance(plugin, NodePlugin)]


def test_roots_keep_the_number_of_tasks_flat(tmp_path: Path) -> None:
    """Scheduler and nodes forget all but what the last few segments need."""
    campaign = Campaign("flat", root=tmp_path, policies=policies(every=3, keep=2))
    campaign.submit(box_workflow(segments=24), scenario=Scenario("s"))
    site = here()
    run = campaign.start(site)
    scheduler = scheduler_of(site)
    tally = Tally()
    scheduler.add_plugin(tally)
    most = stashes = 0
    while not run.wait(timeout_s=0.05):
        most = max(most, len(scheduler.tasks))
        stashes = max([stashes, *(len(plugin.stash) for plugin in plugins_here())])
    assert same(ended(campaign, "s"), reference_run("s", segments=24))
    # Without roots all that was ever computed would still be there at the end.
    assert 0 < most <= len(tally.who) / 4
    # Of eight checkpoints.
    assert 0 < stashes <= 3


@pytest.mark.live
@pytest.mark.benchmark
def test_one_of_eight_nodes_lost_costs_only_what_it_held(tmp_path: Path) -> None:
    """Blocks of a lost node are loaded or computed again, and no others."""
    shape = (16, 4)
    campaign = Campaign("eight", root=tmp_path, policies=policies(every=1))
    workflow = box_workflow(segments=4, nodes=8, shape=shape, chunk=1, work_s=0.3)
    campaign.submit(workflow, scenario=Scenario("s"))
    site = LocalSite(nodes=8)
    run = campaign.start(site)
    tally = Tally()
    scheduler_of(site).add_plugin(tally)
    until_record(
        campaign.root,
        campaign.name,
        CheckpointCommitted,
        where=lambda commit: commit.boundary == 2,
        run=run,
        timeout_s=60.0,
    )
    before = {key: list(workers) for key, workers in tally.who.items()}
    victim = "node003"
    addresses = {
        str(state.name): address
        for address, state in dict(scheduler_of(site).workers).items()
    }
    kill_node(site, victim)
    assert run.wait(timeout_s=90.0)
    found = records(campaign)
    assert [fact.node for fact in kinds(found, NodeLost)] == [victim]
    again = {
        key: workers
        for key, workers in tally.who.items()
        if len(workers) > 1 and len(workers) > len(before.get(key, []))
    }
    roots = [key for key in again if str(key[0]).startswith("root-")]
    steps = [key for key in again if key not in roots]
    assert {again[key][0] for key in roots} == {addresses[victim]}
    # Steps may need parts of a mean again that others had computed and let go.
    assert any(again[key][0] == addresses[victim] for key in steps)
    # A boundary has 96 roots: 16 latitudes of three fields of two stages. Dask
    # gave an eighth of the steps to each node, more or less.
    assert 0 < len(roots) <= 24
    assert len(steps) <= len(tally.who) / 8
    segments = [(f.stage, f.segment) for f in kinds(found, SegmentFinished)]
    assert len(segments) == len(set(segments)) == 8
    expected = reference_run("s", segments=4, shape=shape)
    assert all(np.array_equal(ended(campaign, "s")[n], expected[n]) for n in expected)
