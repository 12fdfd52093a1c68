"""Stories of simulations that compete: priority, turns, shares, terms, budgets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from climorch.core.demand import demand_of
from climorch.core.outlook import Exposures
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.protection import Protection
from climorch.model.scenario import Project, Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.policy.sharing import Sharing
from tests.unit.core.script import Script, stage, submitted

P = e.ProjectDeclared(project=Project("p"))
Q = e.ProjectDeclared(project=Project("q"))
NEVER = Protection(level=1, max_preemptions=0)


def wanted(name: str, nodes: int = 1, **scenario: Any) -> e.SimulationSubmitted:
    """Make the submission of a simulation of 19 segments."""
    made = submitted(stage(nodes=nodes, boundaries=tuple(range(20))), name=name)
    return msgspec.structs.replace(made, scenario=Scenario(name, **scenario))


def contest(*facts: e.Fact, nodes: str = "n", every: int = 1, **sharing: Any) -> Script:
    """Begin; facts at 1 s, nodes at 2 s."""
    rules = {"gain": 0.0, "min_run_s": 50.0, "slice_s": 100.0, **sharing}
    script = Script(
        Policies(checkpointing=EverySegments(count=every), sharing=Sharing(**rules))
    )
    script.tell(*facts)
    script.nodes(*nodes)
    return script


def segment(script: Script, number: int, name: str) -> list[str]:
    """Let a simulation compute and commit one segment; return what came of it."""
    if number == 0:
        script.restored(simulation=name)
    script.finished(number, simulation=name)
    return script.committed(number + 1, simulation=name)


def test_a_higher_priority_takes_effect_at_the_next_boundary() -> None:
    """After a checkpoint; nothing is lost, and the interruption is counted."""
    s = contest(wanted("s"), every=99)
    s.restored()
    s.finished(0)

    assert s.tell(wanted("t", priority=1)) == [
        "preempt s: t has a higher priority",
        "plan s.a 2",
    ]
    # Decided once, it is not decided again.
    assert s.tell(wanted("u", priority=1)) == []
    assert s.finished(1) == ["checkpoint s.a 2 #1"]
    assert s.committed(2)[-3:] == [
        "lease s: none",
        "lease t: n",
        "attempt t.a #1 from 0",
    ]
    assert s.simulation().interruptions_s == (8.0,)
    assert s.simulation().interruptions == 1
    assert s.simulation().lost_s == 0.0


def test_equals_that_cannot_all_run_take_turns_of_the_same_length() -> None:
    """Each has its slice, ends it at a boundary, and comes back after the other."""
    s = contest(wanted("s"), wanted("t"))
    s.restored()
    # Only that t would have waited too long.
    assert s.wakes_after() == 3 * 86_400.0 - 2.0
    s.finished(0)
    s.committed(1)

    # From then on another project could ask, if there were one.
    assert s.wakes_after() == 47.0
    assert s.at(52.0) == []
    assert s.wakes_after() == 50.0
    assert s.at(102.0) == ["preempt s: it is the turn of t", "plan s.a 2"]
    assert segment(s, 1, "s")[-2:] == ["lease t: n", "attempt t.a #1 from 0"]
    segment(s, 0, "t")
    assert s.at(154.0) == []
    assert s.now_s + (s.wakes_after() or 0.0) == 204.0
    assert s.at(204.0) == ["preempt t: it is the turn of s", "plan t.a 2"]
    assert segment(s, 1, "t")[-2:] == ["lease s: n", "attempt s.a #2 from 2"]


def test_a_turn_is_not_over_before_something_was_committed_in_it() -> None:
    """Two whose restart takes as long as a slice would get nowhere else."""
    s = contest(wanted("s"), wanted("t"))

    assert s.at(500.0) == []
    s.restored()
    s.finished(0)
    assert "preempt s: it is the turn of t" in s.committed(1)


def test_a_project_below_its_target_gets_nodes_once_another_ran_long_enough() -> None:
    """The later of its simulations goes, at a boundary."""
    both = [wanted(n, project="p") for n in "ab"]
    s = contest(P, Q, *both, nodes="nm", slice_s=1e6)
    segment(s, 0, "a")
    segment(s, 0, "b")

    assert s.tell(wanted("c", project="q")) == []
    assert s.now_s + (s.wakes_after() or 0.0) == 52.0
    assert s.at(52.0) == [
        "preempt b: project q is below its share: c",
        "plan b.a 2",
    ]
    assert segment(s, 1, "b")[-3:] == [
        "lease b: none",
        "lease c: m",
        "attempt c.a #1 from 0",
    ]
    # Both have their share: nobody is asked any more.
    s.at(90_000.0)
    assert s.simulation("a").preempted is None
    assert s.simulation("c").preempted is None


def test_protected_simulations_within_the_floor_are_not_touched() -> None:
    """Neither by priority nor by another project, however long they run."""
    low = wanted("a", project="p", protection=Protection(level=1))
    s = contest(P, Q, low, nodes="n", gain=100.0)
    segment(s, 0, "a")

    s.tell(wanted("b", project="p", priority=9))
    s.tell(wanted("c", nodes=1, project="q"))
    s.nodes("m")
    assert s.simulation("c").lease == ("m",)
    s.at(90_000.0)
    assert s.simulation("a").lease == ("n",)
    assert s.simulation("a").preempted is None


def test_a_project_that_protects_everything_holds_no_more_than_its_share() -> None:
    """Not even by simulations that must never be interrupted."""
    s = contest(
        P, Q, *(wanted(n, project="p", protection=NEVER) for n in "ab"), nodes="nm"
    )
    segment(s, 0, "a")
    segment(s, 0, "b")

    s.tell(wanted("c", project="q"))
    assert s.at(52.0)[0] == "preempt b: project q is below its share: c"
    assert segment(s, 1, "b")[-2:] == ["lease c: m", "attempt c.a #1 from 0"]
    assert s.simulation("a").preempted is None


@pytest.mark.parametrize(
    ("terms", "interrupted_s", "expected"),
    [
        (Protection(), (), 2.0),
        (Protection(exempt_for_s=60.0), (), 62.0),
        (Protection(min_between_s=500.0), (), 2.0),
        (Protection(min_between_s=500.0), (-100.0,), 400.0),
        (Protection(max_preemptions=0), (), float("inf")),
        (Protection(max_preemptions=2), (-9.0,), 2.0),
        (Protection(max_preemptions=2), (-20.0, -9.0), 2_591_980.0),
    ],
)
def test_terms_say_until_when_nobody_interrupts(
    terms: Protection, interrupted_s: tuple[float, ...], expected: float
) -> None:
    """From the start of its turn, the last interruption, or those of 30 days."""
    s = contest(wanted("s", protection=terms))
    s.simulation().interruptions_s = interrupted_s

    claim = demand_of(s.orchestrator.state, s.simulation()).claim
    assert claim is not None
    assert claim.exempt_until_s == expected


def test_terms_hold_against_a_higher_priority() -> None:
    """It waits until the exemption is over, and not a second longer."""
    s = contest(wanted("s", protection=Protection(exempt_for_s=60.0)))
    segment(s, 0, "s")

    assert s.tell(wanted("t", priority=1)) == []
    assert s.at(62.0) == ["preempt s: t has a higher priority", "plan s.a 2"]


BUDGET = e.ProjectDeclared(project=Project("p", budget_node_hours=0.01))
RAISED = e.ProjectDeclared(project=Project("p", budget_node_hours=1.0))


def out_of_budget() -> Script:
    """Use a budget of 36 node-seconds up within the second segment."""
    s = contest(
        BUDGET,
        wanted("s", project="p"),
        wanted("t", project="p"),
        wanted("u", priority=5),
        nodes="nm",
        every=99,
    )
    s.restored()
    s.restored(simulation="u")
    s.finished(0)
    assert s.at(45.0, s.finish(1)) == ["plan s.a 2", "checkpoint s.a 2 #1"]
    return s


def test_a_budget_that_is_used_up_stops_its_project_at_the_next_boundary() -> None:
    """After a checkpoint. What waits gets nothing; the others go on."""
    s = out_of_budget()

    assert s.committed(2) == [
        "committed s.a 0",
        "committed s.a 1",
        "publish s.a 2",
        "abandon s.a #1",
        "lease s: none",
    ]
    assert s.finished(0, simulation="u") == ["segment u.a 1 #1"]
    assert not s.orchestrator.over


def test_a_campaign_of_which_only_spent_budgets_are_left_is_over() -> None:
    """A larger budget goes on where it stopped."""
    s = out_of_budget()
    s.committed(2)
    s.published(2)

    s.tell(e.CancelRequested(simulation="u"))
    assert s.orchestrator.over
    assert s.tell(RAISED) == [
        "lease s: n",
        "lease t: m",
        "attempt s.a #2 from 2",
        "attempt t.a #1 from 0",
    ]
    assert not s.orchestrator.over


def test_a_spent_budget_stays_spent_over_a_restart() -> None:
    """Also where the driver ends before the checkpoint: that work is lost."""
    s = out_of_budget()

    told = s.restart("n", "m")
    assert "lease u: n" in told
    assert not any(word.startswith(("lease s", "lease t")) for word in told)
    assert s.tell(RAISED)[-2:] == ["lease s: m", "attempt s.a #2 from 0"]


def test_a_preemption_that_a_restart_cuts_short_is_decided_anew() -> None:
    """All nodes are free then: whoever comes first gets them."""
    s = contest(wanted("s"), every=99)
    s.restored()
    s.finished(0)
    s.tell(wanted("t", priority=1))

    told = s.restart("n")
    assert told[-2:] == ["lease t: n", "attempt t.a #1 from 0"]
    assert s.simulation().preempted is None
    assert s.simulation().interruptions == 0


def test_turns_go_on_over_a_restart() -> None:
    """Who had its turn before does not get another one first."""
    s = contest(wanted("s"), wanted("t"))
    segment(s, 0, "s")
    s.at(102.0)
    s.finished(1)

    assert s.simulation().preempted is not None
    told = s.restart("n")
    assert told[-2:] == ["lease t: n", "attempt t.a #1 from 0"]


def test_shares_hold_over_a_restart() -> None:
    """The nodes of two projects are shared anew at once, without a minimum run."""
    s = contest(P, Q, *(wanted(n, project="p") for n in "ab"), nodes="nm")
    segment(s, 0, "a")
    segment(s, 0, "b")
    s.tell(wanted("c", project="q"))
    s.at(52.0)

    told = s.restart("n", "m")
    leased = [word for word in told if word.startswith("lease")]
    assert leased == ["lease c: n", "lease a: m"]


def test_what_would_be_lost_is_added_up_when_it_is_asked_for() -> None:
    """Of those that hold nodes; nobody else has anything to lose."""
    s = contest(wanted("s"), wanted("t"), every=99)
    s.restored()
    s.finished(0)
    found = Exposures(s.orchestrator.state)

    assert dict(found) == {"s": found["s"]}
    assert (len(found), [*found.values()]) == (1, [found["s"]])
    assert found["s"] > 0.0
    assert "t" not in found


def test_a_gang_above_its_share_is_served_once_it_waited_too_long() -> None:
    """Everybody is asked, and told why; paused time does not count."""
    small = [wanted(f"s{i}", project="pq"[i % 2]) for i in range(4)]
    s = contest(P, Q, *small, nodes="abcd", patience_s=500.0, slice_s=1e6)
    for i in range(4):
        segment(s, 0, f"s{i}")
    s.tell(wanted("x", 4, project="p"))
    since_s = s.simulation("x").waits_since_s
    s.tell(e.PauseRequested(simulation="x"))
    s.tell(e.ResumeRequested(simulation="x"), after_s=100.0)
    assert s.simulation("x").waits_since_s == s.now_s > since_s + 100.0

    assert s.simulation("s0").preempted is None
    s.at(s.now_s + 500.0)
    why = "x has waited too long"
    assert [s.simulation(f"s{i}").preempted for i in range(4)] == [why] * 4
