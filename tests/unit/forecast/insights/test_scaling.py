"""What is known of widths, and what is not."""

from __future__ import annotations

import pytest

from climorch.forecast.insights.scaling import scaling
from climorch.forecast.timings import SimulationTimes, Times, Width
from tests.unit.forecast.insights.made import simulation, study
from tests.unit.twin.stage import stage


def ran(**widths: tuple[int, float]) -> SimulationTimes:
    """Make a simulation with segments by width: how many, and the seconds of each."""
    made = simulation(stage(nodes=1, most=8))
    made.stages["a"].widths = {
        int(n[1:]): Width(count, count * seconds)
        for n, (count, seconds) in widths.items()
    }
    return made


@pytest.mark.parametrize(
    ("widths", "best", "gain"),
    [
        ({}, None, 0.0),
        ({"n1": (9, 80.0)}, None, 0.0),
        # Twice the nodes, half of the time.
        ({"n1": (9, 80.0), "n2": (9, 40.0)}, None, 0.0),
        # Too few to be believed.
        ({"n1": (9, 80.0), "n8": (2, 80.0)}, None, 0.0),
        # Eight nodes give nothing more: 7/8 of what they cost, of nine tenths.
        ({"n1": (9, 80.0), "n8": (9, 80.0)}, 1.0, 7 * 80 / (9 * 80)),
        # Four are used well, eight are not.
        (
            {"n1": (4, 80.0), "n4": (4, 22.0), "n8": (4, 20.0)},
            4.0,
            (160 - 88) / (80 + 88 + 160),
        ),
        # Few segments were that wide.
        ({"n1": (400, 80.0), "n8": (3, 80.0)}, None, 0.0),
    ],
)
def test_a_width_is_too_much_where_nodes_give_less_than_seven_tenths(
    widths: dict[str, tuple[int, float]], best: float | None, gain: float
) -> None:
    """Of what they give on the narrowest one."""
    found = list(scaling(study(Times(of={"s": ran(**widths)}))))

    assert [x.settings["max_nodes"] for x in found] == ([best] if best else [])
    assert [x.gain for x in found] == ([pytest.approx(gain)] if best else [])


def test_a_plan_without_a_segment_says_nothing() -> None:
    """There is no stretch."""
    made = simulation(stage(segments=0))
    assert list(scaling(study(Times(of={"s": made})))) == []
