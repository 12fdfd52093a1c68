"""What a workflow may say about its phases."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr

import climorch as co
from climorch.intake.check import workflow_faults
from climorch.model.workflow import Workflow
from tests.unit.intake.ruled import step, years


def said(*stages: dict[str, Any]) -> list[str]:
    """Return the faults of a workflow of such stages."""
    wf = Workflow("w")
    for number, stage in enumerate(stages):
        given = {"span": years(2000, 2002), "init": xr.Dataset(), **stage}
        wf.stage(given.pop("name", f"s{number}"), step, **given)
    return [str(fault) for fault in workflow_faults(wf)]


LATER = years(2002, 2004)


def first(states: Any, segment: Any) -> xr.Dataset:
    """Make a first state of another."""
    return xr.Dataset()


def test_phases_that_are_right_have_no_fault() -> None:
    """On demand or optional after one that is not; dated ones may begin anywhere."""
    assert (
        said(
            {"name": "a"},
            {"name": "b", "after": ["a"], "span": LATER, "on_demand": True},
            {"name": "c", "after": ["a"], "span": years(1850, 1851), "begins": "dated"},
            {"name": "d", "optional": True},
            {
                "name": "e",
                "after": ["a", "d"],
                "span": LATER,
                "optional": True,
                "init": None,
                "transform": first,
            },
        )
        == []
    )


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (
            [{}, {"after": ["s0"], "span": LATER, "begins": "soon"}],
            "stage 's1', begins: got 'soon'; use one of joined, shifted, dated",
        ),
        ([{"begins": "joined"}], "stage 's0', begins: it comes after no stage"),
        (
            [
                {},
                {"after": ["s0"], "span": LATER, "begins": "dated"},
                {"after": ["s0"], "span": LATER, "reads": {"s1": co.SAME}},
            ],
            "begin in ways that differ: dated, joined",
        ),
        ([{"on_demand": True}], "every stage is on demand"),
        ([{"until": 3}], "stage 's0', until: got int; pass an Equilibrium"),
        (
            [
                {"until": bool, "reads": {"s1": co.SAME}},
                {},
                {"after": ["s1"], "span": LATER},
            ],
            "stage 's2', after 's1': that one may end early, and where this one begins "
            "then is not said",
        ),
        (
            [{}, {"reads": {"s0": co.SAME}, "on_demand": True}],
            "reads 's0': only one of the two is on demand",
        ),
        (
            [{}, {"on_demand": True}, {"after": ["s1"], "span": LATER}],
            "after 's1': that one is on demand, and may never be there",
        ),
        (
            [{}, {"after": ["s0"], "span": LATER, "transform": 3, "init": None}],
            "stage 's1', transform: int cannot be called",
        ),
        (
            [{}, {"after": ["s0"], "span": LATER, "transform": first}],
            "stage 's1', transform: there is an init too",
        ),
        (
            [{"transform": first, "init": None}],
            "stage 's0', transform: it comes after no stage",
        ),
        (
            [{"optional": True}, {"optional": True}],
            "workflow 'w': every stage is optional",
        ),
        (
            [{}, {"reads": {"s0": co.SAME}, "optional": True}],
            "stage 's1', reads 's0': only one of the two is optional",
        ),
        (
            [{}, {"optional": True}, {"after": ["s1"], "span": LATER}],
            "stage 's2', after 's1': that one is optional, and may never end",
        ),
    ],
)
def test_what_is_wrong_with_phases_is_said(
    stages: list[dict[str, Any]], expected: str
) -> None:
    """With the stage and what is expected."""
    assert any(expected in text for text in said(*stages))
