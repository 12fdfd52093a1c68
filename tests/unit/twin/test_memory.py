"""Stages that take memory, on nodes that may have less of it."""

from __future__ import annotations

import pytest

from climorch.model import events as e
from climorch.model.causes import Cause
from climorch.model.usage import Usage
from tests.unit.twin.stage import Play, stage


@pytest.mark.parametrize("coarse", [False, True])
def test_a_segment_fails_where_a_node_has_less_than_it_takes(coarse: bool) -> None:
    """After its ten seconds: what it was spent on is lost, in either mode."""
    play = Play(
        nodes=2,
        memory=8,
        other_memory={"node-1": 4},
        takes_bytes=5,
        coarse=coarse,
    )
    play.submit(stage(segments=2, nodes=2))
    play.run(15.0)

    (failed,) = play.facts(e.SegmentFailed)
    assert (failed[0], failed[1].cause) == (10.0, Cause.MEMORY)
    assert "less than 5 bytes" in failed[1].message
    assert play.parts()["LOST"] == 20.0


@pytest.mark.parametrize("memory", [0, 5])
def test_what_a_stage_takes_is_told_where_nodes_have_it(memory: int) -> None:
    """Zero is unlimited; of a stage that takes none nothing is told."""
    play = Play(nodes=2, memory=memory, takes_bytes=5)
    play.submit(stage(segments=1), stage("b", segments=1))
    play.run()

    usages = {f.stage: f.usage for _, f in play.facts(e.SegmentFinished)}
    assert usages == {"a": Usage(memory_bytes=5), "b": None}
