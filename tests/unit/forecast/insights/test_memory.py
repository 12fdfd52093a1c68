"""Memory that is asked for and memory that is used."""

from __future__ import annotations

import pytest

from climorch.forecast.insights.finding import Kind
from climorch.forecast.insights.memory import memory
from climorch.forecast.timings import Times
from climorch.model.usage import Usage
from tests.unit.forecast.insights.made import simulation, study
from tests.unit.twin.stage import stage

GIB = 2**30
NODES = {"n1": 64 * GIB, "n2": 16 * GIB, "n3": 0}


@pytest.mark.parametrize(
    ("asked", "used", "measured", "kind", "gain"),
    [
        (48, 8, 3, Kind.MEMORY_OVER, 0.5),
        (8, 32, 3, Kind.MEMORY_UNDER, 0.25),
        # Right, though a little more than asked for; not measured often enough.
        (40, 32, 3, None, 0.0),
        (48, 8, 2, None, 0.0),
        (48, 0, 3, None, 0.0),
        # Too much, but no other node would do; too little, and every node will do.
        (12, 4, 3, None, 0.0),
        (1, 8, 3, None, 0.0),
    ],
)
def test_only_what_changes_which_nodes_will_do_is_found(
    asked: int, used: int, measured: int, kind: Kind | None, gain: float
) -> None:
    """One node has 64 GiB, one 16, one as much as anybody wants."""
    made = simulation(stage(memory=asked * GIB))
    found = made.stages["a"]
    found.measured, found.usage = measured, Usage(memory_bytes=used * GIB)
    times = Times(of={"s": made}, memory=NODES)

    findings = list(memory(study(times, useful=75.0, lost=25.0, lost_to_memory_s=25.0)))
    assert [(x.kind, x.gain) for x in findings] == ([(kind, gain)] if kind else [])


def test_more_than_any_node_has_may_be_asked_for() -> None:
    """Then no node will do now, and all that is gained is new."""
    made = simulation(stage(memory=99 * GIB))
    found = made.stages["a"]
    found.measured, found.usage = 3, Usage(memory_bytes=GIB)
    times = Times(of={"s": made}, memory={"n1": 64 * GIB})

    (finding,) = memory(study(times, useful=1.0))
    assert (finding.gain, finding.evidence["nodes_now"]) == (1.0, 0)
