"""What a node started does not outlive it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from climorch.testing.awkward import notes
from climorch.testing.faults import Script, until
from tests.unit.engine.model_cases import gone

SCRIPT = Path(__file__).with_name("node_script.py")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_isolated_step_dies_with_its_node(
    tmp_path: Path, number: signal.Signals
) -> None:
    """However it is ended: the step, its helper and their nursery are gone."""
    path = tmp_path / "notes"
    root = str(SCRIPT.parents[3])
    with Script(SCRIPT, str(path), environment={"PYTHONPATH": root}) as node:
        (line,) = until(
            lambda: [x for x in notes({"notes": path}) if x.startswith("ice")] or None,
            what="the step hangs",
            timeout_s=200,
        )
        pids = [int(pid) for pid in line.split()[2:]]
        assert not any(map(gone, pids))
        # Not those that the node was started with.
        assert "handlers usual" in notes({"notes": path})
        # Nursery, step and helper.
        assert len(node.orphans()) == 3
        node.send(number)
        assert node.finish()[0] == -number
        until(lambda: all(map(gone, pids)), what="step and helper are gone")
        until(lambda: node.orphans() == [], what="every process is gone")
