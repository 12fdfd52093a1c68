"""Nodes go down, are missed and come back."""

from __future__ import annotations

import itertools

import pytest
import simpy

from climorch.model.events import NodeJoined, NodeLost
from climorch.twin.cluster import VirtualCluster
from climorch.twin.draws import Draws
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.site import TwinSite

DAY_S = 86_400.0


class Log:
    """Everything that a cluster told, with its time."""

    def __init__(self, site: TwinSite, *, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.lines: list[str] = []
        self.up_since: dict[str, float] = {}
        self.up_s: dict[str, float] = {}
        self.cluster = VirtualCluster(
            self.env, site, Draws(seed), post=self.post, residents=self
        )
        self.cluster.start()

    def post(self, fact: NodeJoined | NodeLost) -> None:
        word = "joined" if isinstance(fact, NodeJoined) else fact.reason
        self.lines.append(f"{self.env.now:g} {fact.node} {word}")

    def died(self, node: str) -> None:
        self.lines.append(f"{self.env.now:g} {node} dies")
        lived_s = self.env.now - self.up_since[node]
        self.up_s[node] = self.up_s.get(node, 0.0) + lived_s

    def came(self, node: str) -> None:
        self.up_since[node] = self.env.now

    def run(self, until_s: float) -> list[str]:
        self.env.run(until_s)
        return self.lines


def test_an_absence_is_noticed_late_and_ends_on_time() -> None:
    """Death, then the fact after the detection, then the node is back."""
    away = Absence(start_s=10.0, stop_s=20.0, count=1)
    log = Log(TwinSite(nodes=2, absences=(away,), detect_s=3.0))

    assert log.run(100.0) == [
        "0 node-0 joined",
        "0 node-1 joined",
        "10 node-1 dies",
        "13 node-1 taken by others",
        "20 node-1 joined",
    ]


def test_a_node_that_is_back_before_it_was_missed_joins_after_its_loss() -> None:
    """Its loss is told first, and it joins at the same instant."""
    away = Absence(start_s=10.0, stop_s=11.0)
    log = Log(TwinSite(nodes=1, absences=(away,), detect_s=3.0))

    assert log.run(100.0)[1:] == [
        "10 node-0 dies",
        "13 node-0 taken by others",
        "13 node-0 joined",
    ]


def test_a_node_that_is_absent_at_first_joins_later() -> None:
    """Nobody is told that it is lost, since it was never there."""
    away = Absence(start_s=0.0, stop_s=10.0)
    log = Log(TwinSite(nodes=1, absences=(away,)))

    assert log.run(100.0) == ["10 node-0 joined"]


def test_a_node_is_back_when_nothing_keeps_it_down_any_more() -> None:
    """Two absences that overlap are one."""
    first = Absence(start_s=10.0, stop_s=30.0)
    second = Absence(start_s=20.0, stop_s=50.0, nodes=("node-0",))
    log = Log(TwinSite(nodes=1, absences=(first, second), detect_s=1.0))

    assert log.run(100.0)[1:] == [
        "10 node-0 dies",
        "11 node-0 taken by others",
        "50 node-0 joined",
    ]


def test_periodic_outages_take_their_nodes_together() -> None:
    """A rack goes down and comes back, again and again."""
    rack = Outages(every_s=100.0, lasts_s=10.0, periodic=True, nodes=("node-1",))
    log = Log(TwinSite(nodes=2, outages=(rack,), detect_s=1.0))

    assert log.run(250.0)[2:] == [
        "100 node-1 dies",
        "101 node-1 outage",
        "110 node-1 joined",
        "200 node-1 dies",
        "201 node-1 outage",
        "210 node-1 joined",
    ]


def test_nodes_can_be_taken_and_given_back_from_outside() -> None:
    """As a script of a run may ask for."""
    log = Log(TwinSite(nodes=1, detect_s=1.0))
    log.run(5.0)

    log.cluster.take(["node-0"], "borrowed")
    log.run(10.0)
    log.cluster.give_back(["node-0"])

    assert log.lines[1:] == ["5 node-0 dies", "6 node-0 borrowed", "10 node-0 joined"]


def test_other_hazards_do_not_change_when_a_node_fails() -> None:
    """Failures of a node are the same beside outages, more nodes and no nodes."""
    failures = Failures(mtbf_s=DAY_S, repair_median_s=1.0, repair_sigma=0.0)
    outages = Outages(every_s=1e7, lasts_s=1.0, nodes=("node-1",))

    alone = Log(TwinSite(nodes=1, failures=failures)).run(5 * DAY_S)
    crowd = Log(TwinSite(nodes=3, failures=failures, outages=(outages,))).run(5 * DAY_S)

    assert len(alone) > 5
    assert [line for line in crowd if "node-0" in line] == alone


@pytest.mark.parametrize("shape", [1.0, 0.7])
def test_nodes_are_up_for_their_availability(shape: float) -> None:
    """Up time over the whole is MTBF / (MTBF + MTTR), within four errors."""
    failures = Failures(
        mtbf_s=9.0 * DAY_S, shape=shape, repair_median_s=DAY_S, repair_sigma=0.0
    )
    site, span_s = TwinSite(nodes=50, failures=failures, detect_s=0.0), 2000 * DAY_S
    log = Log(site)

    log.run(span_s)

    for node in log.cluster.up:
        log.up_s[node] = log.up_s.get(node, 0.0) + span_s - log.up_since[node]
    up = sum(log.up_s.values()) / (50 * span_s)
    # 10,000 cycles; the down share has about the relative error of a mean life.
    assert 1 - up == pytest.approx(1 - failures.availability, rel=4 * 1.5 / 100)


def test_speeds_have_mean_one_and_belong_to_the_nodes() -> None:
    """The same seed gives the same speeds; without spread all are one."""
    site = TwinSite(nodes=500, speed_cv=0.1)

    speeds = list(Log(site).cluster.speeds.values())

    assert speeds == list(Log(site).cluster.speeds.values())
    assert sum(speeds) / 500 == pytest.approx(1.0, abs=4 * 0.1 / 500**0.5)
    assert len(set(speeds)) == 500
    assert set(Log(TwinSite(nodes=2)).cluster.speeds.values()) == {1.0}


def test_facts_about_a_node_always_alternate() -> None:
    """However hazards overlap, a node joins, is lost, joins."""
    failures = Failures(mtbf_s=50.0, repair_median_s=5.0)
    outages = Outages(every_s=30.0, lasts_s=4.0, sigma=1.0)
    log = Log(TwinSite(nodes=3, failures=failures, outages=(outages,), detect_s=3.0))

    lines = [line.split()[1:] for line in log.run(5000.0) if "dies" not in line]

    for node in ("node-0", "node-1", "node-2"):
        joined = [word == "joined" for name, word in lines if name == node]
        assert len(joined) > 100
        assert joined[0]
        assert all(a != b for a, b in itertools.pairwise(joined))
