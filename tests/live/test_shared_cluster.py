"""Several campaigns on one Dask cluster, each on workers of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Scheduler, SchedulerPlugin

from climorch import Campaign, DaskSite, Scenario
from climorch.model import events as e
from climorch.testing.faults import until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, kinds, policies, records, same
from tests.live.outside import cluster
from tests.live.tenancy import held, overlaps


def submitted(root: Path, *, segments: int, work_s: float = 0.0) -> Campaign:
    """A campaign named as all others here, with simulations named as theirs."""
    campaign = Campaign("c", root=root, policies=policies(every=4))
    wf = box_workflow(segments=segments, work_s=work_s)
    for name in ("s", "t"):
        campaign.submit(wf, scenario=Scenario(name))
    return campaign


def check(campaign: Campaign, *, segments: int) -> None:
    """Every bit is that of an undisturbed run."""
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=segments))


def nodes(campaign: Campaign) -> set[str]:
    """All nodes that it ever had."""
    return {joined.node for joined in kinds(records(campaign), e.NodeJoined)}


class Tally(SchedulerPlugin):
    """Notes which client submitted which tasks."""

    def __init__(self) -> None:
        self.keys: dict[str, set[Any]] = {}

    def update_graph(
        self, scheduler: Scheduler, *, client: str, tasks: list[Any], **kwargs: Any
    ) -> None:
        """Note them."""
        self.keys.setdefault(client, set()).update(tasks)


def test_two_campaigns_of_one_name_end_as_if_each_were_alone(tmp_path: Path) -> None:
    """Other segments, same names, a node each; the one that ends disturbs nobody."""
    tally = Tally()
    with cluster(2) as theirs:
        theirs.scheduler.add_plugin(tally)
        short = submitted(tmp_path / "one", segments=2, work_s=0.02)
        long = submitted(tmp_path / "two", segments=6, work_s=0.02)
        first = long.start(DaskSite(theirs, nodes=1))
        until_record(tmp_path / "two", "c", e.SegmentFinished, run=first)

        assert short.run(DaskSite(theirs, nodes=1)).finished

        assert first.alive
        assert first.wait(timeout_s=240)
    check(short, segments=2)
    check(long, segments=6)
    assert len(nodes(short)) == len(nodes(long)) == 1
    one, two = held(tmp_path / "one"), held(tmp_path / "two")
    assert overlaps(one, two) == []
    # Segments of the same number, of simulations of the same name, share no task.
    assert len(tally.keys) == 2
    assert set.intersection(*tally.keys.values()) == set()
    # They did run at the same time.
    assert kinds(records(long), e.NodeLost) == []
    assert overlaps(
        one,
        [(node, begin_s, end_s) for _, begin_s, end_s in two for node in nodes(short)],
    )


@pytest.mark.benchmark
def test_what_a_campaign_leaves_goes_to_one_that_waits(tmp_path: Path) -> None:
    """All workers are its own for a while; then the other has as many as it takes."""
    with cluster(2) as theirs, Client(theirs, set_as_default=False):
        first = submitted(tmp_path / "one", segments=10, work_s=0.05)
        run = first.start(DaskSite(theirs))
        until_record(tmp_path / "one", "c", e.SegmentFinished, run=run)
        second = submitted(tmp_path / "two", segments=3)
        other = second.start(DaskSite(theirs, min_nodes=0))
        until(lambda: other.state().epoch == 1, what="it waits")
        assert nodes(second) == set()

        run.stop()

        assert other.wait(timeout_s=240)
        check(second, segments=3)
        assert nodes(second) == {"0", "1"}
        assert overlaps(held(tmp_path / "one"), held(tmp_path / "two")) == []
        assert first.run(DaskSite(theirs)).finished
    check(first, segments=10)


def test_a_worker_that_cannot_write_the_folder_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once, and never leased; the other worker does all the work."""
    told: list[Any] = []
    campaign = Campaign("c", root=tmp_path, policies=policies(), on_alarm=told.append)
    campaign.submit(box_workflow(segments=3), scenario=Scenario("s"))

    def refused(place: Path, name: str) -> str:
        return "cannot write there" if name == "0" else ""

    monkeypatch.setattr("climorch.engine.hosting.leave_mark", refused)
    with cluster(2) as theirs:
        assert campaign.run(DaskSite(theirs)).finished
    assert nodes(campaign) == {"1"}
    assert [alarm.text for alarm in told if alarm.kind == "node"] == [
        alarm.text for alarm in told if "node 0" in alarm.text
    ]
    (alarm,) = [alarm for alarm in told if alarm.kind == "node"]
    assert "is left to others: it cannot write there; start it as a user" in alarm.text
