"""What a site tells of its nodes by itself."""

from __future__ import annotations

import re

import pytest

from climorch.engine.alarms import Alarms
from climorch.engine.herald import FORGOTTEN_S, Herald, hearing, part
from climorch.model import events as e


class Standing:
    """A site whose nodes outlive its Dask scheduler, as far as is looked at."""

    most_nodes = node_memory_bytes = node_cores = node_scratch_bytes = 1
    shared, patience_s, security = False, 1.0, None

    def __init__(self) -> None:
        self.did: list[str] = []
        self.news: object = None

    def listen(self, news: object) -> None:
        """Note who hears."""
        self.news = news

    async def open(self) -> str:
        """Do nothing."""
        return ""

    async def start_nodes(self) -> None:
        """Do nothing."""

    async def part(self) -> None:
        """Note it."""
        self.did.append("part")

    async def close(self) -> None:
        """Note it."""
        self.did.append("close")


class Passing:
    """A site whose nodes go with its Dask scheduler."""

    def __init__(self) -> None:
        self.did: list[str] = []

    async def close(self) -> None:
        """Note it."""
        self.did.append("close")


def test_an_end_is_kept_until_the_node_joins_and_told_once_it_has() -> None:
    """Jobs are known before their nodes are."""
    posted: list[e.Fact] = []
    here: list[str] = []
    herald = Herald(posted.append, Alarms(), lambda: here, now=lambda: 100.0)

    herald.goes("n.1", 500.0, "its job ends")
    assert posted == []
    assert herald.deadline_s("n.1") == 500.0
    assert herald.deadline_s("n.2") is None
    here.append("n.1")
    herald.goes("n.1", 200.0, "preempted")
    assert posted == [e.NodeDeadline(node="n.1", deadline_s=200.0, reason="preempted")]


def test_who_joins_again_while_it_is_taken_back_is_not_leased() -> None:
    """Its worker was started anew meanwhile: it is told once more."""
    posted: list[e.Fact] = []
    herald = Herald(posted.append, Alarms(), lambda: ["n.1"], now=lambda: 100.0)
    herald.goes("n.1", 130.0, "SIGTERM", recalled=True)
    herald.joined("n.2")
    assert len(posted) == 1
    herald.joined("n.1")
    known = e.NodeDeadline(
        node="n.1", deadline_s=130.0, reason="SIGTERM", recalled=True
    )
    assert posted == [known, known]
    herald.goes("n.1", 500.0, "its job ends")
    herald.joined("n.1")
    assert len(posted) == 3


def test_nodes_that_went_long_ago_are_forgotten() -> None:
    """A campaign of months has thousands of jobs; one that stays is kept."""
    clock = [0.0]
    herald = Herald(lambda fact: None, Alarms(), list, now=lambda: clock[0])
    herald.goes("old", 10.0, "")
    herald.goes("stays", None, "")
    clock[0] = 11.0 + FORGOTTEN_S
    herald.goes("new", clock[0] + 10.0, "")

    assert herald.deadline_s("old") is None
    assert herald.deadline_s("new") is not None
    assert set(herald._ends) == {"stays", "new"}


def test_trouble_is_an_alarm_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """Each subject is one of its own, and is told once."""
    herald = Herald(lambda fact: None, Alarms(), list)
    with caplog.at_level("INFO", "climorch.engine.alarms"):
        herald.trouble("submit", "refused")
        herald.trouble("query", "no answer")
        herald.trouble("query", "no answer")
        herald.trouble("submit", "")
        herald.trouble("other", "")

    found = [re.findall("event=([a-z]+).*text=(.*)", told) for told in caplog.messages]
    assert [one for line in found for one in line] == [
        ("begins", "refused"),
        ("begins", "no answer"),
        ("ends", "refused"),
    ]


def test_nodes_that_do_not_come_are_a_fact() -> None:
    """Whoever reads the journal reads why."""
    posted: list[e.Fact] = []
    told = e.SiteTold(system="Slurm", troubles={"query": "no answer"})
    Herald(posted.append, Alarms(), list).stands(told)
    assert posted == [told]


async def test_only_a_standing_site_is_heard_and_keeps_its_nodes() -> None:
    """Any other one is closed before it is opened again."""
    standing, passing = Standing(), Passing()
    herald = hearing(standing, lambda fact: None, Alarms(), list)
    hearing(passing, lambda fact: None, Alarms(), list)  # type: ignore[arg-type]
    await part(standing)
    await part(passing)  # type: ignore[arg-type]

    assert standing.news is herald
    assert standing.did == ["part"]
    assert passing.did == ["close"]
