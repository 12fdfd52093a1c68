from __future__ import annotations

import pytest

from climorch.core.explain import SimulationStatus
from climorch.report import CampaignStatus


def status(
    name: str, *, state: str = "running", committed: int = 1
) -> SimulationStatus:
    """A simulation of four segments."""
    return SimulationStatus(
        simulation=name,
        workflow="boxes",
        project="default",
        status=state,
        priority=0,
        segments=4,
        computed=2,
        committed=committed,
        nodes=2,
        node_hours=1.5,
        checkpoints=1,
        exposure_s=3.0,
        lost_s=0.0,
        why="its turn",
    )


TWO = CampaignStatus(
    campaign="cmip",
    simulations=(status("m01"), status("m2", state="finished", committed=4)),
)


def test_a_campaign_is_finished_with_its_last_simulation() -> None:
    """One simulation that goes on keeps the campaign open."""
    assert not TWO.finished
    assert CampaignStatus(campaign="c", simulations=TWO.simulations[1:]).finished


def test_simulations_are_found_by_name_and_in_order() -> None:
    """A report is read by name or one after the other."""
    assert TWO["m2"].status == "finished"
    assert [s.simulation for s in TWO] == ["m01", "m2"]
    with pytest.raises(KeyError, match="m03"):
        TWO["m03"]


def test_a_report_is_a_table() -> None:
    """Pandas gets one row per simulation, all columns even without a row."""
    table = TWO.to_pandas()
    assert table.index.tolist() == ["m01", "m2"]
    assert table.loc["m2", "committed"] == 4
    empty = CampaignStatus(campaign="c", simulations=()).to_pandas()
    assert empty.columns.tolist() == table.columns.tolist()
    assert empty.columns.tolist() == [
        "workflow",
        "project",
        "status",
        "priority",
        "segments",
        "computed",
        "committed",
        "nodes",
        "node_hours",
        "checkpoints",
        "exposure_s",
        "lost_s",
        "why",
    ]


def test_a_report_prints_one_line_per_simulation() -> None:
    """People read names, status, progress, nodes and the reason in columns."""
    assert str(TWO).splitlines() == [
        "campaign cmip: 2 simulations",
        "  m01  running    25.0%  2 nodes  1.500 node-h  its turn",
        "  m2   finished  100.0%  2 nodes  1.500 node-h  its turn",
    ]
    empty = CampaignStatus(campaign="c", simulations=())
    assert str(empty) == "campaign c: 0 simulations"
