"""A virtual site is valid when made, and pickles."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from climorch.errors import InvalidInputError
from climorch.model.windows import Window
from climorch.twin.costs import Amdahl, Costs
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.site import TwinSite


def test_nodes_have_names_and_memory() -> None:
    """Numbered where none are given; sizes as text."""
    site = TwinSite(nodes=2, memory="1 GiB")

    assert site.node_names == ("node-0", "node-1")
    assert site.memory_of("node-0") == 2**30
    assert TwinSite(nodes=2, names=("x", "y")).node_names == ("x", "y")


def test_nodes_may_be_of_jobs() -> None:
    """In their order; the last one may be smaller."""
    site = TwinSite(nodes=5, job_nodes=2)
    assert [*site.jobs().values()] == ["job-0", "job-0", "job-1", "job-1", "job-2"]
    assert TwinSite(nodes=5).jobs() == {}


def test_some_nodes_may_have_another_memory() -> None:
    """Those that are named; a stranger is refused, and a size that is none."""
    site = TwinSite(nodes=2, memory="4 GiB", other_memory={"node-1": "1 GiB"})

    assert [site.memory_of(node) for node in site.node_names] == [2**32, 2**30]
    with pytest.raises(InvalidInputError, match="virtual site"):
        TwinSite(nodes=1, other_memory={"node-1": 1})
    with pytest.raises(InvalidInputError, match="not understood"):
        TwinSite(nodes=1, other_memory={"node-0": "1 G"})


@pytest.mark.parametrize(
    ("absence", "nodes"),
    [
        (Absence(start_s=0, stop_s=1), ("node-0", "node-1", "node-2")),
        (Absence(start_s=0, stop_s=1, count=2), ("node-1", "node-2")),
        (Absence(start_s=0, stop_s=1, nodes=("node-0",)), ("node-0",)),
    ],
)
def test_an_absence_is_of_named_nodes_of_the_last_ones_or_of_all(
    absence: Absence, nodes: tuple[str, ...]
) -> None:
    """It says which nodes it means."""
    assert TwinSite(nodes=3, absences=(absence,)).absent(absence) == nodes


def test_announced_absences_are_windows() -> None:
    """With its nodes, or all there are; told in time or at the beginning."""
    site = TwinSite(
        nodes=3,
        absences=(
            Absence(start_s=50.0, stop_s=60.0),
            Absence(start_s=50.0, stop_s=60.0, count=1, notice_s=20.0),
            Absence(start_s=50.0, stop_s=60.0, notice_s=70.0),
        ),
    )

    assert site.announced(1000.0) == (
        (
            30.0,
            Window(name="absence-1", start_s=1050.0, stop_s=1060.0, nodes=("node-2",)),
        ),
        (0.0, Window(name="absence-2", start_s=1050.0, stop_s=1060.0)),
    )


def test_a_site_pickles() -> None:
    """So that seeds may run in processes of their own."""
    site = TwinSite(
        nodes=3,
        failures=Failures(mtbf_s=1.0),
        costs=Costs(default=Amdahl(seconds=1.0)),
    )

    assert pickle.loads(pickle.dumps(site)) == site


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (lambda: TwinSite(nodes=0, detect_s=-1.0), ["nodes", "detect_s"]),
        (lambda: TwinSite(nodes=1, cores=0, speed_cv=-1.0), ["cores", "speed_cv"]),
        (lambda: TwinSite(nodes=2, names=("a", "a")), ["names"]),
        (
            lambda: TwinSite(
                nodes=1,
                outages=(Outages(every_s=2.0, lasts_s=1.0, nodes=("x",)),),
                absences=(
                    Absence(start_s=0, stop_s=1, nodes=("y",)),
                    Absence(start_s=0, stop_s=1, count=2),
                ),
            ),
            ["outages", "absences", "absences"],
        ),
        (lambda: TwinSite(nodes=1, memory="1 G"), []),
    ],
)
def test_all_faults_of_a_site_are_told_at_once(
    make: Callable[[], object], places: list[str]
) -> None:
    """Numbers, names and strangers, each with its place."""
    with pytest.raises(InvalidInputError) as error:
        make()

    told = [fault.place for fault in error.value.faults]
    assert told == ([f"TwinSite.{place}" for place in places] or ["memory"])
