"""Which scenarios and projects may be declared."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.model.scenario import DEFAULT_PROJECT, Project, Scenario

RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)


def test_a_scenario_has_defaults() -> None:
    """A name is enough: no parameters, the default project, priority 0."""
    scenario = Scenario("ssp245-m01")

    assert scenario.params == {}
    assert scenario.project == DEFAULT_PROJECT == "default"
    assert scenario.priority == 0


@pytest.mark.parametrize(
    "params",
    [
        {"co2": 560, "name": "a", "on": True, "off": None, "x": 1.5},
        {"list": [1, 2.5, "a"], "nested": {"k": [{"a": 1}]}},
    ],
)
def test_parameters_that_json_keeps_are_taken(params: dict[str, Any]) -> None:
    """Numbers, texts, booleans, None and lists and dicts of these are kept."""
    assert Scenario("s", params=params).params == params


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"t": (1, 2)}, "they change when written as JSON"),
        ({"t": float("nan")}, "they change when written as JSON"),
        ({"t": {1: "a"}}, "they change when written as JSON"),
        ({"t": object()}, "Encoding objects of type object is unsupported"),
        ({"t": RECURSIVE}, "maximum recursion depth exceeded"),
    ],
)
def test_parameters_that_json_would_change_are_refused(
    params: dict[str, Any], problem: str
) -> None:
    """What the journal could not give back is refused when it is declared."""
    with pytest.raises(InvalidInputError) as caught:
        Scenario("s", params=params)

    (fault,) = caught.value.faults
    assert fault.place == "scenario 's', params"
    assert fault.problem.startswith(problem)


@pytest.mark.parametrize("name", ["", "a/b"])
def test_names_of_scenarios_and_projects_are_checked(name: str) -> None:
    """A scenario or project that exists has a name that may become a folder."""
    with pytest.raises(InvalidInputError, match=r"Scenario\.name"):
        Scenario(name)
    with pytest.raises(InvalidInputError, match=r"Scenario\.project"):
        Scenario("s", project=name)
    with pytest.raises(InvalidInputError, match=r"Project\.name"):
        Project(name)


def test_a_project_belongs_to_an_institution() -> None:
    """A project carries the name of who it belongs to."""
    assert Project("potsdam", institution="PIK").institution == "PIK"
