"""What the state keeps of the usage of projects."""

from __future__ import annotations

import dataclasses
import math

import msgspec
import pytest

from climorch.core.fold import apply
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.state import FIRST_HALF_LIFE_S, CampaignState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.policy.sharing import Sharing
from tests.unit.core.script import Script, plan, submitted

LN2 = math.log(2)
WEEK_S = 7 * 86400.0


def of_project(name: str, project: str) -> e.SimulationSubmitted:
    """Make the submission of a simulation of a project."""
    scenario = Scenario(name, project=project)
    return msgspec.structs.replace(submitted(name=name), scenario=scenario)


def lease(name: str, *nodes: str) -> c.SetLease:
    """Make a lease."""
    return c.SetLease(simulation=name, nodes=nodes)


def folded(*records: tuple[float, c.Record]) -> CampaignState:
    """Fold records with their times; five nodes are up, the half-life is 10 s."""
    state = CampaignState()
    apply(state, c.SharingSet(half_life_s=10.0), 0.0)
    for i in range(5):
        apply(state, e.NodeJoined(node=f"n{i}", cores=1), 0.0)
    for name, project in (("s", "p"), ("t", "p"), ("u", "q")):
        apply(state, of_project(name, project), 0.0)
    for now_s, record in records:
        apply(state, record, now_s)
    return state


def test_a_week_is_the_half_life_of_journals_that_do_not_say() -> None:
    """Old journals fold to what they folded to, whatever the default is then."""
    assert CampaignState().half_life_s == FIRST_HALF_LIFE_S == WEEK_S


def test_leases_are_charged_to_their_project() -> None:
    """Two nodes for 10 s and one for 5 s: 25 node-seconds, faded in their turn."""
    state = folded(
        (0.0, lease("s", "n0", "n1")), (5.0, lease("t", "n2")), (10.0, lease("s"))
    )
    usage = state.usage["p"]

    assert (usage.at_s, usage.nodes, usage.node_s) == (10.0, 1, 25.0)
    assert usage.decayed_node_s == pytest.approx(10 / LN2 * (2 * 0.5 + 1 - 0.5**0.5))
    assert state.usage_at(20.0)["p"].node_s == 35.0
    assert "q" not in state.usage


def test_a_lost_node_is_charged_until_it_was_lost() -> None:
    """A lease that shrinks by a failure costs what is left of it."""
    state = folded((0.0, lease("s", "n0", "n1")), (4.0, e.NodeLost(node="n0")))

    assert (state.usage["p"].nodes, state.usage["p"].node_s) == (1, 8.0)
    assert state.usage_at(6.0)["p"].node_s == 10.0


def test_hours_after_a_driver_died_are_nobodys() -> None:
    """A new driver charges until the last record of the one before."""
    state = folded(
        (0.0, lease("s", "n0", "n1")),
        (4.0, e.StopRequested()),
        (1000.0, e.DriverStarted(epoch=2, host="h", pid=1)),
    )

    assert (state.usage["p"].nodes, state.usage["p"].node_s) == (0, 8.0)
    assert state.usage_at(state.now_s)["p"].decayed_node_s < 1e-28


def test_a_change_of_project_does_not_move_what_was_used() -> None:
    """What a simulation held before it changed its project stays with the old one."""
    changed = e.SimulationChanged(
        simulation="s", scenario=Scenario("s", project="q"), plan=plan()
    )
    state = folded((0.0, lease("s", "n0", "n1")), (6.0, changed))
    usage = state.usage_at(10.0)

    assert (usage["p"].nodes, usage["p"].node_s) == (0, 12.0)
    assert (usage["q"].nodes, usage["q"].node_s) == (2, 8.0)
    assert state.simulations["s"].node_s == 12.0


def test_another_half_life_holds_from_now_on() -> None:
    """Until then usage has faded by the old one, afterwards by the new one."""
    state = folded(
        (0.0, lease("s", "n0")),
        (10.0, lease("s")),
        (20.0, c.SharingSet(half_life_s=5.0)),
    )

    assert state.half_life_s == 5.0
    assert state.usage["p"].at_s == 20.0
    # Half of 10 / ln 2 after the lease, a quarter at the change, 1/8 five s later.
    assert state.usage["p"].decayed_node_s == pytest.approx(10 / LN2 / 4)
    assert state.usage_at(25.0)["p"].decayed_node_s == pytest.approx(10 / LN2 / 8)
    assert state.usage_at(25.0)["p"].node_s == 10.0


@pytest.mark.parametrize(
    ("half_life_s", "decided"),
    [(WEEK_S, []), (3600.0, ["half-life 3600 s"])],
)
def test_a_driver_with_another_half_life_says_so(
    half_life_s: float, decided: list[str]
) -> None:
    """The half-life is journaled where it changes, once, and never in between."""
    policies = Policies(
        checkpointing=EverySegments(), sharing=Sharing(half_life_s=half_life_s)
    )
    script = Script(policies)
    start = e.DriverStarted(epoch=1, host="h", pid=1)

    assert script.tell(e.StopRequested()) == []
    assert script.tell(start) == decided
    assert script.tell(start) == []
    assert script.orchestrator.state.half_life_s == half_life_s


def test_replay_needs_no_settings() -> None:
    """A journal folds to the same usage under other policies."""
    policies = Policies(checkpointing=EverySegments(), sharing=Sharing(half_life_s=9.0))
    script = Script(policies)
    journal: list[tuple[c.Record, float]] = []
    for fact in (
        e.DriverStarted(epoch=1, host="h", pid=1),
        submitted(),
        e.NodeJoined(node="n", cores=1),
        e.NodeJoined(node="m", cores=1),
        e.NodeLost(node="n"),
    ):
        script.tell(fact)
        journal += [(record, script.now_s) for record in script.outcome.records]
    other = Orchestrator(dataclasses.replace(policies, sharing=Sharing()))
    other.replay(journal)

    assert other.state == script.orchestrator.state
    assert other.state.usage["default"].node_s == 2.0
