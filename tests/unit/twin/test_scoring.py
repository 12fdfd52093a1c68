"""What scores say in virtual time."""

from __future__ import annotations

from climorch.core.scoring import Scored
from climorch.core.state import CampaignState, SimulationState
from climorch.model.commands import EvaluateScore
from climorch.model.events import ScoreEvaluated, ScoreFailed
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
from climorch.twin.scoring import score_by
from tests.unit.core.script import plan
from tests.unit.twin.stage import Play, stage

ASKED = EvaluateScore(simulation="a", score="x", mark=2)


def known(**scores: dict[int, float | None]) -> CampaignState:
    """A campaign in which these scores are known, by simulation."""
    state = CampaignState()
    for serial, (name, values) in enumerate(scores.items()):
        state.simulations[name] = SimulationState(
            name=name,
            serial=serial,
            scenario=Scenario(name, params={"k": serial}),
            plan=plan(stage("a")),
            branch=None,
            sets={},
            scores={"x": {mark: Scored(value=v) for mark, v in values.items()}},
        )
    return state


def value(state: CampaignState) -> float | None:
    """What is answered; None: nothing."""
    found = score_by(None, state, ASKED)
    return found.value if isinstance(found, ScoreEvaluated) else None


def test_a_law_says_what_a_score_is() -> None:
    """Of the scenario, the name and the mark."""

    def law(scenario: Scenario, score: str, mark: int) -> float:
        assert score == "x"
        return float(scenario.params["k"]) + mark

    found = score_by(law, known(a={}), ASKED)

    assert found == ScoreEvaluated(simulation="a", score="x", mark=2, value=2.0)


def test_without_a_law_what_is_known_goes_on() -> None:
    """Its own newest value, else its siblings' there, else their newest."""
    assert value(known(a={1: 3.0, 2: None}, b={2: 5.0})) == 3.0
    assert value(known(a={}, b={2: 5.0}, c={1: 9.0, 2: 7.0})) == 6.0
    assert value(known(a={}, b={1: 5.0}, c={1: 8.0, 3: 7.0})) == 6.0


def test_without_anything_known_a_score_fails() -> None:
    """A rehearsal invents no results."""
    found = score_by(None, known(a={}, b={2: None}), ASKED)

    assert isinstance(found, ScoreFailed)


def law_of_marks(scenario: Scenario, score: str, mark: int) -> float:
    """A law that pickles."""
    return float(mark)


def test_a_virtual_campaign_is_scored_by_its_law() -> None:
    """At each mark and at the end; in coarse mode too."""
    told = []
    for coarse in (False, True):
        play = Play(
            every=2,
            coarse=coarse,
            scores=law_of_marks,
        )
        play.submit(
            stage("a", segments=7),
            scores=(ScorePlan(name="x", stage="a", every=3, threshold=1.0),),
        )
        play.run(1000.0)
        (simulation,) = play.twin.orchestrator.state.simulations.values()
        told.append({m: s.value for m, s in simulation.scores["x"].items()})

    assert told == [{3: 3.0, 6: 6.0, 7: 7.0}] * 2
