"""Seconds by nodes, and the faults of what cannot be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from climorch.errors import InvalidInputError
from climorch.twin.costs import Amdahl, Costs, Overheads, ScalingTable, Work

WORK = Work("s", "w", "a", 0, 2, {})


@pytest.mark.parametrize(
    ("serial", "nodes", "seconds"),
    [(0.0, 2, 100.0), (0.0, 4, 50.0), (0.2, 4, 60.0), (0.2, 1, 180.0), (1.0, 9, 100.0)],
)
def test_amdahl_shares_what_can_be_shared(
    serial: float, nodes: float, seconds: float
) -> None:
    """The seconds given are those on the nodes that the stage asks for."""
    assert Amdahl(seconds=100.0, serial=serial)(WORK, nodes) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("nodes", "seconds"),
    [
        (2, 100.0),
        (4, 60.0),
        (8, 40.0),
        (1, 200.0),
        (16, 40.0),
        # Half-way in the logarithm: the geometric mean.
        (2 * 2**0.5, 77.4597),
    ],
)
def test_a_table_is_a_power_law_between_its_entries(
    nodes: float, seconds: float
) -> None:
    """Measured values come back; below they scale, beyond they stay."""
    table = ScalingTable(seconds={4: 60.0, 2: 100.0, 8: 40.0})

    assert table(WORK, nodes) == pytest.approx(seconds)


def test_a_stage_has_its_own_cost_or_the_default() -> None:
    """What is named goes first."""
    own, other = Amdahl(seconds=1.0), Amdahl(seconds=2.0)
    costs = Costs(default=other, stages={("w", "a"): own})

    assert costs.of("w", "a") is own
    assert costs.of("w", "b") is other
    assert Costs().of("w", "a") is None


@pytest.mark.parametrize(
    ("make", "faults"),
    [
        (lambda: Amdahl(seconds=0.0, serial=-0.1), ["seconds", "serial"]),
        (lambda: Amdahl(seconds=1.0, serial=1.1), ["serial"]),
        (lambda: ScalingTable(seconds={}), ["seconds"]),
        (lambda: ScalingTable(seconds={0: 1.0}), ["seconds"]),
        (lambda: ScalingTable(seconds={1: -1.0}), ["seconds[1]"]),
        (
            lambda: Costs(
                noise_cv=-1.0, drift_per_day=-1.0, memory_bytes={("w", "a"): 0}
            ),
            ["noise_cv", "memory_bytes[('w', 'a')]", "drift_per_day"],
        ),
        (lambda: Overheads(stall_s=-1.0, init_s=float("inf")), ["stall_s", "init_s"]),
    ],
)
def test_all_faults_of_a_cost_are_told_at_once(
    make: Callable[[], object], faults: list[str]
) -> None:
    """A cost that cannot be is refused with every fault and its place."""
    with pytest.raises(InvalidInputError) as error:
        make()

    assert [f.place.split(".", 1)[1] for f in error.value.faults] == faults
