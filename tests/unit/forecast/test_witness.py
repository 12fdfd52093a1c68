"""What a journal shows of costs and nodes."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.forecast.witness import NodesSeen, Outage, Seen, Witness
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.windows import Window
from tests.unit.core.script import submitted
from tests.unit.twin.stage import stage

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S


def seen(*records: tuple[float, Record], as_of_s: float = 0.0) -> Seen:
    """Read records, each with its time."""
    witness = Witness()
    for now_s, record in records:
        witness.note(record, now_s)
    return witness.seen(as_of_s)


def finished(seconds: float, *, nodes: int = 1, **more: Any) -> e.SegmentFinished:
    """Let a segment be computed."""
    return e.SegmentFinished(
        simulation="s",
        stage="a",
        segment=0,
        attempt=1,
        seconds=seconds,
        nodes=nodes,
        **more,
    )


def joined(*names: str) -> list[e.NodeJoined]:
    """Let nodes come."""
    return [e.NodeJoined(node=name, cores=8, memory_bytes=64) for name in names]


def test_segments_of_a_week_are_one_observation() -> None:
    """Count, mean and squares, apart by week and by nodes; stalls left out."""
    found = seen(
        (0.0, submitted(stage())),
        (1.0, finished(10.0)),
        (2.0, finished(21.0, stall_s=0.5, vain_s=0.5)),
        (3.0, finished(5.0, nodes=2)),
        (WEEK_S, finished(30.0)),
    )

    rows = [(p.nodes, p.week, p.count, p.mean_s, p.squares) for p in found.pieces]
    assert rows == [(1, 0, 2, 15.0, 50.0), (1, 1, 1, 30.0, 0.0), (2, 0, 1, 5.0, 0.0)]
    assert {(p.workflow, p.stage, p.simulation) for p in found.pieces} == {
        ("w", "a", "s")
    }
    assert found.submitted_s == {"s": 0.0}


def test_what_a_twin_tells_in_one_counts_as_many() -> None:
    """A stride is as many segments as it had."""
    stride = e.SetAdvanced(
        simulation="s",
        set="a",
        attempt=1,
        seconds={"a": (10.0, 20.0)},
        nodes=1,
        running={},
        since_s=0.0,
        from_boundary=0,
    )

    (piece,) = seen((0.0, submitted(stage())), (1.0, stride)).pieces

    assert (piece.count, piece.mean_s) == (2, 15.0)


def test_segments_of_nobody_and_of_no_time_show_nothing() -> None:
    """A record that came late, or a clock that stood still."""
    assert seen((0.0, finished(10.0))).pieces == ()
    assert seen((0.0, submitted(stage())), (1.0, finished(0.0))).pieces == ()


def test_simulations_that_rules_add_are_known() -> None:
    """Their submission is a consequence of an answer."""
    answer = e.RuleEvaluated(
        simulation="p", rule="r", at=1, added=(submitted(stage()),)
    )

    found = seen((5.0, answer), (6.0, finished(10.0)))

    assert found.submitted_s == {"s": 5.0}
    assert len(found.pieces) == 1


def test_a_node_that_goes_alone_has_failed_until_it_is_back() -> None:
    """One failure, one repair; node-seconds are those that were up."""
    records: list[tuple[float, Record]] = [(0.0, n) for n in joined("a", "b")]
    records += [
        (100.0, e.NodeLost(node="a")),
        (400.0, joined("a")[0]),
        (500.0, e.StopRequested()),
    ]

    nodes = seen(*records).nodes

    assert (nodes.failures, nodes.repairs_s, nodes.outages) == (1, (300.0,), ())
    assert (nodes.up_node_s, nodes.span_s) == (700.0, 500.0)
    assert (nodes.names, nodes.cores, nodes.memory_bytes) == (("b", "a"), 8, 64)


def test_nodes_that_go_together_are_one_outage() -> None:
    """Its share of the nodes, and how long until half of them were back."""
    records: list[tuple[float, Record]] = [(0.0, n) for n in joined(*"abcd")]
    records += [(100.0, e.NodeLost(node="a")), (110.0, e.NodeLost(node="b"))]
    assert seen(*records).nodes.outages == (Outage(share=0.5, lasts_s=None),)

    records += [(200.0, joined("a")[0]), (300.0, joined("b")[0])]
    nodes = seen(*records).nodes
    assert nodes.outages == (Outage(share=0.5, lasts_s=200.0),)
    assert nodes.failures == 0


@pytest.mark.parametrize("how", ["window", "wish", "walltime", "later walltime"])
def test_nodes_that_go_as_told_have_not_failed(how: str) -> None:
    """In a window, or when their job ends."""
    window = e.WindowDeclared(window=Window(name="w", start_s=100.0, stop_s=900.0))
    told: dict[str, list[tuple[float, Record]]] = {
        "window": [(1.0, window)],
        "wish": [(1.0, e.WishTaken(id="1", by="u", given_s=0.0, wish=window))],
        "walltime": [],
        "later walltime": [(1.0, e.NodeDeadline(node="a", deadline_s=110.0))],
    }
    deadline_s = 105.0 if how == "walltime" else None
    node = e.NodeJoined(node="a", cores=1, deadline_s=deadline_s)

    found = seen((0.0, node), *told[how], (101.0, e.NodeLost(node="a")))

    assert found.nodes.failures == 0


def test_without_a_driver_nobody_knows_of_nodes() -> None:
    """They neither fail nor are they up; one that was lost before is not back later."""
    found = seen(
        *[(0.0, n) for n in joined("a", "b")],
        (50.0, e.NodeLost(node="b")),
        (100.0, e.DriverStopped(reason="asked")),
        (110.0, e.NodeLost(node="a")),
        (900.0, e.DriverStarted(epoch=2, host="h", pid=1)),
        (1000.0, joined("b")[0]),
    )

    assert found.nodes.up_node_s == 150.0
    assert (found.nodes.failures, found.nodes.repairs_s) == (1, ())


def test_the_usual_number_of_nodes_is_that_of_lately() -> None:
    """Reached most of the time in the last 30 days; a short peak is none."""
    records: list[tuple[float, Record]] = [(0.0, n) for n in joined(*"abcdef")]
    records += [(DAY_S, e.NodeLost(node=name)) for name in "ef"]
    records += [(60 * DAY_S, joined("e")[0]), (61 * DAY_S, e.NodeLost(node="e"))]
    records += [(90 * DAY_S, e.StopRequested())]

    assert seen(*records).nodes.usual == 4


def test_an_empty_journal_shows_nothing() -> None:
    """No node, no segment."""
    assert seen().pieces == ()
    assert seen().nodes == NodesSeen()
