"""Rate, end, age and exposure, from what was measured."""

from __future__ import annotations

import pytest

from climorch.core.outlook import (
    Exposures,
    checkpoint_age_s,
    expected_end_s,
    exposure_s,
    period_s,
    rate_sypd,
)
from climorch.core.state import SetState
from climorch.model import events as e
from climorch.model.plan import Coupling, StagePlan
from tests.unit.core.script import Script, plan, stage, submitted

SAME, PREVIOUS = Coupling.SAME, Coupling.PREVIOUS
YEAR_S = 365 * 86_400
YEARS = tuple(range(0, 5 * YEAR_S, YEAR_S))


def paced(*stages: StagePlan, **pace_s: float) -> SetState:
    """Make a set whose segments take so long."""
    s = SetState(plan=plan(*stages).sets[0])
    s.pace_s.update(pace_s)
    return s


@pytest.mark.parametrize(
    ("reads_a", "reads_b", "expected_s"),
    [
        # In turn: each waits for the other.
        ({"b": PREVIOUS}, {"a": SAME}, 40.0),
        # Side by side, in step with the slower one.
        ({"b": PREVIOUS}, {"a": PREVIOUS}, 30.0),
        # One follows the other and does not hold it up.
        ({}, {"a": SAME}, 30.0),
    ],
)
def test_couplings_decide_how_long_a_boundary_takes(
    reads_a: dict[str, Coupling], reads_b: dict[str, Coupling], expected_s: float
) -> None:
    """Stages that wait for each other add up, others run side by side."""
    # Declared in an order that is not that of the reads.
    s = paced(stage("b", reads=reads_b), stage("a", reads=reads_a), a=10.0, b=30.0)

    assert period_s(s) == pytest.approx(expected_s)


def test_a_chain_of_reads_is_as_slow_as_its_cycle() -> None:
    """Three stages in turn take the sum of the three."""
    s = paced(
        stage("c", reads={"b": SAME}),
        stage("b", reads={"a": SAME}),
        stage("a", reads={"c": PREVIOUS}),
        a=1.0,
        b=2.0,
        c=4.0,
    )

    assert period_s(s) == pytest.approx(7.0)


def test_a_finer_stage_counts_with_all_its_segments() -> None:
    """Two segments of the finer one for each of the coarser one."""
    s = paced(
        stage("a", boundaries=range(9)),
        stage("b", boundaries=range(0, 9, 2), reads={"a": SAME}),
        a=10.0,
        b=5.0,
    )

    assert period_s(s) == pytest.approx(20.0)


def test_nothing_is_said_before_it_was_measured() -> None:
    """One stage without a finished segment leaves the pace of its set open."""
    assert period_s(paced(stage("a"), stage("b", reads={"a": SAME}), a=1.0)) is None


def spun() -> Script:
    """A spin-up of one year, then four years, on one node."""
    s = Script()
    s.tell(
        submitted(
            stage("spin", boundaries=YEARS[:2]),
            stage("a", boundaries=YEARS, after=("spin",)),
        )
    )
    s.nodes("n")
    s.restored("spin")
    return s


def outlook(s: Script) -> tuple[float | None, float | None]:
    """Rate, and seconds until the end, rounded."""
    end_s = expected_end_s(s.simulation(), s.now_s)
    rate = rate_sypd(s.simulation())
    return (
        None if rate is None else round(rate, 6),
        None if end_s is None else round(end_s - s.now_s, 6),
    )


def test_rate_and_end_from_the_first_measured_segment_to_the_end() -> None:
    """Known once every phase that is to come was measured, gone at the end."""
    s = spun()
    assert outlook(s) == (None, None)
    s.finished(0, "spin")
    s.committed(1, "spin")
    s.restored("a")
    assert outlook(s) == (None, None)

    s.finished(0)
    # One year in 10 s; three boundaries are left.
    assert outlook(s) == (8640.0, 30.0)
    s.finished(1)
    s.finished(2)
    assert outlook(s) == (8640.0, 10.0)

    s.tell(e.PauseRequested(simulation="s"))
    assert outlook(s) == (None, None)


@pytest.mark.parametrize(
    ("calendar", "days"),
    [("noleap", 365.0), ("360_day", 360.0), ("standard", 365.2425)],
)
def test_a_year_is_that_of_the_calendar(calendar: str, days: float) -> None:
    """A segment of one year a day is one simulated year per day."""
    year_s = int(days * 86_400)
    s = Script()
    s.tell(
        submitted(
            StagePlan(name="a", calendar=calendar, boundaries=(0, year_s, 2 * year_s))
        )
    )
    s.nodes("n")
    s.restored()
    s.finished(0)
    s.set().pace_s["a"] = 86_400.0

    assert rate_sypd(s.simulation()) == pytest.approx(1.0)


def test_the_age_is_that_of_the_newest_good_checkpoint() -> None:
    """A damaged one, or one that is being deleted, does not count."""
    s = spun()
    assert checkpoint_age_s(s.simulation(), s.now_s) is None
    s.finished(0, "spin")
    s.committed(1, "spin")
    s.restored("a")
    committed_s = s.now_s - 1
    s.finished(0)

    assert checkpoint_age_s(s.simulation(), committed_s + 60) == pytest.approx(60.0)
    s.set("spin").commits[1].good = False
    assert checkpoint_age_s(s.simulation(), committed_s + 60) is None


def test_exposure_is_what_is_computed_and_not_committed() -> None:
    """Finished segments and the one that runs count, up to the commit."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")
    s.restored()
    s.finished(0)

    assert exposure_s(s.simulation(), s.now_s + 5) == 15.0
    s.committed(1)
    # One second of the running segment has passed.
    assert exposure_s(s.simulation(), s.now_s) == 1.0


def test_whoever_may_tell_first_is_asked_once_before_the_first_look() -> None:
    """Not at all where nobody asks what would be lost."""
    s = Script()
    s.nodes("n")
    s.tell(submitted(stage()))
    asked: list[float] = []

    exposures = Exposures(s.orchestrator.state, lambda: asked.append(s.now_s))
    assert asked == []

    assert exposures["s"] == 0.0
    assert list(exposures) == ["s"]
    assert list(exposures.values()) == [0.0]
    assert len(exposures) == 1
    assert asked == [s.now_s]
