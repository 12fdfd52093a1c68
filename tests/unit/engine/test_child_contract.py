"""What a model in a process of its own must be and return."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import xarray as xr

from climorch.engine.child import ModelFailedError
from climorch.engine.children import Children
from climorch.model.events import Cause
from climorch.model.steps import Isolated, LiveModel
from climorch.testing.awkward import awkward_init
from tests.unit.engine.model_cases import job, run, segment

STATE = awkward_init(segment(0), {})


def test_a_factory_is_given_the_segment_if_it_must_have_one(
    children: Children,
) -> None:
    """An optional argument of a class is not mistaken for one."""

    class Told:
        def __init__(self, given: Any = None) -> None:
            self.given = given

        def load(self, state: xr.Dataset) -> None:
            self.state = state

        def run(self, inputs: Any, given: Any) -> dict[str, Any]:
            return {"metrics": {"given": 0 if self.given is None else 1}}

        def dump(self) -> xr.Dataset:
            return self.state

    def needs(given: Any) -> Told:
        return Told(given)

    found = []
    for factory in (Told, needs):
        advance, _ = run(children, job(LiveModel(factory), stage="a"), STATE)
        found.append(dict(advance.metrics or {}))
    assert found == [{"given": 0.0}, {"given": 1.0}]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (lambda: None, "got NoneType, expected xarray.Dataset"),
        (lambda: {"heat": 1}, "got dict, expected xarray.Dataset"),
        (lambda: _unpicklable(), "cannot pickle"),
    ],
)
def test_what_a_step_returns_is_checked_where_it_is(
    children: Children, step: Any, told: str
) -> None:
    """It must be a Dataset that can be sent."""
    with pytest.raises(ModelFailedError, match=told) as raised:
        run(children, job(Isolated(lambda state, inputs, given: step())), STATE)
    assert raised.value.cause is Cause.MODEL


def _unpicklable() -> xr.Dataset:
    return STATE.assign_attrs(lock=threading.Lock())


@pytest.mark.parametrize("returned", [3, {"state": 1}])
def test_what_a_live_model_returns_is_checked(
    children: Children, returned: object
) -> None:
    """Its state comes from dump alone."""

    class Model:
        def load(self, state: xr.Dataset) -> None:
            self.state = state

        def run(self, inputs: Any, given: Any) -> Any:
            return returned

        def dump(self) -> xr.Dataset:
            return self.state

    with pytest.raises(ModelFailedError, match=r"the state comes from dump\(\)"):
        run(children, job(LiveModel(Model)), STATE)
