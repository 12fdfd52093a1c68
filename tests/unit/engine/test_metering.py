"""What the process of a node used, by the kernel and by a made-up one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from climorch.engine import metering
from climorch.engine.metering import (
    METRIC,
    Meter,
    children_bytes,
    cpu_s,
    forget_peak,
    peak_bytes,
)
from climorch.engine.tags import ANNOTATION, make_tag
from climorch.engine.worker import NodePlugin

BURN = "import time\nwhile time.process_time() < 0.3: pass"
MIB = 2**20


def test_cpu_seconds_are_those_of_children_too() -> None:
    """Of a program that burned 0.3 s, once somebody waited for it."""
    before_s = cpu_s()
    subprocess.run([sys.executable, "-S", "-c", BURN], check=True)

    assert 0.3 <= cpu_s() - before_s < 3.0


def test_the_peak_is_that_of_memory_that_was_given_back() -> None:
    """64 MiB for a moment; forgotten, it is what there is now."""
    forget_peak()
    before = peak_bytes()
    block = np.ones(64 * MIB, dtype=np.uint8)
    del block
    peak = peak_bytes()
    forget_peak()

    assert peak >= before + 60 * MIB
    assert peak_bytes() < peak - 30 * MIB


def test_the_largest_child_is_known() -> None:
    """An interpreter has more than a MiB."""
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)

    assert children_bytes() > MIB


def test_a_kernel_that_tells_nothing_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Then the peak is not known, or that of a whole life."""
    monkeypatch.setattr(metering, "STATUS", tmp_path / "none")
    monkeypatch.setattr(metering, "CLEAR", tmp_path / "none" / "none")
    forget_peak()
    assert peak_bytes() == 0
    empty = tmp_path / "empty"
    empty.write_text("Name: x\n")
    monkeypatch.setattr(metering, "STATUS", empty)
    assert peak_bytes() == 0


def test_a_meter_begins_anew_for_another_simulation() -> None:
    """It counts from the first task of one to the first task of the next."""
    clock = iter([10.0, 13.0, 20.0, 21.0])
    forgotten: list[None] = []
    meter = Meter(
        cpu_s=lambda: next(clock),
        peak_bytes=lambda: 7,
        forget_peak=lambda: forgotten.append(None),
    )
    assert meter.read() == {}
    meter.works_for("s")
    first = meter.read()
    meter.works_for("s")
    meter.works_for("t")

    assert first == {"simulation": "s", "turn": 1, "cpu_s": 3.0, "memory_bytes": 7}
    assert meter.read() == {
        "simulation": "t",
        "turn": 2,
        "cpu_s": 1.0,
        "memory_bytes": 7,
    }
    assert len(forgotten) == 2


@pytest.mark.parametrize(
    ("annotations", "finish", "simulation"),
    [
        ({ANNOTATION: make_tag("s")}, "executing", "s"),
        ({ANNOTATION: make_tag("s")}, "memory", ""),
        ({ANNOTATION: "s"}, "executing", ""),
        ({ANNOTATION: {"lease": 3}}, "executing", ""),
        (None, "executing", ""),
    ],
)
def test_a_node_works_for_whom_its_tasks_say(
    annotations: dict[str, Any] | None, finish: str, simulation: str
) -> None:
    """Anybody may have written what a task carries."""
    plugin = NodePlugin()
    tasks = {"k": SimpleNamespace(annotations=annotations)}
    worker: Any = SimpleNamespace(state=SimpleNamespace(tasks=tasks))
    plugin.transition("k", "ready", finish)
    plugin._worker = worker
    plugin.transition("k", "ready", finish)
    plugin.transition("gone", "ready", finish)

    assert plugin._meter.read().get("simulation", "") == simulation


def test_the_name_of_the_metric_is_not_one_of_dask() -> None:
    """Dask's own would win."""
    assert METRIC.startswith("climorch")
