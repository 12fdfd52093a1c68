"""Which scenarios and projects may be declared."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
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
    ("params", "where", "problem"),
    [
        ({"t": (1, 2)}, "['t']", "they change when written as JSON: got a tuple"),
        ({"t": float("nan")}, "['t']", "they change when written as JSON: got a float"),
        (
            {"t": {1: "a"}},
            "['t']",
            "they change when written as JSON: has the keys 1, which are no text",
        ),
        ({"t": object()}, "['t']", "got a object, which JSON does not have"),
        ({"t": np.float64(1)}, "['t']", "got a float64, which JSON does not have"),
        (
            {"a": 1, "t": {"u": [1, np.float32(2)]}},
            "['t']['u'][1]",
            "got a float32, which JSON does not have",
        ),
        ({"t": RECURSIVE}, "", "maximum recursion depth exceeded"),
    ],
)
def test_parameters_that_json_would_change_are_refused(
    params: dict[str, Any], where: str, problem: str
) -> None:
    """What the journal could not give back is refused when it is declared."""
    with pytest.raises(InvalidInputError) as caught:
        Scenario("s", params=params)

    (fault,) = caught.value.faults
    assert fault.place == f"scenario 's', params{where}"
    assert fault.problem.startswith(problem)


def test_all_that_is_wrong_with_a_scenario_is_told_together() -> None:
    """A name, kinds and parameters: one error, one line for each."""
    wrong: dict[str, Any] = {"priority": "high", "protection": 1, "mandatory": "yes"}
    with pytest.raises(InvalidInputError) as caught:
        Scenario("a/b", params={"w": (1,), "v": {2}}, value=0.0, **wrong)

    assert [fault.place for fault in caught.value.faults] == [
        "Scenario.name",
        "scenario 'a/b', priority",
        "scenario 'a/b', protection",
        "scenario 'a/b', mandatory",
        "scenario 'a/b', value",
        "scenario 'a/b', params['w']",
        "scenario 'a/b', params['v']",
    ]


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


def test_a_project_has_a_share_and_no_budget() -> None:
    """A name is enough: a share of one, and as many node-hours as there are."""
    project = Project("p")

    assert (project.share, project.budget_node_hours) == (1.0, None)
    assert Project("p", share=2, budget_node_hours=50_000).budget_node_hours == 50_000


@pytest.mark.parametrize(
    "value", [0.0, -1.0, float("nan"), float("inf"), True, "2", Fraction(1, 2)]
)
def test_shares_and_budgets_are_plain_numbers_above_zero(value: Any) -> None:
    """Every fault of a project is told at once, with what was got."""
    with pytest.raises(InvalidInputError) as caught:
        Project("a/b", share=value, budget_node_hours=value)
    name, share, budget = caught.value.faults

    assert name.place == "Project.name"
    assert share.place == "project 'a/b', share"
    assert share.problem == f"got {value!r}, expected a finite number > 0"
    assert budget.place == "project 'a/b', budget_node_hours"
    assert budget.problem == f"got {value!r}, expected a finite number > 0, or None"


def test_projects_of_older_journals_have_a_share() -> None:
    """A project that was declared without a share is read with a share of one."""
    read = msgspec.json.decode(b'{"name":"p","institution":"P"}', type=Project)

    assert read == Project("p", institution="P", share=1.0)
    assert msgspec.json.decode(msgspec.json.encode(read), type=Project) == read
