"""Stories of simulations whose programs start within one job. Nodes: number, job."""

from __future__ import annotations

import pytest

from climorch.core.awaiting import expected_start, market_of
from climorch.core.expecting import still_needed
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.policy.sharing import Sharing
from tests.unit.core.script import Script, plan, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))


def joined(script: Script, *names: str) -> list[str]:
    """Let nodes join, each of the job that is the second half of its name."""
    return script.tell(
        *(e.NodeJoined(node=n, cores=4, job=n.partition(".")[2]) for n in names)
    )


def gang(name: str = "s", nodes: int = 2) -> e.SimulationSubmitted:
    """Submit one that needs so many nodes of one job."""
    return submitted(stage(nodes=nodes, together=True), name=name)


def test_it_waits_until_a_job_has_enough_and_says_so() -> None:
    """Two nodes of two jobs are not what it needs."""
    s = Script(RARELY)
    s.tell(gang())
    assert joined(s, "1.7", "1.8") == []
    told = market_of(s.orchestrator.state, Sharing()).decided.waits["s"]
    assert told == "needs 2 nodes of one job; 1 such is up"
    assert joined(s, "2.8")[0] == "lease s: 1.8,2.8"


def test_when_its_job_shrinks_it_goes_to_another_one() -> None:
    """What is left of the first one is nobody's; it is restored on the second."""
    s = Script(RARELY)
    s.tell(gang())
    joined(s, "1.7", "2.7", "1.8", "2.8")
    assert s.simulation().lease == ("1.7", "2.7")
    s.restored()
    told = s.tell(e.NodeLost(node="2.7"))

    assert told[-3:-1] == ["lease s: none", "lease s: 1.8,2.8"]


def test_a_lease_of_two_jobs_is_left_at_a_boundary() -> None:
    """A rule gave it such a program only now: it keeps what is of one job."""
    s = Script(RARELY)
    s.tell(submitted(stage(nodes=3)))
    joined(s, "1.7", "1.8", "2.8")
    s.restored()
    s.finished(0)
    assert s.simulation().lease == ("1.7", "1.8", "2.8")
    wanted = plan(stage(nodes=3, together=True))
    told = s.tell(
        e.SimulationChanged(simulation="s", scenario=Scenario("s"), plan=wanted)
    )
    assert told == ["plan s.a 2"]
    assert s.finished(1) == ["checkpoint s.a 2 #1"]
    told = s.tell(s.commit(2))
    # Nor is it a gang then.
    assert told[-2:] == ["lease s: 1.8,2.8", "lease s: none"]
    # The rest of the job comes.
    assert joined(s, "3.8")[0] == "lease s: 1.8,2.8,3.8"


def test_a_node_that_hung_is_left_for_another_job() -> None:
    """With all of the lease: the rest of the gang is of no use without it."""
    s = Script(RARELY)
    s.tell(gang())
    joined(s, "1.7", "2.7", "1.8", "2.8")
    s.restored()
    told = s.tell(
        e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=0,
            attempt=1,
            cause=e.Cause.HANG,
            message="hangs",
            node="2.7",
        )
    )
    assert "lease s: 1.8,2.8" in told
    assert s.simulation().lease == ("1.8", "2.8")
    assert s.simulation().lease_why == "leaves 1.7: programs start within one job"


def test_when_it_may_start_is_told_by_jobs() -> None:
    """The node that comes first is of another job than its next one."""
    s = Script(RARELY)
    s.tell(submitted(name="s"), submitted(name="t"))
    s.tell(submitted(stage(boundaries=range(9)), name="u"))
    joined(s, "1.7", "1.8", "2.8")
    for name in "stu":
        s.restored(simulation=name)
        s.finished(0, simulation=name)
    s.tell(gang("x"))
    state = s.orchestrator.state

    found = expected_start(
        state, state.simulations["x"], market_of(state, Sharing()), s.now_s
    )
    # s on 1.7 and t on 1.8 end first; u on 2.8 has most left.
    assert found.why == "u is expected to end"
    s.tell(gang("y", 4))
    state = s.orchestrator.state
    found = expected_start(
        state, state.simulations["y"], market_of(state, Sharing()), s.now_s
    )
    assert (found.at_s, found.why) == (None, "needs 4 nodes of one job; 2 such are up")


@pytest.mark.parametrize(("together", "nodes"), [(True, 3), (False, 2)])
def test_what_is_left_of_its_job_is_kept_with_it(together: bool, nodes: int) -> None:
    """A site that gave up a job for each two nodes would take them from others."""
    s = Script(RARELY)
    s.tell(submitted(stage(nodes=2, together=together)))
    joined(s, "1.7", "2.7", "3.7", "1.8")
    s.restored()
    s.finished(0)
    need = still_needed(s.orchestrator.state)
    assert need is not None
    assert need[0] == nodes
