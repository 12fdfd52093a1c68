"""Where an error was raised, as a user wants to read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from climorch.engine.raised import raised_at


def step(state: xr.Dataset) -> xr.Dataset:
    """Ask for what is not there."""
    return state["salinity"].to_dataset()


def caught(work: Callable[..., object], *given: object) -> BaseException:
    """Return what a call raises."""
    try:
        work(*given)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_user_s_own_line_is_named() -> None:
    """Not the one of xarray below it, where the error was raised."""
    error = caught(step, xr.Dataset())
    line = step.__code__.co_firstlineno + 2
    assert raised_at(error) == f"{Path(__file__)}:{line}, in step"[-200:]


def test_what_python_raises_by_itself_has_no_line_of_the_user_s() -> None:
    """Nor what was never raised."""
    error = caught(json.loads, "{")
    error = error.with_traceback(None)
    assert raised_at(error) == ""
    assert raised_at(ValueError("never raised")) == ""


def test_what_is_wrapped_is_asked_where_the_wrapper_does_not_say() -> None:
    """As errors of a model in a process of its own are."""
    wrapper = RuntimeError("it failed")
    wrapper.__cause__ = caught(step, xr.Dataset())
    assert raised_at(wrapper).endswith("in step")


@pytest.mark.parametrize(
    ("file", "users"),
    [
        ("/home/me/model.py", True),
        ("/home/me/climorch/model.py", True),
        ("/env/lib/python3.12/site-packages/ocean/step.py", True),
        ("/env/lib/python3.12/site-packages/xarray/core/dataset.py", False),
        ("/env/lib/python3.12/site-packages/climorch/engine/runner.py", False),
        ("/usr/lib/python3/dist-packages/numpy/core.py", False),
        ("/usr/lib/python3.12/json/decoder.py", False),
        ("<string>", False),
        ("<dynamic-code>", True),
    ],
)
def test_libraries_are_told_from_what_uses_them(file: str, users: bool) -> None:
    """On whatever machine the node is."""
    source = compile("def f():\n    raise ValueError('x')\n", file, "exec")
    space: dict[str, Callable[..., object]] = {}
    exec(source, space)
    error = caught(space["f"])
    traceback = error.__traceback__
    assert traceback is not None
    # The frame of this test itself is the user's: only that of the file counts.
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert bool(raised_at(error.with_traceback(traceback))) is users
