"""Misdeeds are done as often as they are to be, where they are to be."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.model.advance import Advance
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.testing.misdeeds import KINDS, Misdeed, misbehaving, strikes, struck_s


def step(state: xr.Dataset, inputs: Any, segment: Any) -> Advance:
    """Change nothing."""
    return Advance(state=state)


def tried(misdeed: Misdeed, folder: Path, segment: int, stage: str = "sea") -> Any:
    """What a segment of a stage gives."""
    wf = Workflow("w")
    for name in ("air", "sea"):
        wf.stage(name, step, span=Span("2000-01-01", "2005-01-01", every="1YS"))
    wf.remedy(lambda _: None)
    made = misbehaving(wf, misdeed, folder)
    assert made.on_blow_up is wf.on_blow_up
    (chosen,) = [s for s in made.stages if s.name == stage]
    state = xr.Dataset({"heat": ("lat", np.ones(4))}).chunk(lat=2)

    class At:
        index = segment
        params = MappingProxyType({"name": "m0"})

    moved: Any = chosen.step
    with dask.config.set(scheduler="synchronous"):
        return moved(state, {}, At()).state["heat"].to_numpy()


@pytest.mark.parametrize(
    ("kind", "value"), [("NaN", np.nan), ("Inf", np.inf), ("out of bounds", 1e9)]
)
def test_a_value_is_spoilt_as_often_as_told(
    tmp_path: Path, kind: str, value: float
) -> None:
    """In the first block of one segment of one stage; each time leaves a mark."""
    misdeed = Misdeed(kind=kind, times=2)
    folder = tmp_path / "marks"
    assert tried(misdeed, folder, 1).tolist() == [1.0] * 4
    assert tried(misdeed, folder, 2, "air").tolist() == [1.0] * 4
    for number in (1, 2):
        np.testing.assert_array_equal(tried(misdeed, folder, 2), [value, 1, 1, 1])
        assert strikes(folder) == number
    assert tried(misdeed, folder, 2).tolist() == [1.0] * 4
    assert strikes(folder) == 2


def test_stages_wait_for_each_others_halo(tmp_path: Path) -> None:
    """Whoever has the other's sends its own."""
    misdeed = Misdeed(kind="coupled deadlock")
    (tmp_path / "halo-of-air").touch()
    assert tried(misdeed, tmp_path, 2).tolist() == [1.0] * 4
    assert (tmp_path / "halo-of-sea").exists()
    assert tried(misdeed, tmp_path, 2, "air").tolist() == [1.0] * 4
    assert strikes(tmp_path) == 2


def test_a_bad_node_is_bad_for_whoever_computes_there() -> None:
    """Whichever stage and segment."""
    bad = Misdeed(kind="bad node", node="node001")
    assert bad.concerns("air", 0)
    assert not Misdeed(kind="poison").concerns("air", 2)


def test_a_misdeed_may_be_of_some_scenarios_only() -> None:
    """Those that have the parameters that it names."""
    poison = Misdeed(kind="poison", params={"name": "m0"})
    assert poison.concerns("sea", 2, {"name": "m0", "width": 3})
    assert not poison.concerns("sea", 2, {"name": "m1"})
    assert not poison.concerns("sea", 2)


def test_strikes_may_be_counted_by_a_parameter(tmp_path: Path) -> None:
    """Once for each of its values, whatever the stage."""
    misdeed = Misdeed(kind="Inf", by="name")
    assert tried(misdeed, tmp_path, 2).tolist() == [np.inf, 1.0, 1.0, 1.0]
    assert tried(misdeed, tmp_path, 2).tolist() == [1.0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["strike-m0-0"]


def test_it_is_known_when_a_misdeed_was_done_first(tmp_path: Path) -> None:
    """0 before that."""
    assert struck_s(tmp_path) == 0.0
    for number, at_s in enumerate((50.0, 40.0)):
        path = tmp_path / f"strike-sea-{number}"
        path.touch()
        os.utime(path, (at_s, at_s))
    assert struck_s(tmp_path) == 40.0


def test_there_are_no_other_misdeeds() -> None:
    """Every one is named."""
    with pytest.raises(InvalidInputError, match="there is no such misdeed"):
        Misdeed(kind="rudeness")
    assert len(KINDS) == 9
