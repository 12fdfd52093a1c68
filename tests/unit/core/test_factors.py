"""The numbers behind a decision, by topic."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.core.explain import explain
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.protection import Protection
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from tests.unit.core.script import Script, plan, stage, submitted


def running(**more: Any) -> Script:
    """s of project p has run for 50 s on two nodes, one of them lent to it."""
    s = Script()
    s.tell(e.ProjectDeclared(project=Project("p", **more)))
    s.tell(
        e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario(
                "s",
                project="p",
                protection=Protection(level=1, exempt_for_s=600.0, max_preemptions=2),
            ),
            plan=plan(stage(most=3)),
        )
    )
    s.nodes("n", "m")
    s.tell(e.PriorityRequested(simulation="s", priority=1), after_s=50.0)
    return s


def factors(s: Script) -> dict[str, Any]:
    """What is said of s now."""
    return explain(s.orchestrator.state, "s", s.now_s).factors


def test_a_project_is_told_with_its_share_its_usage_and_its_nodes() -> None:
    """A project that is alone should hold all, and comes first."""
    assert factors(running())["project"] == {
        "name": "p",
        "institution": "p",
        "share": 1.0,
        # Nobody submitted to the default project: it takes nothing from others.
        "share of the site": 1.0,
        "share of the default project": None,
        "share of decayed usage": 1.0,
        "place in Fair Tree": 1,
        "projects": 1,
        "nodes wanted": 3.0,
        "nodes it should hold": 2.0,
        "nodes of its bare share": 2.0,
        "nodes held": 2,
        "used, node-hours": 100.0 / 3600,
        "budget, node-hours": None,
        "budget left, node-hours": None,
        "budget lasts, s": None,
    }


def test_a_budget_is_told_with_what_is_left() -> None:
    """Two node-hours less 100 node-seconds, on two nodes."""
    told = factors(running(budget_node_hours=2.0))["project"]

    assert told["budget, node-hours"] == 2.0
    assert told["budget left, node-hours"] == 7100.0 / 3600
    assert told["budget lasts, s"] == 3550.0


def test_the_terms_of_a_protection_are_told_with_how_far_they_hold() -> None:
    """Until when it is exempt, and whether other projects can touch it."""
    s = running()
    assert factors(s)["protection"] == {
        "level": 1,
        "exempt for, s": 600.0,
        "between interruptions, s": 0.0,
        "interruptions in 30 days, at most": 2,
        "interruptions in the last 30 days": 0,
        "exempt until": s.now_s + 550.0,
        "kept against other projects": True,
    }


def test_a_turn_is_told_from_its_beginning() -> None:
    """What was lent, what was committed, and why it gives its nodes up."""
    s = running()
    assert factors(s)["turn"] == {
        "since": s.now_s - 50.0,
        "slice, s": 86_400.0,
        "turns served": 0,
        "served before, s": 0.0,
        "committed in it": False,
        "borrowed": False,
        "nodes lent": 1,
        "gives up": None,
    }
    s.orchestrator.replay(
        [(c.PreemptPlanned(simulation="s", why="t is first"), s.now_s)]
    )
    assert factors(s)["turn"]["gives up"] == "t is first"


def test_windows_of_its_nodes_are_told() -> None:
    """And those of which nobody knows yet which nodes they take."""
    s = running()
    windows = (
        Window(name="b", start_s=1e5, stop_s=2e5, nodes=("m", "x"), hard=False),
        Window(name="a", start_s=1e5, stop_s=2e5, count=9, holder="p"),
        Window(name="c", start_s=1e5, stop_s=2e5, nodes=("x",)),
    )
    s.tell(*(e.WindowDeclared(window=window) for window in windows))

    told = factors(s)
    assert told["windows"] == (
        {
            "window": "a",
            "nodes": (),
            "start": 1e5,
            "stop": 2e5,
            "holder": "p",
            "hard": True,
            "placed": False,
            "shuts it out": False,
        },
        {
            "window": "b",
            "nodes": ("m",),
            "start": 1e5,
            "stop": 2e5,
            "holder": None,
            "hard": False,
            "placed": True,
            "shuts it out": True,
        },
    )
    assert told["nodes go at"] == {"m": 1e5}


def test_the_default_project_is_told_with_its_share_once_somebody_is_in_it() -> None:
    """It has a share of 1 beside one with 3; who has used nothing comes first."""
    s = running(share=3)
    s.tell(submitted(stage(), name="t"))

    told = factors(s)["project"]

    assert told["share of the site"] == 0.75
    assert told["share of the default project"] == 0.25
    assert (told["place in Fair Tree"], told["projects"]) == (2, 2)


def test_who_waits_is_told_when_it_has_waited_too_long() -> None:
    """Three days for more nodes than its project can free, by default."""
    s = running()
    began_s = s.now_s + 1.0
    s.tell(submitted(stage(nodes=2), name="t"))

    def told() -> Any:
        found = explain(s.orchestrator.state, "t", s.now_s).factors
        return found.get("has waited too long")

    assert told() == {
        "waits since": began_s,
        "patience, s": 3 * 86_400.0,
        "project should hold, of its bare share": pytest.approx(2.0, rel=0.2),
        "served before all others from": began_s + 3 * 86_400.0,
        "served before all others": False,
        "who is": None,
    }

    s.tell(e.PriorityRequested(simulation="s", priority=2), after_s=3 * 86_400.0)

    assert told()["served before all others"] is True
    assert told()["who is"] == "t"
    assert "has waited too long" not in factors(s)
