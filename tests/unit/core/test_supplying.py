"""Nodes that a site asked for and has not got, in the views of those that wait."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.core.statuses import status_of, summarise
from climorch.core.supplying import supply_factors, supply_told
from climorch.model import events as e
from climorch.model.commands import decode_record, encode_record
from climorch.model.supply import JobsWaiting, SiteTold
from tests.unit.core.script import Script, stage, submitted

LIMIT = JobsWaiting(
    jobs=2,
    nodes=2,
    since_s=1795741800.0,
    reason="QOSMaxNodePerUserLimit",
    meaning="no more of that may be held at once; lower nodes",
)
TOLD = SiteTold(
    system="Slurm",
    place="compute, QOS long",
    waiting=(LIMIT,),
    troubles={"submit": "the batch system takes no job: sbatch: error: full"},
)
WORDS = (
    "2 jobs of 2 nodes wait in Slurm (compute, QOS long) since 2026-11-27 01:10 UTC "
    "for QOSMaxNodePerUserLimit: no more of that may be held at once; lower nodes"
)


def story() -> Script:
    """A simulation without a node."""
    script = Script(Policies())
    script.tell(submitted(stage(boundaries=(0, 1, 2)), name="s"))
    return script


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        (LIMIT, WORDS),
        (
            JobsWaiting(jobs=1, nodes=1),
            "1 job of 1 node waits in Slurm (compute, QOS long)",
        ),
        (
            JobsWaiting(jobs=1, nodes=4, reason="Strange"),
            "1 job of 4 nodes waits in Slurm (compute, QOS long) for Strange",
        ),
    ],
)
def test_jobs_that_wait_are_told_in_a_sentence(
    waiting: JobsWaiting, words: str
) -> None:
    """How many, where, since when, why and what helps, as far as it is known."""
    script = story()
    script.tell(SiteTold(system="Slurm", place=TOLD.place, waiting=(waiting,)))
    assert supply_told(script.orchestrator.state) == (words,)


def test_whoever_waits_for_nodes_reads_why_the_site_gives_none() -> None:
    """In the reason for its status, and as numbers."""
    script = story()
    assert script.tell(TOLD) == []
    state = script.orchestrator.state
    told = explain(state, "s", state.now_s)

    assert told.status.why == (
        f"needs 1 node; none such is up; {WORDS}; {TOLD.troubles['submit']}"
    )
    assert told.factors["nodes asked of the site"] == {
        "batch system": "Slurm",
        "place": "compute, QOS long",
        "jobs that wait": (
            {
                "jobs": 2,
                "nodes of each": 2,
                "since": 1795741800.0,
                "reason": "QOSMaxNodePerUserLimit",
                "meaning": "no more of that may be held at once; lower nodes",
                "ends by waiting": True,
            },
        ),
        "trouble": TOLD.troubles,
    }
    assert WORDS in str(told)
    assert summarise(state, state.now_s)[0].why == told.status.why


def test_whoever_has_nodes_or_wants_none_does_not_read_it_as_its_reason() -> None:
    """It computes; that more nodes are on their way is a number beside."""
    script = story()
    script.nodes("n")
    script.tell(TOLD)
    state = script.orchestrator.state
    running = explain(state, "s", state.now_s)
    assert "Slurm" not in running.status.why
    assert "nodes asked of the site" in running.factors

    script.tell(e.PauseRequested(simulation="s"))
    assert "nodes asked of the site" not in explain(state, "s", state.now_s).factors


@pytest.mark.parametrize(
    "over",
    [
        SiteTold(system="Slurm", place="compute, QOS long"),
        e.DriverStopped(reason="done"),
        e.DriverStarted(epoch=2, host="h", pid=1),
    ],
)
def test_it_is_told_until_it_is_over_or_nobody_asks_any_more(over: Any) -> None:
    """All nodes came; or the driver ended, and the next one asks anew."""
    script = story()
    script.tell(TOLD)
    script.tell(over)
    state = script.orchestrator.state

    assert state.site is None
    assert (supply_told(state), supply_factors(state)) == ((), {})


def test_without_a_reason_to_wait_nothing_is_added() -> None:
    """As of a simulation of which the allocation was not asked."""
    script = story()
    script.tell(TOLD)
    state = script.orchestrator.state
    status = status_of(state, state.simulations["s"], state.now_s, None, ())
    assert status.why == "no driver runs"


def test_it_is_journaled_as_it_was_told() -> None:
    """Any process reads it there."""
    assert decode_record(encode_record(TOLD)) == TOLD
    assert (
        encode_record(SiteTold(system="PBS")) == b'{"type":"SiteTold","system":"PBS"}'
    )
