"""Stories of maintenance, reservations and nodes that go at a known time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))


def wanted(
    name: str = "s", nodes: int = 1, most: int | None = None, **scenario: Any
) -> e.SimulationSubmitted:
    """Make the submission of a simulation of 19 segments of ten seconds."""
    one = stage(nodes=nodes, most=most, boundaries=tuple(range(20)))
    made = submitted(one, name=name)
    return msgspec.structs.replace(made, scenario=Scenario(name, **scenario))


def window(
    name: str = "w", start_s: float = 100.0, stop_s: float = 200.0, **more: Any
) -> e.WindowDeclared:
    """Make the declaration of a window."""
    return e.WindowDeclared(
        window=Window(name=name, start_s=start_s, stop_s=stop_s, **more)
    )


def begun(*names: str, nodes: tuple[str, ...] = ("n", "m")) -> Script:
    """Begin simulations that have computed a segment each, at 4 s or little later."""
    script = Script(RARELY)
    script.tell(*(wanted(name) for name in names))
    script.nodes(*nodes)
    for name in names:
        script.restored(simulation=name)
        script.finished(0, simulation=name)
    return script


def test_hard_maintenance_of_a_part_moves_whoever_is_there_before_it_starts() -> None:
    """At the last boundary from which the next would not be reached in time."""
    s = begun("s")

    assert s.tell(window(nodes=("n",))) == []
    assert s.wakes_after() == 95.0
    assert s.at(40.0, s.finish(1)) == ["plan s.a 2", "checkpoint s.a 2 #1"]
    # The checkpoint took three seconds, not as long as had to be assumed.
    assert s.committed(2)[-1] == "segment s.a 2 #1"
    assert s.at(90.0, s.finish(2)) == ["plan s.a 3", "checkpoint s.a 3 #1"]
    assert s.committed(3) == [
        "committed s.a 2",
        "abandon s.a #1",
        "lease s: none",
        "lease s: m",
        "attempt s.a #2 from 3",
    ]
    assert s.at(100.0) == []
    assert s.simulation().lost_s == 0.0
    assert s.at(200.0) == ["window w ended"]


def test_after_maintenance_of_the_whole_site_all_come_back_by_themselves() -> None:
    """All release in time; the end of the window is enough to start them again."""
    s = begun("s", "t")
    s.tell(window())
    for name in ("s", "t"):
        s.tell(s.finish(1, simulation=name))
        s.committed(2, simulation=name)

    assert s.at(85.0, s.finish(2, simulation="s"))[-1] == "checkpoint s.a 3 #1"
    assert s.tell(s.finish(2, simulation="t"))[-1] == "checkpoint t.a 3 #1"
    assert s.committed(3, simulation="s")[-1] == "lease s: none"
    assert s.committed(3, simulation="t")[-1] == "lease t: none"
    assert s.wakes_after() == 12.0
    assert s.at(100.0) == []
    assert s.wakes_after() == 100.0
    assert s.at(200.0) == [
        "window w ended",
        "lease s: n",
        "lease t: m",
        "attempt s.a #2 from 3",
        "attempt t.a #2 from 3",
    ]
    # When one of them would have waited too long: both have what they want, and that
    # is no reason to decide anew.
    assert s.wakes_after() == 3 * 86_400.0 - 113.0


def test_soft_maintenance_begins_at_the_next_boundary_after_its_start() -> None:
    """Nothing is stopped before; what runs at the start goes on to its boundary."""
    s = begun("s")

    assert s.tell(window(nodes=("n",), hard=False)) == []
    assert s.at(95.0, s.finish(1)) == ["segment s.a 2 #1"]
    assert s.at(100.0) == ["plan s.a 3"]
    assert s.finished(2) == ["checkpoint s.a 3 #1"]
    assert s.committed(3)[-4:] == [
        "abandon s.a #1",
        "lease s: none",
        "lease s: m",
        "attempt s.a #2 from 3",
    ]


def test_a_hard_window_that_is_declared_too_late_costs_what_was_computed() -> None:
    """The work is lost for want of wall time; no retry budget is used up."""
    s = begun("s", nodes=("n",))

    assert s.tell(window(start_s=9.0)) == ["plan s.a 2"]
    assert s.at(9.0) == [
        "abandon s.a #1",
        "back s.a to 0: 1 segments, 15 s, WALLTIME",
        "lease s: none",
    ]
    assert s.simulation().failures == {}
    assert s.tell(e.NodeLost(node="n")) == []
    assert s.orchestrator.state.losses.events == 0
    assert s.at(200.0) == ["window w ended"]
    assert s.nodes("n") == ["lease s: n", "attempt s.a #2 from 0"]


def test_coupled_sets_that_are_not_computed_lose_nothing_to_a_late_window() -> None:
    """Only the attempt that was under way is abandoned."""
    s = Script(RARELY)
    phases = stage("a"), stage("b", after=("a",))
    s.tell(submitted(*phases))
    s.nodes("n")
    s.restored()

    s.tell(window(start_s=5.0))
    assert s.at(5.0) == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 2 s, WALLTIME",
        "lease s: none",
    ]


def test_what_a_later_phase_will_take_keeps_nobody_from_the_present_one() -> None:
    """Only what can be begun has to end before the window."""
    s = Script(RARELY)
    later = stage("b", after=("a",))
    slow = Resources(nodes=1, segment_s=3600.0)
    s.tell(submitted(stage(), msgspec.structs.replace(later, resources=slow)))
    s.nodes("n")
    s.restored()
    s.finished(0)

    assert s.tell(window(start_s=600.0, stop_s=700.0)) == []
    assert s.finished(1) == ["segment s.a 2 #1"]


def test_what_is_left_of_a_gang_after_a_late_window_is_given_back() -> None:
    """It is no use to itself; with enough nodes it starts at once."""
    s = Script(RARELY)
    s.tell(wanted(nodes=2))
    s.nodes("n", "m")
    s.restored()

    s.tell(window(start_s=5.0, nodes=("n",)))
    assert s.at(5.0) == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 2 s, WALLTIME",
        "lease s: m",
        "lease s: none",
    ]
    assert s.nodes("o") == ["lease s: m,o", "attempt s.a #2 from 0"]


def test_an_attempt_that_has_no_states_yet_is_put_off_for_a_window() -> None:
    """What was not begun is not lost."""
    s = Script(RARELY)
    s.tell(wanted())
    s.nodes("n")

    s.tell(window(start_s=5.0))
    assert s.at(5.0) == ["abandon s.a #1", "lease s: none"]


def test_a_reservation_for_a_project_is_for_its_simulations_only() -> None:
    """Others leave before; the project may begin as soon as they have."""
    s = begun("s", nodes=("n",))
    s.tell(e.ProjectDeclared(project=Project("p")), wanted("t", project="p"))

    assert s.tell(window(start_s=30.0, holder="p")) == ["plan s.a 2"]
    assert s.finished(1) == ["checkpoint s.a 2 #1"]
    assert s.at(27.0, s.commit(2))[-3:] == [
        "lease s: none",
        "lease t: n",
        "attempt t.a #1 from 0",
    ]
    assert s.at(30.0) == []
    assert explain(s.orchestrator.state, "s", s.now_s).status.why == (
        "needs 1 node; none such is up; not for it: nodes of window w until "
        "1970-01-01 00:03:20 UTC"
    )
    assert s.simulation("t").lease == ("n",)


def test_a_reservation_for_a_simulation_shuts_its_own_project_out() -> None:
    """Who came first waits; when it is over both compete again."""
    s = Script(RARELY)
    s.tell(wanted("s"), wanted("t"), window(start_s=1.0, nodes=("n",), holder="t"))

    assert s.nodes("n") == ["lease t: n", "attempt t.a #1 from 0"]
    assert s.nodes("m") == ["lease s: m", "attempt s.a #1 from 0"]
    assert s.at(200.0) == ["window w ended"]


def test_a_window_by_number_takes_free_nodes_first() -> None:
    """Then those of its holder, then those of whoever came last."""
    s = begun("s")

    s.nodes("o")
    assert s.tell(window(count=2)) == ["window w: m,o"]
    held = begun("s", "t")
    assert held.tell(window(count=1)) == ["window w: m"]
    own = begun("s", "t")
    assert own.tell(window(count=1, holder="s")) == ["window w: n"]


def test_a_window_by_number_is_placed_once_enough_nodes_are_up() -> None:
    """Nodes of other windows at that time, drained ones, and such as go earlier
    do not count."""
    s = begun("s")
    s.tell(window("v", nodes=("n",)))
    s.nodes("d")
    s.tell(e.DrainRequested(node="d"))
    s.tell(e.NodeJoined(node="x", cores=4, deadline_s=150.0))

    assert s.tell(window(start_s=150.0, stop_s=250.0, count=2)) == []
    assert not s.orchestrator.state.windows["w"].placed
    assert s.nodes("o") == ["window w: m,o"]
    assert s.tell(window("later", 200.0, 300.0, count=1)) == ["window later: n"]


def test_a_window_that_is_withdrawn_in_time_moves_nobody() -> None:
    """Only the checkpoint that was planned for it is made."""
    s = begun("s", nodes=("n",))
    assert s.tell(window(start_s=30.0)) == ["plan s.a 2"]

    assert s.tell(e.WindowWithdrawn(name="w")) == []
    assert s.tell(e.WindowWithdrawn(name="w")) == []
    assert s.finished(1) == ["checkpoint s.a 2 #1 full", "segment s.a 2 #1"]
    assert s.wakes_after() is None


def test_a_window_that_is_withdrawn_gives_its_nodes_back_at_once() -> None:
    """Who waited for its end starts."""
    s = Script(RARELY)
    s.tell(wanted(), window(start_s=0.5))

    assert s.nodes("n") == []
    assert s.tell(e.WindowWithdrawn(name="w")) == [
        "lease s: n",
        "attempt s.a #1 from 0",
    ]


def test_a_node_is_left_before_its_walltime_ends() -> None:
    """Its loss is expected then and says nothing about how often nodes fail."""
    s = Script(RARELY)
    s.tell(wanted())
    s.tell(e.NodeJoined(node="n", cores=4, deadline_s=60.0))
    assert s.wakes_after() == 58.0
    s.restored()

    assert s.finished(0) == ["plan s.a 1", "checkpoint s.a 1 #1"]
    assert s.at(50.0, s.commit(1))[-1] == "lease s: none"
    assert s.at(60.0) == []
    assert s.tell(e.NodeLost(node="n")) == []
    assert s.orchestrator.state.losses.events == 0
    assert s.nodes("m") == ["lease s: m", "attempt s.a #2 from 1"]


def test_who_would_not_end_before_a_window_is_not_begun_on_its_nodes() -> None:
    """Nor is another of its workflow, which has shown nothing itself."""
    s = begun("s", nodes=("n",))
    s.tell(e.NodeLost(node="n"))
    s.tell(window(start_s=60.0))

    assert s.nodes("n") == []
    assert s.tell(wanted("t")) == []


def test_a_node_that_goes_soon_is_not_lent() -> None:
    """To take it would cost a checkpoint before anything came of it."""
    s = Script(RARELY)
    s.tell(wanted(most=2))
    s.nodes("n")
    s.restored()
    s.finished(0)

    assert s.tell(e.NodeJoined(node="m", cores=4, deadline_s=20.0)) == []
    assert s.tell(e.NodeJoined(node="o", cores=4, deadline_s=9e3)) == ["lease s: n,o"]


def test_who_is_slower_on_more_nodes_is_not_begun_on_them_too_late() -> None:
    """It is not given nodes at one instant again and again that close to it."""
    s = Script(RARELY)
    s.tell(wanted(most=2))
    s.nodes("n", "m")
    s.restored()
    slow = msgspec.structs.replace(s.finish(0), seconds=70.0)
    s.tell(slow)
    s.tell(e.NodeLost(node="m"), e.NodeLost(node="n"))
    s.nodes("n")
    s.restored()
    s.finished(0)
    s.tell(e.NodeLost(node="n"))
    s.tell(window(start_s=120.0))

    assert s.nodes("n", "m") == []
    assert s.at(200.0) == ["window w ended", "lease s: n,m", "attempt s.a #3 from 0"]


@pytest.mark.parametrize("restarted", [False, True])
def test_windows_outlive_the_driver(restarted: bool) -> None:
    """One that starts in the middle of maintenance waits for its end like any."""
    s = begun("s", nodes=("n",))
    s.tell(window(start_s=30.0))
    s.finished(1)
    s.at(27.0, s.commit(2))
    s.at(30.0)

    if restarted:
        s.at(50.0)
        assert s.restart("n") == ["publish s.a 2"]
    assert s.wakes_after() == 200.0 - s.now_s
    assert s.at(200.0) == ["window w ended", "lease s: n", "attempt s.a #2 from 2"]


def test_a_window_that_ended_while_no_driver_was_there_is_over() -> None:
    """It is taken away when the driver starts."""
    s = begun("s", nodes=("n",))
    s.tell(window(nodes=("n",)), window("by-number", count=1, start_s=150.0))

    s.now_s = 300.0
    told = s.restart("n")
    assert [word for word in told if "window" in word] == [
        "window w ended",
        "window by-number ended",
    ]
    assert told[-2:] == ["lease s: n", "attempt s.a #2 from 0"]


def test_a_reservation_outlives_the_driver() -> None:
    """Its nodes are for its holder after a restart too."""
    s = Script(RARELY)
    s.tell(wanted("s"), wanted("t"), window(start_s=0.5, holder="t"))
    s.nodes("n")

    assert s.restart("n", "m")[-2:] == ["lease t: n", "attempt t.a #2 from 0"]
    assert s.simulation("s").lease == ()
