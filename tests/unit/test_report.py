from __future__ import annotations

from dataclasses import replace

import pytest

from climorch.core.explain import NodeStatus, SimulationStatus
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
        "rate_sypd",
        "expected_end_s",
        "checkpoint_age_s",
        "why",
    ]


def test_nodes_are_a_table_of_their_own() -> None:
    """Pandas gets one row per node."""
    held = NodeStatus(node="n0", up=True, simulation="m01", cores=4)
    table = CampaignStatus(campaign="c", simulations=(), nodes=(held,))

    assert table.nodes_to_pandas().loc["n0"].to_dict() == {
        "up": True,
        "draining": False,
        "simulation": "m01",
        "cores": 4,
        "memory_bytes": 0,
    }
    assert len(CampaignStatus(campaign="c", simulations=()).nodes_to_pandas()) == 0


def test_rate_end_and_age_are_printed_where_they_are_known() -> None:
    """People read how fast it is, when it ends, and which nodes are drained."""
    fast = replace(
        status("m01"),
        rate_sypd=12.345,
        expected_end_s=86_400.0 * 365,
        checkpoint_age_s=61.4,
    )
    # Too far away for any calendar.
    never = replace(status("m2"), rate_sypd=1e-9, expected_end_s=1e18)
    nodes = tuple(
        NodeStatus(node=name, up=True, draining=name == "n1") for name in ("n0", "n1")
    )

    text = str(CampaignStatus(campaign="c", simulations=(fast, never), nodes=nodes))

    assert text.splitlines()[1:] == [
        "  m01  running    25.0%  2 nodes  1.500 node-h  12.3 SYPD  "
        "ends 1971-01-01 00:00 UTC  checkpoint 61 s old  its turn",
        "  m2   running    25.0%  2 nodes  1.500 node-h  1e-09 SYPD  its turn",
        "  drained: n1",
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
