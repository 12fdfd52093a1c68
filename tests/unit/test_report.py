from __future__ import annotations

from dataclasses import replace

import pytest

from climorch.core.estimating import Interval, StageOutlay
from climorch.core.progress import Policies
from climorch.core.statuses import NodeStatus, SimulationStatus
from climorch.core.window_statuses import WindowStatus
from climorch.errors import InvalidInputError
from climorch.policy.checkpointing import EverySegments
from climorch.report import CampaignStatus, Estimate, estimate
from tests.unit.core.script import Script, plan, stage, submitted


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


def test_a_report_says_which_nodes_do_not_come() -> None:
    """Beside those that are there."""
    waits = "1 job of 2 nodes waits in Slurm for Priority: others are before it"
    text = str(CampaignStatus(campaign="c", simulations=(), site=(waits,)))
    assert f"\n  site: {waits}" in text


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
        "caps",
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
        "windows": (),
        "slow": None,
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


def test_windows_are_printed_and_are_a_table() -> None:
    """One line and one row each: which nodes, for whom, from when to when."""
    first = WindowStatus(
        window="w",
        nodes=("n0", "n1"),
        count=0,
        start_s=0.0,
        stop_s=3600.0,
        holder=None,
        hard=True,
        placed=True,
        begun=False,
    )
    windows = (
        first,
        replace(first, window="all", nodes=(), stop_s=1e18),
        replace(first, window="kept", nodes=(), count=2, placed=False, holder="p"),
    )
    told = CampaignStatus(campaign="c", simulations=(), windows=windows)

    assert str(told).splitlines()[1:] == [
        "  window w: n0, n1 serviced from 1970-01-01 00:00 to 1970-01-01 01:00 UTC",
        "  window all: all nodes serviced from 1970-01-01 00:00 to 9999-01-01 00:00 "
        "UTC",
        "  window kept: 2 nodes, not chosen yet, kept for p from 1970-01-01 00:00 to "
        "1970-01-01 01:00 UTC",
    ]
    table = told.windows_to_pandas()
    assert table.index.tolist() == ["w", "all", "kept"]
    assert table.loc["w", "nodes"] == ("n0", "n1")
    assert len(CampaignStatus(campaign="c", simulations=()).windows_to_pandas()) == 0


def test_a_report_prints_one_line_per_simulation() -> None:
    """People read names, status, progress, nodes and the reason in columns."""
    assert str(TWO).splitlines() == [
        "campaign cmip: 2 simulations",
        "  m01  running    25.0%  2 nodes  1.500 node-h  its turn",
        "  m2   finished  100.0%  2 nodes  1.500 node-h  its turn",
    ]
    empty = CampaignStatus(campaign="c", simulations=())
    assert str(empty) == "campaign c: 0 simulations"


def outlays(spent_s: float = 0.0) -> Estimate:
    """Two stages on a lease of three nodes."""
    return Estimate(
        simulation="m01",
        workflow="boxes",
        nodes=3,
        spent_s=spent_s,
        spent_node_hours=spent_s * 3 / 3600,
        remaining_s=Interval(p10=3600.0, p50=7200.0, p90=14_400.0),
        stages=tuple(
            StageOutlay(
                stage=name,
                nodes=nodes,
                segments=6,
                segment_s=600.0,
                duration_s=Interval(p10=1800.0, p50=3600.0, p90=7200.0),
                samples=samples,
                basis=basis,
            )
            for name, nodes, samples, basis in (
                ("air", 1, 0, "guess"),
                ("sea", 2, 40, "others"),
            )
        ),
    )


def test_an_estimate_is_of_what_is_left_and_of_all() -> None:
    """What was spent is known and adds to both ends of the interval."""
    found = outlays(spent_s=1200.0)

    assert found.remaining_node_hours == Interval(p10=3.0, p50=6.0, p90=12.0)
    assert found.duration_s == Interval(p10=4800.0, p50=8400.0, p90=15_600.0)
    assert found.node_hours == Interval(p10=4.0, p50=7.0, p90=13.0)


def test_an_estimate_is_a_table() -> None:
    """One row per stage with its own nodes, and one for the whole lease."""
    table = outlays().to_pandas()

    assert table.index.tolist() == ["air", "sea", "(total)"]
    assert table["node_hours_p50"].tolist() == [1.0, 2.0, 6.0]
    assert table["duration_p90_s"].tolist() == [7200.0, 7200.0, 14_400.0]
    assert table.loc["sea", ["segments", "samples", "basis"]].tolist() == [
        6,
        40,
        "others",
    ]


def test_an_estimate_is_printed() -> None:
    """People read the middle and the interval, and what it rests on."""
    assert str(outlays()).splitlines() == [
        "simulation m01 on 3 nodes, in all: 2 (1 to 4) h, 6 (3 to 12) node-h "
        "(P50, P10 to P90), without waiting for nodes",
        "  air  6 segments of 600 s (guess): 1 (0.5 to 2) h",
        "  sea  6 segments of 600 s (others): 1 (0.5 to 2) h",
    ]
    assert str(outlays(spent_s=1200.0)).splitlines()[0] == (
        "simulation m01 on 3 nodes, left: 2 (1 to 4) h, 6 (3 to 12) node-h "
        "(P50, P10 to P90), without waiting for nodes; spent: 0.333 h, 1 node-h"
    )
    long = replace(outlays(), remaining_s=Interval(p10=3.6e6, p50=7.2e6, p90=1e7))
    assert "in all: 2,000 (1,000 to 2,778) h, 6,000 (3,000 to" in str(long)


def test_a_campaign_estimates_from_what_it_has_seen() -> None:
    """Its own progress, then others of the workflow, else every stage is named."""
    script = Script()
    script.tell(submitted(stage(nodes=2)), submitted(stage("z"), name="x"))
    script.nodes("n", "m")
    script.restored()
    for segment in range(3):
        script.finished(segment)
    state = script.orchestrator.state
    # Nodes were leased a second before the restore ended.
    held_s = state.now_s - script.simulation().lease_since_s

    def ask(name: str) -> Estimate:
        return estimate(
            state,
            plan(stage(nodes=2)),
            name=name,
            policies=Policies(checkpointing=EverySegments()),
            now_s=state.now_s + 10,
        )

    own, new = ask("s"), ask("m02")
    assert (own.spent_s, own.spent_node_hours) == (
        held_s + 10,
        (held_s + 10) * 2 / 3600,
    )
    assert (own.stages[0].basis, own.stages[0].segments) == ("measured", 1)
    assert (new.spent_s, new.spent_node_hours) == (0.0, 0.0)
    assert (new.stages[0].basis, new.stages[0].segments) == ("others", 4)
    assert new.nodes == 2
    with pytest.raises(InvalidInputError, match="stage 'z'"):
        estimate(
            state,
            plan(stage("z")),
            name="x",
            policies=Policies(checkpointing=EverySegments()),
            now_s=state.now_s,
        )
