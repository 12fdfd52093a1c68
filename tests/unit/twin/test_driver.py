"""The virtual driver: commands become facts at the right times."""

from __future__ import annotations

import pytest

from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.twin.costs import Work
from climorch.twin.driver import Twin
from climorch.twin.hazards import Absence
from climorch.twin.loads import Loads
from climorch.twin.site import TwinSite
from climorch.twin.storage import BadSpell, Storage
from tests.unit.core.script import submitted
from tests.unit.twin.stage import OVERHEADS, Play, stage


def test_a_simulation_runs_to_its_end_and_the_run_ends_with_it() -> None:
    """Two segments of ten seconds on one of four nodes."""
    play = Play()
    play.submit(stage(segments=2))

    play.run()

    assert play.told() == [
        "0 SimulationSubmitted s",
        "0 NodeJoined node-0",
        "0 NodeJoined node-1",
        "0 NodeJoined node-2",
        "0 NodeJoined node-3",
        "0 lease s: node-0",
        "0 attempt s.a #1 from 0",
        "0 SetRestored s",
        "0 segment s.a 0 #1",
        "10 SegmentFinished s.a 0",
        "10 plan s.a 1",
        "10 checkpoint s.a 1 #1 full",
        "10 segment s.a 1 #1",
        "10 CheckpointCommitted s",
        "10 committed s.a 0",
        "10 publish s.a 1",
        "10 ResultsPublished s",
        "20 SegmentFinished s.a 1",
        "20 plan s.a 2",
        "20 checkpoint s.a 2 #1",
        "20 CheckpointCommitted s",
        "20 committed s.a 1",
        "20 abandon s.a #1",
        "20 publish s.a 2",
        "20 lease s: none",
        "20 ResultsPublished s",
    ]
    assert play.twin.ended
    assert play.twin.now_s == 20.0
    assert play.parts() == {"USEFUL": 20.0, "FREE": 60.0}
    assert play.twin.ledger.accounts["s"].completed_s == 20.0


def test_starts_cuts_and_writing_take_their_time() -> None:
    """Restart 1, init 2, then segments of 10; a cut stalls 0.5, writing takes 3."""
    play = Play(overheads=OVERHEADS, nodes=1)
    play.submit(stage(segments=2))

    play.run()

    assert play.told("SetRestored", "SegmentFinished", "CheckpointCommitted") == [
        "3 SetRestored s",
        "13 SegmentFinished s.a 0",
        "16 CheckpointCommitted s",
        "23.5 SegmentFinished s.a 1",
        "26.5 CheckpointCommitted s",
    ]
    (_, commit), _ = play.facts(e.CheckpointCommitted)
    assert (commit.seconds, commit.cost_s, commit.independent) == (3.0, 0.5, True)
    assert play.parts() == {
        "RESTORE": 3.0,
        "USEFUL": 20.0,
        "STALL": 0.5,
        "DRAIN": 3.0,
        # Until the results were published.
        "FREE": 0.25,
    }


def test_a_bad_spell_slows_checkpoints_and_not_segments() -> None:
    """Ten times slower storage: 3 s become 30 s."""
    spell = BadSpell(start_s=5.0, stop_s=1e6, factor=10.0)
    play = Play(overheads=OVERHEADS, storage=Storage(spells=(spell,)))
    play.submit(stage(segments=2))

    play.run()

    assert play.told("SegmentFinished", "CheckpointCommitted") == [
        "13 SegmentFinished s.a 0",
        "23.5 SegmentFinished s.a 1",
        "43 CheckpointCommitted s",
        "73 CheckpointCommitted s",
    ]


def test_a_lease_that_is_wider_than_the_gang_is_faster() -> None:
    """Two nodes asked for, four given: half the seconds."""
    play = Play()
    play.submit(stage(segments=1, nodes=2, most=4))

    play.run()

    assert play.told("SegmentFinished") == ["5 SegmentFinished s.a 0"]
    (_, fact), *_ = play.facts(e.SegmentFinished)
    assert (fact.seconds, fact.nodes) == (5.0, 4)
    assert play.parts() == {"USEFUL": 20.0}


def test_a_user_gives_the_cost_of_each_segment() -> None:
    """The cost is told whose segment it is, with the scenario's parameters."""
    asked: list[Work] = []

    def cost(work: Work, nodes: float) -> float:
        asked.append(work)
        return 1.0 + work.segment

    play = Play(cost=cost)
    play.submit(stage(segments=2))

    play.run()

    assert play.twin.now_s == 3.0
    assert asked == [Work("s", "w", "a", k, 1, {}) for k in (0, 1)]


def test_segments_take_longer_with_the_days_where_the_model_drifts() -> None:
    """One percent a day: the tenth segment, begun after 9.38 days, is 9.8 % longer."""
    play = Play(cost=lambda work, nodes: 86_400.0, drift_per_day=0.01)
    play.submit(stage(segments=10))

    play.run(1e9)

    (_, first), *_, (_, last) = play.facts(e.SegmentFinished)
    assert first.seconds == 86_400.0
    assert last.seconds / 86_400.0 == pytest.approx(1.0978, abs=1e-4)


def test_the_slowest_node_of_a_lease_sets_its_pace() -> None:
    """Two nodes of different speeds."""
    play = Play(nodes=2, speed_cv=0.2)
    play.submit(stage(segments=1, nodes=2))

    play.run()

    slowest = min(play.twin.world.cluster.speeds.values())
    (_, fact), *_ = play.facts(e.SegmentFinished)
    assert slowest < 1
    assert fact.seconds == pytest.approx(10.0 / slowest)


def test_a_cost_that_is_no_number_of_seconds_stops_the_run() -> None:
    """It names stage, simulation and what was given."""
    play = Play(cost=lambda work, nodes: 0.0)
    play.submit(stage())

    with pytest.raises(ValueError, match=r"stage 'a' of 's', segment 0, is 0.0 s"):
        play.run()


def test_facts_arrive_when_the_script_says_so() -> None:
    """A pause at 20 s: the segment ends, is checkpointed and the node goes back."""
    play = Play(overheads=OVERHEADS, nodes=1)
    play.submit(stage(segments=9), after_s=2.0)
    play.twin.post(e.PauseRequested(simulation="s"), after_s=20.0)
    play.twin.post(e.ResumeRequested(simulation="s"), after_s=100.0)

    play.run(101.0)

    assert play.told("SimulationSubmitted", "lease") == [
        "2 SimulationSubmitted s",
        "2 lease s: node-0",
        "28.5 lease s: none",
        "100 lease s: node-0",
    ]
    account = play.twin.ledger.accounts["s"]
    assert account.interruptions == []
    assert account.waits == []
    assert not play.twin.ended


def test_one_that_waits_has_its_wait_counted() -> None:
    """The second of two simulations waits for the only node."""
    play = Play(nodes=1)
    play.submit(stage(segments=2), name="first")
    play.submit(stage(segments=2), name="second", after_s=5.0)

    play.run()

    assert play.twin.ledger.accounts["second"].waits == [15.0]


def test_an_interruption_is_kept_with_its_reason() -> None:
    """All nodes go away; the lease is gone though there is work."""
    away = Absence(start_s=5.0, stop_s=50.0)
    play = Play(nodes=2, absences=(away,), detect_s=1.0)
    play.submit(stage(segments=2, nodes=2))

    play.run()

    account = play.twin.ledger.accounts["s"]
    assert account.interruptions == [(6.0, "nodes lost")]
    assert account.waits == [44.0]
    assert play.parts() == {"LOST": 10.0, "USEFUL": 40.0}


def test_one_that_is_cancelled_while_it_waits_waits_no_more() -> None:
    """Its wait ends with the wish."""
    play = Play(nodes=1)
    play.submit(stage(segments=5), name="first")
    play.submit(stage(segments=5), name="second")
    wish = e.CancelRequested(simulation="second")
    taken = e.WishTaken(id="1", by="me", given_s=0.0, wish=wish)
    play.twin.post(taken, after_s=12.0)
    drain = e.WishTaken(
        id="2", by="me", given_s=0.0, wish=e.DrainRequested(node="node-9")
    )
    play.twin.post(drain, after_s=13.0)

    play.run()

    assert play.twin.ledger.accounts["second"].all_waits(1e6) == [12.0]
    assert play.twin.ended


def test_a_rule_is_answered_and_its_simulations_are_accounted() -> None:
    """What a rule adds runs too."""

    def rules(state: CampaignState, command: c.EvaluateRule) -> e.RuleEvaluated:
        assert state.simulations[command.simulation].complete
        return e.RuleEvaluated(
            simulation=command.simulation,
            rule=command.rule,
            at=command.at,
            added=(submitted(stage(segments=1), name="child"),),
        )

    play = Play(rules=rules)
    play.submit(stage(segments=1), rules=[("branch", "a")])

    play.run()

    assert play.twin.ledger.accounts["child"].completed_s == 20.0
    assert play.twin.ended

    def longer(state: CampaignState, command: c.EvaluateRule) -> e.RuleEvaluated:
        simulation = state.simulations[command.simulation]
        changed = e.SimulationChanged(
            simulation="s", scenario=simulation.scenario, plan=extended.plan
        )
        return e.RuleEvaluated(
            simulation="s",
            rule=command.rule,
            at=command.at,
            changed=changed if command.at == 1 else None,
        )

    extended = submitted(stage(segments=2), rules=[("extend", "a")])
    play = Play(rules=longer, nodes=1)
    play.submit(stage(segments=1), rules=[("extend", "a")])
    play.submit(stage(segments=3), name="other")

    play.run()

    # It waited again, and ended later.
    # While the other computes it waits again.
    assert play.twin.ledger.accounts["s"].segments == 2
    assert play.twin.ledger.accounts["s"].all_waits(1e6) == [30.0]
    assert play.twin.ledger.accounts["s"].completed_s == 50.0
    assert play.twin.ended


def test_a_rule_adds_nothing_where_nobody_answers() -> None:
    """The default lets the campaign end."""
    play = Play()
    play.submit(stage(segments=1), rules=[("branch", "a")])

    play.run()

    assert play.twin.ended
    assert list(play.twin.orchestrator.state.simulations) == ["s"]


def test_a_run_stops_at_its_time_and_can_go_on() -> None:
    """In two goes it is the same as in one."""
    whole, halves = Play(overheads=OVERHEADS), Play(overheads=OVERHEADS)
    for play in (whole, halves):
        play.submit(stage(segments=9))

    whole.run(100.0)
    halves.run(37.0)
    assert halves.twin.ledger.now_s == 37.0
    halves.run(100.0)

    assert halves.records == whole.records
    assert halves.parts() == whole.parts()


def test_the_clock_begins_where_the_campaign_stands() -> None:
    """All times of the site and the script count from there."""
    play = Play(begin_s=1.8e9, nodes=1)
    play.submit(stage(segments=1), after_s=5.0)

    play.run()

    (at_s, fact), *_ = play.facts(e.SegmentFinished)
    assert at_s == 1.8e9 + 15.0
    assert fact.seconds == 10.0
    assert play.twin.ledger.up_node_s == pytest.approx(15.0)


def test_an_end_that_is_moved_changes_what_is_paid_for() -> None:
    """Submitted again with other nodes and a later end, it goes on so."""
    play = Play(nodes=2)
    play.submit(stage(segments=2))
    again = submitted(stage(segments=3, nodes=2), name="s")
    changed = e.SimulationChanged(
        simulation="s", scenario=Scenario("s"), plan=again.plan
    )
    play.twin.post(changed, after_s=5.0)

    play.run()

    assert play.twin.ended
    assert [fact.nodes for _, fact in play.facts(e.SegmentFinished)] == [2, 2, 2]


def test_an_alarm_that_is_not_wanted_any_more_does_not_ring() -> None:
    """A retry is due at 14.1 s; the simulation is paused at 14.05 s."""
    away = Absence(start_s=13.0, stop_s=1e6, nodes=("node-4",))
    play = Play(nodes=5, overheads=OVERHEADS, absences=(away,), detect_s=1.0)
    play.submit(stage(segments=1, nodes=4, most=5))
    play.twin.post(e.PauseRequested(simulation="s"), after_s=14.05)

    play.run()

    assert play.told("abandon", "lease")[-2:] == [
        "14 abandon s.a #1 until 14.1",
        "14.05 lease s: none",
    ]
    assert play.records[-1][0] == 14.05


def test_a_simulation_that_is_told_twice_has_one_account() -> None:
    """As facts may be repeated."""
    play = Play()
    play.submit(stage(segments=2))
    play.submit(stage(segments=2), after_s=15.0)

    play.run()

    assert play.parts() == {"USEFUL": 20.0, "FREE": 60.0}


def test_a_stage_without_a_cost_stops_the_run() -> None:
    """It is named, with what to do."""
    site = TwinSite(nodes=1)
    twin = Twin(Orchestrator(Policies()), site)
    twin.post(submitted(stage()))

    with pytest.raises(InvalidInputError, match="workflow 'w', stage 'a'"):
        twin.run(10_000.0)


def test_a_loaded_site_is_not_played_in_strides() -> None:
    """Only single segments show which node is slow."""
    site = TwinSite(nodes=2, loads=Loads())

    with pytest.raises(InvalidInputError, match="nodes are loaded"):
        Twin(Orchestrator(Policies()), site, coarse=True)


@pytest.mark.parametrize(("withdrawn", "segments"), [(False, 5), (True, 20)])
def test_announced_nodes_go_once_and_stay_if_the_window_is_withdrawn(
    withdrawn: bool, segments: int
) -> None:
    """From a minute on they are away; told twenty seconds before."""
    away = Absence(start_s=60.0, stop_s=1e4, notice_s=20.0)
    play = Play(nodes=1, absences=(away,))
    play.submit(stage(segments=20))
    if withdrawn:
        play.twin.post(e.WindowWithdrawn(name="absence-0"), after_s=45.0)

    play.run(1e3)

    lost = play.told("NodeLost")
    assert lost == ([] if withdrawn else ["61 NodeLost node-0"])
    assert play.twin.ledger.segments == segments
