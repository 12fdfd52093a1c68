"""What those who wait are told to expect."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.core.awaiting import Start, coming, expected_start, market_of
from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import SimulationPlan
from climorch.model.protection import Protection
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from climorch.policy.sharing import Sharing
from tests.unit.core.script import Script, plan, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))
SHARING = Sharing()
DAY_S = 86_400.0


def asks(name: str, nodes: int = 1, **scenario: Any) -> e.SimulationSubmitted:
    """A simulation of four segments."""
    found: SimulationPlan = plan(stage(nodes=nodes))
    return e.SimulationSubmitted(
        simulation=name, scenario=Scenario(name, **scenario), plan=found
    )


def measured(*nodes: str) -> Script:
    """s computes its second segment on the first nodes; one took ten seconds."""
    s = Script(RARELY)
    s.tell(submitted())
    s.nodes(*nodes)
    s.restored()
    s.finished(0)
    return s


def start(s: Script, name: str) -> Start:
    """What a simulation is told, seconds from now."""
    state = s.orchestrator.state
    market = market_of(state, SHARING)
    found = expected_start(state, state.simulations[name], market, s.now_s)
    if found.at_s is None:
        return found
    return Start(at_s=found.at_s - s.now_s, why=found.why)


def waits(s: Script, name: str) -> dict[str, Any]:
    """What explaining says of its waiting."""
    factors = explain(s.orchestrator.state, name, s.now_s).factors["waits for"]
    assert isinstance(factors, dict)
    return factors


def test_who_waits_for_an_end_is_told_when_it_is_expected() -> None:
    """Three more segments of ten seconds come before the turn is over."""
    s = measured("n")
    s.tell(asks("t"), after_s=0)

    assert start(s, "t") == Start(at_s=30.0, why="s is expected to end")
    assert waits(s, "t") == {
        "nodes lacking": 1,
        "nodes free": (),
        "nodes awaited": (),
        "asked to give back": {},
        "held by": {"n": "s"},
        "may come": {"n": s.now_s + 30.0},
        "expected start": s.now_s + 30.0,
        "expected after": "s is expected to end",
    }


def test_who_is_given_nodes_back_is_told_by_whom() -> None:
    """After ten seconds to its next boundary, and 30 for a first checkpoint."""
    s = measured("n")
    s.tell(asks("t", priority=5), after_s=0)

    found = start(s, "t")
    assert found.why == "s gives it back after its next checkpoint"
    assert found.at_s == 40.0
    told = waits(s, "t")
    assert told["nodes awaited"] == ("n",)
    assert told["asked to give back"] == {"s": ("n",)}
    why = "t has a higher priority"
    factors = explain(s.orchestrator.state, "s", s.now_s).factors
    assert factors["turn"]["gives up"] == why
    assert "waits for" not in factors


def test_who_is_before_in_line_gets_the_first_node_for_a_turn() -> None:
    """Its equal after one turn; nobody knows when one of another kind ends."""
    s = measured("n")
    s.tell(asks("t"), asks("u"), after_s=0)
    s.tell(asks("v", priority=-1), after_s=0)

    assert start(s, "u") == Start(
        at_s=30.0 + DAY_S, why="t, which is before it, has had a turn"
    )
    assert start(s, "v") == Start(
        at_s=None, why="nobody knows when t, which is before it, ends"
    )


def test_a_gang_that_cannot_be_met_holds_nobody_up() -> None:
    """It is told so itself; who is behind it is told of the node."""
    s = measured("n", "m")
    s.tell(asks("huge", nodes=5, priority=1), asks("pair", nodes=2), after_s=0)

    assert start(s, "huge") == Start(at_s=None, why="needs 5 nodes; 2 such are up")
    assert start(s, "pair") == Start(at_s=30.0, why="s is expected to end")
    assert waits(s, "pair")["nodes free"] == ("m",)


def test_nobody_knows_when_one_ends_that_was_never_measured() -> None:
    """It may be asked only when its turn is over, and then has to checkpoint."""
    s = Script(RARELY)
    s.tell(submitted(), asks("t"))
    s.nodes("n")
    s.restored()

    assert start(s, "t") == Start(at_s=None, why="nobody knows when s ends")
    assert waits(s, "t")["may come"] == {"n": None}


def test_the_end_of_a_turn_is_told_where_it_comes_first() -> None:
    """A slice of a day; then the way to the next boundary."""
    s = Script(RARELY)
    many = stage(boundaries=range(100_000))
    s.tell(submitted(many))
    s.nodes("n")
    turn_s = s.now_s
    s.restored()
    s.finished(0)
    s.tell(s.commit(1), after_s=0)
    s.tell(asks("t"), after_s=0)

    found = start(s, "t")
    assert found.why == "s may be asked for it then, and checkpoints"
    assert found.at_s is not None
    assert s.now_s + found.at_s == pytest.approx(turn_s + DAY_S + 10.0, abs=60.0)


def test_windows_put_a_start_off() -> None:
    """One after the other; not those of which it is the holder."""
    s = Script()
    s.nodes("n")
    for name, begin, end, holder in (
        ("one", 0.0, 1000.0, ""),
        ("two", 900.0, 2000.0, "x"),
        ("own", 2000.0, 9000.0, "t"),
    ):
        window = Window(
            name=name, start_s=begin, stop_s=end, nodes=("n",), holder=holder
        )
        s.tell(e.WindowDeclared(window=window))
    s.tell(asks("t"), after_s=0)

    assert start(s, "t") == Start(at_s=2000.0 - s.now_s, why="window two is over")
    factors = explain(s.orchestrator.state, "t", s.now_s).factors
    assert [w["window"] for w in factors["windows"]] == ["one", "two", "own"]
    assert [w["shuts it out"] for w in factors["windows"]] == [True, True, False]


def test_a_node_that_goes_too_soon_is_none() -> None:
    """Its walltime ends before anything could be done on it."""
    s = measured("n")
    s.tell(
        e.NodeJoined(node="m", cores=4, memory_bytes=0, deadline_s=s.now_s + 5.0),
        after_s=0,
    )
    s.tell(asks("t", nodes=2), after_s=0)
    state = s.orchestrator.state
    market = market_of(state, SHARING)
    (claim,) = [c for c in market.claims if c.simulation == "t"]

    # What s took says what t will need.
    assert [n.node for n in coming(state, market, claim, s.now_s)] == ["n", "m"]
    assert start(s, "t") == Start(at_s=None, why="it goes before")


def test_nodes_that_are_too_small_do_not_count() -> None:
    """Whoever has them."""
    s = Script()
    s.nodes("n", memory=10)
    s.tell(submitted(stage(memory=20)))

    told = "needs 1 node with 20 bytes of memory each; none such is up"
    assert start(s, "s") == Start(at_s=None, why=told)


def test_who_wants_nothing_now_is_told_why() -> None:
    """A budget that is used up, or no driver."""
    s = Script()
    s.tell(
        e.ProjectDeclared(project=Project("p", budget_node_hours=1e-9)),
        asks("poor", project="p"),
    )
    s.tell(asks("t"), after_s=0)
    assert start(s, "t") == Start(at_s=None, why="no node is up")
    s.nodes("n")
    s.tell(after_s=10.0)
    s.tell(after_s=10.0)
    state = s.orchestrator.state
    if state.simulations["poor"].lease:
        s.restored(simulation="poor")
        s.tell(after_s=1.0)
        s.finished(0, simulation="poor")
        s.committed(1, simulation="poor")
    assert start(s, "poor") == Start(
        at_s=None, why="the budget of project p is used up"
    )
    assert waits(s, "poor") == {
        "expected start": None,
        "expected after": "the budget of project p is used up",
    }
    budget = explain(state, "poor", s.now_s).factors["project"]
    assert budget["budget left, node-hours"] < 0
    assert budget["budget lasts, s"] == 0.0


def test_a_long_line_is_told_as_a_number() -> None:
    """It is not gone through one by one."""
    s = measured("n")
    s.tell(*(asks(f"t{i:04d}") for i in range(1002)), after_s=0)

    assert start(s, "t1001") == Start(at_s=None, why="1001 are before it in line")
    assert start(s, "t0999").why == "t0998, which is before it, has had a turn"


def test_shares_protection_and_walltime_are_told() -> None:
    """Two projects, one of them below its share, and nodes that go."""
    s = Script(RARELY)
    s.tell(
        e.ProjectDeclared(project=Project("big", share=3.0)),
        e.ProjectDeclared(project=Project("small", institution="uni")),
        asks("b", nodes=2, project="big"),
        e.NodeJoined(node="n", cores=4, memory_bytes=0, deadline_s=9000.0),
        e.NodeJoined(node="m", cores=4, memory_bytes=0),
    )
    kept = Protection(level=2, exempt_for_s=500.0, max_preemptions=3)
    s.tell(asks("k", project="small", protection=kept), after_s=100.0)
    state = s.orchestrator.state

    told = explain(state, "b", s.now_s).factors
    assert told["nodes go at"] == {"n": 9000.0}
    project = told["project"]
    # Nobody submitted to the default project.
    assert project["share of the site"] == pytest.approx(0.75)
    assert project["share of decayed usage"] == 1.0
    assert (project["place in Fair Tree"], project["projects"]) == (2, 2)
    assert project["nodes of its bare share"] == pytest.approx(1.5)
    assert project["nodes held"] == 2
    other = explain(state, "k", s.now_s).factors
    assert other["project"]["institution"] == "uni"
    assert other["project"]["nodes of its bare share"] == pytest.approx(0.5)
    assert other["protection"] == {
        "level": 2,
        "exempt for, s": 500.0,
        "between interruptions, s": 0.0,
        "interruptions in 30 days, at most": 3,
        "interruptions in the last 30 days": 0,
        "exempt until": None,
        "kept against other projects": True,
    }
