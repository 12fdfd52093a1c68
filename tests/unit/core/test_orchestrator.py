"""When the orchestrator looks, what it is asked for, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from climorch.core.demand import board_of
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.errors import InternalError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.scenario import Project
from climorch.policy.allocation import allocate
from climorch.policy.checkpointing import EverySegments
from climorch.policy.claims import Allocation, Claim, Contest, NodeOffer
from climorch.policy.sharing import Sharing
from tests.unit.core.script import Script, plan, stage, submitted

WHERE = "climorch.core.orchestrator"
PAUSE = e.PauseRequested(simulation="s")


class Counted:
    """The usual allocation; notes how many claims each pass had."""

    def __init__(self) -> None:
        self.passes: list[int] = []

    def __call__(
        self,
        claims: Sequence[Claim],
        offers: Sequence[NodeOffer],
        contest: Contest | None = None,
        *,
        tell_all: bool = True,
    ) -> Allocation:
        """Count, and decide as usual."""
        self.passes.append(len(claims))
        return allocate(claims, offers, contest, tell_all=tell_all)


def counted() -> tuple[Script, list[int]]:
    """Begin with an allocation that counts its passes."""
    allocation = Counted()
    rules = Policies(checkpointing=EverySegments(), allocation=allocation)
    return Script(rules), allocation.passes


def test_records_are_facts_and_decisions_in_order() -> None:
    """Facts come first; commands are those records that somebody must execute."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")

    joined, lease, attempt = s.outcome.records
    assert joined == e.NodeJoined(node="n", cores=4)
    assert lease == c.SetLease(simulation="s", nodes=("n",), why="its turn")
    assert s.outcome.commands == (lease, attempt)
    s.restored()
    s.finished(0)
    kinds = [type(record).__name__ for record in s.outcome.records]
    assert kinds == [
        "SegmentFinished",
        "CheckpointPlanned",
        "BeginCheckpoint",
        "StartSegment",
    ]
    assert [type(x).__name__ for x in s.outcome.commands] == kinds[2:]


def test_nothing_changed_means_no_pass_of_the_allocation() -> None:
    """Segments and checkpoints come and go without asking who gets which nodes."""
    s, passes = counted()
    s.tell(submitted(stage(boundaries=range(30))), submitted(name="x"))
    s.nodes("n")
    s.restored()
    # Its first checkpoint makes its turn one that may end.
    s.finished(0)
    s.committed(1)
    s.published(1)
    passes.clear()
    for k in range(1, 20):
        s.finished(k)
        s.committed(k + 1)
        s.published(k + 1)
        s.tell()
        s.tell(e.ProjectDeclared(project=Project("p")))

    assert passes == []
    s.tell(e.PriorityRequested(simulation="x", priority=-3))
    assert passes == [2]
    s.nodes("m")
    # The lease that was granted is itself a change.
    assert passes == [2, 2, 2]


def test_all_facts_of_an_instant_are_decided_on_once() -> None:
    """Ten nodes that join together make one lease, not ten."""
    s, passes = counted()
    s.tell(submitted(stage(nodes=2, most=10)))
    passes.clear()

    assert s.nodes(*"abcdefghij") == [
        "lease s: a,b,c,d,e,f,g,h,i,j",
        "attempt s.a #1 from 0",
    ]
    assert len(passes) == 2


def test_deciding_again_without_a_fact_decides_nothing() -> None:
    """A decision that was taken is not taken again."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")

    assert s.tell() == []
    assert s.outcome.records == ()


def test_a_call_that_decides_nothing_leaves_the_state_to_the_journal() -> None:
    """The clock of the state is that of the newest record."""
    s = Script()
    s.tell(submitted())
    s.tell(after_s=1000.0)

    assert s.orchestrator.state.now_s == 1.0


def test_an_earlier_time_is_taken_as_the_latest_known() -> None:
    """A clock that is set back does not make anything younger."""
    s = Script()
    s.tell(submitted(), after_s=50.0)
    outcome = s.orchestrator.handle([e.NodeJoined(node="n", cores=1)], 10.0)

    assert len(outcome.records) == 3
    assert s.orchestrator.state.now_s == 50.0
    assert s.orchestrator.state.nodes["n"].since_s == 50.0


def test_replay_gives_the_state_that_was_lived_and_decides_nothing() -> None:
    """Folding all records anew ends in an equal state."""
    s = Script()
    journal: list[tuple[c.Record, float]] = []

    def note() -> None:
        journal.extend((record, s.now_s) for record in s.outcome.records)

    s.tell(submitted())
    note()
    s.nodes("n")
    note()
    s.restored()
    note()
    s.finished(0)
    note()
    again = Orchestrator(s.policies)
    again.replay(journal)

    assert again.state == s.orchestrator.state
    # A new driver starts from there.
    commands = again.handle([e.NodeLost(node="n")], s.now_s).commands
    assert [type(x).__name__ for x in commands] == ["AbandonAttempt", "SetLease"]


def test_a_state_may_be_given() -> None:
    """An orchestrator can be made on a state that was folded elsewhere."""
    s = Script()
    s.tell(submitted())
    other = Orchestrator(Policies(), s.orchestrator.state)

    assert len(other.handle([e.NodeJoined(node="n", cores=1)], 5.0).commands) == 2


def test_the_earliest_retry_is_when_to_wake() -> None:
    """Without a fact there is a reason to look again only where one waits."""
    s = Script()
    s.tell(submitted(), submitted(name="x"), submitted(name="y"))
    s.nodes("n", "m", "l")
    for name in "sxy":
        s.restored(simulation=name)
    s.failed(0, Cause.MEMORY)
    s.failed(0, Cause.HANG, simulation="x")

    assert s.wakes_after() == 1
    assert s.tell(after_s=1.0) == ["attempt x.a #2 from 0"]
    # Five seconds, of which two have passed.
    assert s.wakes_after() == 3
    s.tell(e.CancelRequested(simulation="s"))
    assert s.wakes_after() is None


def test_lent_nodes_come_back_for_who_waits() -> None:
    """A simulation that has more than its gang checkpoints and goes on smaller."""
    s = Script(Policies(checkpointing=EverySegments(count=99)))
    s.tell(submitted(stage(nodes=1, most=3)))
    s.nodes("a", "b", "c")
    s.restored()

    assert s.tell(submitted(stage(nodes=2), name="x")) == [
        "shrink s to 1",
        "plan s.a 1",
    ]
    # While the nodes are on their way back nobody else jumps in or is asked.
    assert s.tell(submitted(name="y")) == []
    assert s.orchestrator.allocation.waits == {
        "x": "needs 2 more nodes; 0 are free, 2 will be given back",
        "y": "goes after x",
    }
    assert s.finished(0) == ["checkpoint s.a 1 #1"]
    assert s.committed(1) == [
        "committed s.a 0",
        "publish s.a 1",
        "abandon s.a #1",
        "lease s: a",
        "lease x: b,c",
        "attempt s.a #2 from 1",
        "attempt x.a #1 from 0",
    ]


def test_a_lease_that_shrinks_is_not_asked_to_shrink_further() -> None:
    """One that goes before all others gets the whole of it instead."""
    s = Script()
    s.tell(submitted(stage(nodes=1, most=3)))
    s.nodes("a", "b", "c")
    s.restored()
    assert s.tell(submitted(name="x"))[0] == "shrink s to 2"

    assert s.tell(submitted(stage(nodes=2), name="y")) == []
    assert s.simulation().shrink_to == 2
    assert s.tell(submitted(stage(nodes=3), name="z", priority=1)) == [
        "preempt s: z has a higher priority",
    ]
    assert s.finished(0) == ["checkpoint s.a 1 #1"]
    assert s.committed(1)[-3:] == [
        "lease s: none",
        "lease z: a,b,c",
        "attempt z.a #1 from 0",
    ]


def test_a_gang_that_grew_takes_nothing_away_from_itself() -> None:
    """A larger gang that is asked for while nodes go back keeps what it holds."""
    s = Script(Policies(checkpointing=EverySegments(count=99)))
    s.tell(submitted(stage(nodes=1, most=3)))
    s.nodes("a", "b", "c")
    s.restored()
    s.tell(submitted(stage(nodes=2), name="x"))
    larger = e.SimulationChanged(
        simulation="s",
        scenario=s.simulation().scenario,
        plan=plan(stage(nodes=3, most=3)),
    )

    assert s.tell(larger) == []
    claim = board_of(s.orchestrator.state, Sharing()).claims["s"]
    assert claim.held == ("a", "b", "c")


def test_claims_and_offers_are_what_the_allocation_is_asked() -> None:
    """Who is paused claims nothing, and its nodes are on their way back."""
    s = Script()
    s.tell(submitted(stage(nodes=1, most=2, memory=10)), submitted(name="x"))
    s.nodes("n")
    state = s.orchestrator.state

    board = board_of(state, Sharing())
    assert [*board.claims] == ["s", "x"]
    assert board.claims["s"] == Claim(
        simulation="s",
        priority=0,
        serial=0,
        nodes=1,
        most_nodes=2,
        project="default",
        memory_bytes=10,
        held=("n",),
        turn_s=s.now_s,
        exempt_until_s=s.now_s,
        fruitful=False,
    )
    assert board.claims["x"].waits_since_s == 1.0
    assert board.offers() == (NodeOffer(name="n", cores=4),)
    s.restored()
    s.tell(PAUSE)
    board = board_of(state, Sharing())
    assert [*board.claims] == ["x"]
    assert board.offers() == (NodeOffer(name="n", cores=4, leaving=True),)
    s.tell(e.StopRequested())
    assert not board_of(state, Sharing()).claims


def test_a_campaign_of_nothing_is_over() -> None:
    """There is nothing to wait for."""
    assert Script().orchestrator.over


def test_a_simulation_that_may_run_is_not_over() -> None:
    """What waits for nodes keeps the driver there."""
    s = Script()
    s.tell(submitted())

    assert not s.orchestrator.over
    s.tell(PAUSE)
    assert s.orchestrator.over


def test_going_round_in_circles_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in deciding ends in an error, not in a full disk."""
    decision = c.ShrinkPlanned(simulation="s", nodes=1)
    monkeypatch.setattr(f"{WHERE}.next_records", lambda *_: iter([decision]))
    monkeypatch.setattr(f"{WHERE}.MOST_RECORDS", 50)

    with pytest.raises(InternalError, match="deciding does not end: ShrinkPlanned"):
        Script().tell(submitted())


@pytest.mark.parametrize(
    "fact",
    [
        PAUSE,
        e.SegmentFinished(simulation="s", stage="a", segment=0, attempt=1, seconds=1.0),
    ],
)
def test_a_fact_about_an_unknown_simulation_touches_nobody(fact: e.Fact) -> None:
    """It is journaled like any other."""
    s = Script()
    s.tell(fact)

    assert s.outcome.records == (fact,)
