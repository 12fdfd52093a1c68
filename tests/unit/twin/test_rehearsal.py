"""A rehearsal runs copies of a campaign and leaves the campaign alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xarray as xr

from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.model import events as e
from climorch.model.edits import AddSimulation, Committed
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments
from climorch.twin.costs import Amdahl, Costs
from climorch.twin.hazards import Absence, Failures
from climorch.twin.rehearsal import Play, rehearse, rehearse_once, seconds_until
from climorch.twin.site import TwinSite
from tests.unit.core.script import Script, submitted
from tests.unit.twin.stage import FREE, stage

HOUR_S = 3600.0


def play(state: CampaignState | None = None, **more: Any) -> Play:
    """Rehearse on two nodes on which a segment takes ten seconds."""
    site = {
        "nodes": 2,
        "costs": Costs(default=Amdahl(seconds=10.0)),
        "overheads": FREE,
        **more.pop("site", {}),
    }
    given: dict[str, Any] = {
        "policies": Policies(checkpointing=EverySegments()),
        "workflows": {},
        "begin_s": 1000.0,
        "until_s": HOUR_S,
        **more,
    }
    return Play(state=state or CampaignState(), site=TwinSite(**site), **given)


def halfway() -> Script:
    """Make a campaign that committed two of four segments and computes the third."""
    script = Script()
    script.nodes("n")
    script.tell(submitted(stage(segments=4)))
    script.restored()
    for segment in (0, 1):
        script.finished(segment)
        script.committed(segment + 1)
        script.published(segment + 1)
    script.finished(2)
    return script


def test_what_the_script_submitted_runs_from_its_first_segment() -> None:
    """Nothing ran yet: ten seconds for each of four segments."""
    run = rehearse_once(play(facts=(submitted(stage(segments=4)),)), seed=0)

    (fate,) = run.fates
    assert run.ended
    assert (fate.simulation, fate.status) == ("s", "finished")
    assert fate.finished_s == 1040.0
    assert run.stop_s == 1040.0
    assert run.spent["useful"] == 40.0
    assert run.utilisation == 0.5
    assert [(s.nodes, s.start_s, s.stop_s) for s in run.spans] == [(1, 1000.0, 1040.0)]


def test_it_goes_on_from_what_is_committed() -> None:
    """Two segments are left; what was provisional is no loss of the rehearsal."""
    script = halfway()

    run = rehearse_once(play(script.orchestrator.state), seed=0)

    (fate,) = run.fates
    assert fate.finished_s == 1020.0
    assert fate.segments == 2
    assert (fate.lost_s, run.spent["lost"]) == (0.0, 0.0)


def test_the_state_of_the_campaign_is_left_alone() -> None:
    """Equal to itself before, however it goes in the rehearsal."""
    state = halfway().orchestrator.state
    before = copy.deepcopy(state)

    rehearse(play(state, facts=(submitted(stage(), name="new"),)), range(2))

    assert state == before


def test_what_else_happens_comes_at_its_time() -> None:
    """A pause after fifteen seconds; the site loses its nodes after a minute."""
    pause = e.PauseRequested(simulation="s")
    away = Absence(start_s=60.0, stop_s=2 * HOUR_S)

    run = rehearse_once(
        play(
            facts=(
                submitted(stage(segments=9)),
                submitted(stage(segments=99), name="t"),
            ),
            script=((15.0, pause),),
            site={"absences": (away,), "detect_s": 0.0},
        ),
        seed=0,
    )

    paused, cut = run.fates
    assert (paused.status, paused.segments) == ("paused", 2)
    assert paused.interruptions == ()
    assert cut.status == "waiting"
    assert [why for _, why in cut.interruptions] == ["nodes lost"]
    assert cut.longest_wait_s == HOUR_S - 60.0
    assert not run.ended


def test_a_gang_that_is_larger_than_the_site_is_noted() -> None:
    """It waits for ever, and the result says why."""
    run = rehearse_once(play(facts=(submitted(stage(nodes=3)),)), seed=0)

    assert run.notes == ("s needs 3 nodes, the site has 2",)


def rooted(then: Any) -> Workflow:
    """Declare the workflow ``w`` with a rule and a template."""
    span = Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")
    template = Workflow("child")
    template.stage("b", lambda s, i, g: s, init=lambda g, i: xr.Dataset(), span=span)
    made = Workflow("w", templates=[template])
    made.rule("branch", when="a", then=then)
    return made


def branching(then: Any) -> Play:
    """Rehearse one simulation with a rule."""
    fact = submitted(stage(segments=1), rules=[("branch", "a")])
    return play(facts=(fact,), workflows={"w": rooted(then)})


def test_a_rule_is_asked_and_what_it_adds_runs() -> None:
    """The user's function is called as on a real cluster."""

    def branch(committed: Committed) -> list[AddSimulation]:
        return [AddSimulation(template="child", scenario=Scenario("s-child"))]

    run = rehearse_once(branching(branch), seed=0)

    ends = {fate.simulation: fate.finished_s for fate in run.fates}
    assert ends == {"s": 1010.0, "s-child": 1030.0}
    assert run.notes == ()


def test_a_rule_that_raises_is_noted_and_the_rest_goes_on() -> None:
    """A twin computes no metrics; a rule that needs them adds nothing."""

    def branch(committed: Committed) -> Iterable[AddSimulation]:
        raise KeyError(committed.metrics["heat"])

    run = rehearse_once(branching(branch), seed=0)

    assert run.ended
    assert run.notes == ("rule 'branch' of 's' added nothing: KeyError: 'heat'",)


def test_a_rule_whose_workflow_is_not_here_is_noted() -> None:
    """It was submitted by another script."""
    fact = submitted(stage(segments=1), rules=[("branch", "a")])

    run = rehearse_once(play(facts=(fact,)), seed=0)

    assert run.notes == ("rule 'branch' of 's': this script submitted no workflow 'w'",)


def test_seeds_differ_and_each_is_the_same_every_time() -> None:
    """With failures the ends differ from seed to seed."""
    rough = play(
        facts=(submitted(stage(segments=50)),),
        until_s=10 * HOUR_S,
        site={"failures": Failures(mtbf_s=300.0, repair_median_s=60.0)},
    )

    first, second = rehearse(rough, range(4)), rehearse(rough, range(4))

    assert first == second
    assert len({run.stop_s for run in first.runs}) == 4


def test_what_is_rehearsed_and_what_comes_of_it_pickle() -> None:
    """So that seeds may run in processes of their own."""
    given = play(facts=(submitted(stage(segments=4)),))

    run = rehearse_once(pickle.loads(pickle.dumps(given)), seed=0)

    assert pickle.loads(pickle.dumps(run)) == rehearse_once(given, seed=0)


def test_the_end_is_a_time_or_a_span() -> None:
    """From now, or up to a date with a time zone."""
    day = datetime(2026, 1, 2, tzinfo=UTC)

    assert seconds_until(timedelta(days=2), 5.0) == 172_800.0
    assert seconds_until(day, day.timestamp() - 60.0) == 60.0


@pytest.mark.parametrize(
    "until",
    [timedelta(0), datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2)],  # noqa: DTZ001
    ids=["nothing", "past", "naive"],
)
def test_an_end_that_cannot_be_is_refused(until: datetime | timedelta) -> None:
    """No time, a time that has passed, a time without a zone."""
    with pytest.raises(InvalidInputError, match="until"):
        seconds_until(until, 1.9e9)
