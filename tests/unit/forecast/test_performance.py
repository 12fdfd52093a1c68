"""The measures of CPMIP, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import Power
from climorch.forecast.performance import Given, performance
from climorch.forecast.timings import Times
from climorch.model.plan import Coupling
from climorch.model.usage import Usage
from tests.unit.core.script import stage
from tests.unit.forecast.journal import BEGIN_S, Journal

YEAR_S = 365 * 86_400
NODES = 2
"""Of the lease, each with 4 cores."""


def measured(
    journal: Journal,
    after_s: float,
    power: Power | None = None,
    given: Given | None = None,
) -> xr.Dataset:
    """Return the performance by a journal until then."""
    ledger = journal.ledger(after_s, power)
    journal.timekeeper.close(BEGIN_S + after_s)
    return performance(ledger, journal.timekeeper.times, given)


def one_year(usage: Usage | None = None) -> Journal:
    """Make a journal of a year that two nodes compute in 86 400 s, with 864 s of stall.

    Submitted at 0, on nodes from 100 s on, restored at 102 s.
    """
    journal = Journal(stage("a", boundaries=(0, YEAR_S, 2 * YEAR_S), nodes=2))
    journal.lease(100, "n1", "n2")
    journal.attempt(100)
    journal.start(102, 0)
    journal.finish(
        102 + 86_400, 0, seconds=86_400.0, nodes=2, stall_s=864.0, usage=usage
    )
    journal.checkpoint(
        86_600, 1, seconds=98.0, bytes_state=10**9, bytes_written=6 * 10**8
    )
    journal.commit(86_600, 0)
    return journal


def one(found: xr.Dataset, name: str) -> float:
    """Return the only value of a variable, or the first."""
    return float(np.ravel(found[name].values)[0])


def test_speed_and_costs_are_those_of_a_hand_computed_case() -> None:
    """A year in a day on 8 cores, with 1 % of it stalled, 200 s of waits around it."""
    found = measured(one_year(), 86_600, Power(watts_per_node=500.0))

    assert one(found, "sypd") == pytest.approx(1.0)
    assert one(found, "asypd") == pytest.approx(86_400 / 86_600)
    # 8 cores for 24 hours; the lease had them for 86 500 s.
    assert one(found, "chsy") == pytest.approx(192.0)
    assert one(found, "achsy") == pytest.approx(8 * 86_500 / 3600)
    # Two nodes of 500 W for 86 400 s.
    assert one(found, "jpsy") == pytest.approx(86.4e6)
    assert one(found, "data_output_cost") == pytest.approx(1 / 0.99)
    assert one(found, "coupling_cost") == 0.0
    assert one(found, "parallelization") == pytest.approx(8.0)
    assert one(found, "queue_s") == 100.0
    assert one(found, "held_s") == 86_500.0
    assert one(found, "checkpoint_s") == 98.0
    assert one(found, "state_bytes") == 1e9
    assert one(found, "checkpoint_bytes") == 6e8
    assert one(found, "run_s") == 86_400.0
    assert one(found, "stall_s") == 864.0


def test_memory_and_output_are_those_of_a_hand_computed_case() -> None:
    """3 GB on each of two nodes for a state of 1 GB; 19.2 GB in 192 core-hours."""
    usage = Usage(
        task_s=5.0,
        cpu_s=7.0,
        memory_bytes=3 * 10**9,
        output_bytes=192 * 10**8,
    )
    found = measured(one_year(usage), 86_600)

    assert one(found, "memory_bloat") == pytest.approx(6.0)
    assert one(found, "data_intensity") == pytest.approx(0.1)
    assert (one(found, "task_s"), one(found, "cpu_s")) == (5.0, 7.0)
    assert one(found, "measured") == 1


def test_what_was_not_measured_is_not_told() -> None:
    """NaN and not zero; without a power no joules."""
    found = measured(one_year(), 86_600)

    for name in ("task_s", "cpu_s", "memory_bytes", "memory_bloat", "data_intensity"):
        assert math.isnan(one(found, name)), name
    assert math.isnan(one(found, "jpsy"))


def test_work_that_was_lost_makes_actual_measures_worse_only() -> None:
    """The same year computed twice: as fast, at twice the cost of the lease."""
    journal = Journal(stage("a", boundaries=(0, YEAR_S), nodes=2))
    journal.lease(0, "n1", "n2")
    journal.attempt(0)
    journal.start(2, 0)
    journal.finish(86_402, 0, seconds=86_400.0, nodes=2)
    journal.abandon(86_402, back=0)
    journal.attempt(86_402, 2)
    journal.start(86_404, 0, attempt=2)
    journal.finish(172_804, 0, attempt=2, seconds=86_400.0, nodes=2)
    journal.commit(172_804, 0)
    found = measured(journal, 172_804)

    assert one(found, "sypd") == pytest.approx(1.0)
    assert one(found, "asypd") == pytest.approx(86_400 / 172_804)
    assert one(found, "chsy") == pytest.approx(192.0)
    assert one(found, "achsy") == pytest.approx(8 * 172_804 / 3600)
    assert one(found, "segments") == 2


def coupled_year(usage: Usage | None = None) -> Journal:
    """Make a journal of a year on two nodes: 6 h of one for a stage, 10 h for another.

    Nothing of it is committed. The usage is that of the first stage.
    """
    journal = Journal(
        stage("a", boundaries=(0, YEAR_S), reads={"b": Coupling.PREVIOUS}),
        stage("b", boundaries=(0, YEAR_S), reads={"a": Coupling.PREVIOUS}),
    )
    journal.lease(0, "n1", "n2")
    journal.attempt(0)
    journal.start(2, 0)
    journal.start(2, 0, stage="b")
    journal.finish(2 + 21_600, 0, seconds=21_600.0, nodes=2, usage=usage)
    journal.finish(2 + 36_000, 0, stage="b", seconds=36_000.0, nodes=2)
    return journal


def test_coupling_costs_what_stages_do_not_use() -> None:
    """Two nodes for 10 h, of which one stage takes 10 h of one, the other 6: 1/5."""
    found = measured(coupled_year(), 2 + 36_000)

    assert one(found, "coupling_cost") == pytest.approx(0.2)
    assert found["stage"].values.tolist() == ["a", "b"]


def test_what_stages_wait_for_each_other_is_in_core_hours_and_energy() -> None:
    """8 cores and two nodes of 500 W for 10 h, though stages took 16 node-hours."""
    found = measured(coupled_year(), 2 + 36_000, Power(watts_per_node=500.0))

    assert one(found, "chsy") == pytest.approx(80.0)
    assert one(found, "jpsy") == pytest.approx(36e6)
    assert one(found, "sypd") == pytest.approx(2.4)
    # Balaji et al. (2017): CHSY times SYPD is 24 times the parallelization.
    assert one(found, "parallelization") == pytest.approx(8.0)
    # Nothing is committed: there are no years to divide by.
    assert math.isnan(one(found, "achsy"))


def test_output_that_was_not_measured_is_taken_as_that_which_was() -> None:
    """One of two segments had 8 GB: 16 GB in 2 times 192 core-hours."""
    journal = one_year(Usage(output_bytes=8 * 10**9))
    journal.start(90_000, 1)
    journal.finish(90_000 + 86_400, 1, seconds=86_400.0, nodes=2)
    found = measured(journal, 90_000 + 86_400)

    assert one(found, "measured") == 1
    assert one(found, "data_intensity") == pytest.approx(16 / 384)


def test_months_have_their_own_throughput() -> None:
    """A year that is committed on the second day of February."""
    found = measured(one_year(), 3600 + 2 * 86_400)

    assert found["month"].values.tolist() == ["2026-01", "2026-02"]
    assert math.isnan(found["core_hours_per_year"].values[0])
    assert found["throughput"].values == pytest.approx([0.0, 0.5])


def test_given_measures_are_told_again() -> None:
    """By stage; others have none."""
    given = Given(resolution={"a": 1e6}, complexity={"b": 3})
    found = measured(one_year(), 86_600, given=given)

    assert one(found, "resolution") == 1e6
    assert math.isnan(one(found, "complexity"))
    assert found["resolution"].dims == ("stage",)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_given_measures_are_checked(value: float) -> None:
    """All faults at once."""
    with pytest.raises(InvalidInputError) as caught:
        Given(resolution={"a": value}, complexity={"b": value})
    places = [fault.place for fault in caught.value.faults]
    assert places == ["Given.resolution['a']", "Given.complexity['b']"]


def test_a_campaign_that_has_not_begun_has_no_measures() -> None:
    """Dimensions of length zero, and every variable with its unit."""
    found = performance(Ledger(campaign="c"), Times())

    assert dict(found.sizes) == {"simulation": 0, "stage": 0, "month": 0}
    assert all(v.attrs["units"] for v in found.data_vars.values())
    assert "Balaji" in found.attrs["references"]
