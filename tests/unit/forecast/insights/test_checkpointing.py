"""When checkpoints are too many or too few."""

from __future__ import annotations

import dataclasses

import pytest

from climorch.forecast.insights.checkpointing import checkpoints
from climorch.forecast.insights.finding import Finding, Study
from climorch.forecast.timings import Times
from tests.unit.forecast.insights.made import simulation, study
from tests.unit.twin.stage import stage

HOUR_S = 3600.0


def asked(**times: float) -> Study:
    """Make a study of 100 h of segments of a minute, with what else is given."""
    made = simulation(stage(segments=9000))
    s = made.sets["a"]
    s.run_s = 100 * HOUR_S
    made.stages["a"].segments = 6000
    for name, value in times.items():
        setattr(s, name, value)
    return study(Times(of={"s": made}))


def one(given: Study) -> Finding | None:
    """Return what is found, if anything is."""
    found = list(checkpoints(given))
    assert len(found) < 2
    return found[0] if found else None


def test_without_losses_as_many_are_assumed_as_chance_could_hide() -> None:
    """Three in 100 hours: then 10 s each minute are too much by far."""
    found = one(asked(checkpoints=5000, cost_s=50_000.0))

    assert found is not None
    assert found.evidence["mtbf_s"] == pytest.approx(100 * HOUR_S / 3)
    assert found.settings["interval_s"] == pytest.approx(1543, rel=0.01)
    assert found.gain > 0.1


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"checkpoints": 2, "cost_s": 1000.0},
        {"checkpoints": 5000, "cost_s": 0.0},
        {"checkpoints": 5000, "cost_s": 50_000.0, "run_s": 0.0},
        # Seldom, but two losses in 100 hours may be chance.
        {"checkpoints": 4, "cost_s": 4.0, "losses": 2, "lost_s": 9.0},
        # As often as it should be.
        {"checkpoints": 233, "cost_s": 2330.0},
    ],
)
def test_what_is_right_or_not_known_is_left_alone(times: dict[str, float]) -> None:
    """Nothing is said about it."""
    assert one(asked(**times)) is None


def test_no_interval_is_suggested_that_limits_forbid_or_no_boundary_allows() -> None:
    """At most as long as the limit; at least a stretch of a set."""
    often = asked(checkpoints=5000, cost_s=50_000.0)
    limited = one(dataclasses.replace(often, longest_s=600.0))
    assert limited is not None
    assert limited.settings["interval_s"] == 600.0
    # Losses each six minutes, and a boundary each hour.
    rare = asked(
        checkpoints=20, cost_s=20.0, losses=1000, restores=9, restore_s=9.0, lost_s=1e4
    )
    rare.times.of["s"].stages["a"].segments = 100
    found = one(rare)
    assert found is not None
    assert "too seldom" in found.message
    assert found.settings["interval_s"] == pytest.approx(HOUR_S)


def test_a_plan_without_a_segment_has_no_stretch() -> None:
    """Then only what was done is a bound."""
    made = simulation(stage(segments=0))
    s = made.sets["a"]
    s.run_s, s.checkpoints, s.cost_s = 100 * HOUR_S, 5000, 50_000.0
    assert one(study(Times(of={"s": made}))) is not None
