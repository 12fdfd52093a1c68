"""What the table of the campaign on Slurm rests on."""

from __future__ import annotations

from benchmarks.slurm_stops import DRIVER, Event, Stop, attributed, stops
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record


def finished(stage: str, segment: int) -> Record:
    """Return a segment that was computed."""
    return e.SegmentFinished(
        simulation="s", stage=stage, segment=segment, attempt=1, seconds=1.0
    )


def restored() -> Record:
    """Return a restart."""
    return e.SetRestored(
        simulation="s", set="air", attempt=2, boundary=1, rung="checkpoint"
    )


def lease(*nodes: str) -> Record:
    """Return nodes that were given."""
    return c.SetLease(simulation="s", nodes=nodes, why="its turn")


JOURNAL: list[tuple[Record, float]] = [
    (e.DriverStarted(epoch=1, host="h", pid=1), 0.0),
    (lease("n1.1"), 0.0),
    (restored(), 0.0),
    (finished("air", 0), 1.0),
    (finished("air", 1), 2.0),
    (finished("air", 2), 3.0),
    (lease(), 3.5),
    (lease("n2.2"), 9.0),
    (restored(), 9.5),
    # Computed before.
    (finished("air", 2), 10.0),
    (finished("air", 3), 11.0),
    (finished("air", 4), 12.0),
    (e.DriverStarted(epoch=2, host="h", pid=2), 14.0),
    (restored(), 15.0),
    (finished("air", 5), 16.0),
    (finished("air", 6), 17.0),
]


def test_a_stop_lasts_until_something_new_was_computed() -> None:
    """Less what a segment takes; its first start is none."""
    assert stops(JOURNAL) == [
        Stop(
            simulation="s",
            nodes=("n1.1",),
            since_s=3.0,
            until_s=11.0,
            lost_s=7.0,
            again=1,
        ),
        Stop(
            simulation="s",
            nodes=("n2.2",),
            since_s=12.0,
            until_s=16.0,
            lost_s=3.0,
            drivers=1,
        ),
    ]


def test_a_stop_is_for_what_struck_its_node_or_the_driver() -> None:
    """What nothing struck is the rest; what came later struck nobody."""
    first, second = stops(JOURNAL)
    crash = Event(name="crash", at_s=3.2, node="n1.1")
    driver = Event(name=DRIVER, at_s=13.0)

    assert attributed([first, second], [crash, driver], other="renewal") == {
        "crash": [first],
        DRIVER: [second],
        "renewal": [],
    }
    late = Event(name="crash", at_s=12.0, node="n1.1")
    assert attributed([first], [late], other="renewal") == {
        "crash": [],
        "renewal": [first],
    }
