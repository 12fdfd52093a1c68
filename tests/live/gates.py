"""Segments that wait until a test lets them end, on nodes in this process."""

from __future__ import annotations

import functools
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from climorch import Advance
from climorch.model.advance import Segment
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from tests.live.cases import zeros

Label = tuple[str, str, int]
"""Simulation, stage and segment."""


class Gates:
    """Where segments wait until a test lets them end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here: Counter[Label] = Counter()
        self._open: set[Label] = set()
        self._let_go: defaultdict[Label, int] = defaultdict(int)

    def wait(self, label: Label) -> None:
        """Wait until a segment may end; on a node."""
        with self._changed:
            mine = self._let_go[label]
            self._here[label] += 1
            opened = self._changed.wait_for(
                lambda: label in self._open or self._let_go[label] > mine, 60
            )
            self._here[label] -= 1
        assert opened, f"nobody let {label} end"

    def waiting(self, label: Label) -> bool:
        """Whether a segment stands at its gate."""
        with self._changed:
            return self._here[label] > 0

    def open(self, label: Label) -> None:
        """Let a segment end, wherever it is computed."""
        with self._changed:
            self._open.add(label)
            self._changed.notify_all()

    def close(self, label: Label) -> None:
        """Let it wait if it is computed again."""
        with self._changed:
            self._open.discard(label)

    def let_go(self, simulation: str = "") -> None:
        """Free the threads of segments that nobody wants any more."""
        with self._changed:
            for label in list(self._here):
                if simulation in ("", label[0]):
                    self._let_go[label] += 1
            self._changed.notify_all()


GATES = Gates()


def _held(block: Any, *, label: Label) -> Any:
    GATES.wait(label)
    return block + 1.0


def _step(
    state: xr.Dataset, inputs: Mapping[str, Any], segment: Segment, *, stage: str
) -> Advance:
    heat = state["heat"].data.map_blocks(
        _held,
        label=(segment.params["name"], stage, segment.index),
        dtype=float,
        meta=np.empty((0,)),
    )
    return Advance(state=state.assign(heat=("lat", heat)), output=None)


def stepped(
    name: str,
    *stages: str,
    segments: int,
    nodes: int = 1,
    most: int | None = None,
) -> Workflow:
    """Stages that read each other's segment before, all of which wait at gates."""
    wf = Workflow(name)
    span = Span(
        "2000-01-01", f"{2000 + segments}-01-01", every="1YS", calendar="noleap"
    )
    for stage in stages:
        wf.stage(
            stage,
            functools.partial(_step, stage=stage),
            init=zeros,
            span=span,
            reads={o: Coupling.PREVIOUS for o in stages if o != stage},
            chunks={"lat": 4},
            resources=Resources(nodes=nodes, max_nodes=most),
        )
    return wf
