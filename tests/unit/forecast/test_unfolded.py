"""A world: who holds nodes when, by month."""

from __future__ import annotations

from datetime import UTC, datetime

from climorch.forecast.unfolded import Hold, edges_of, labels_of, unfolded

DAY_S = 86_400.0


def at(year: int, month: int, day: int, hour: int = 0) -> float:
    """Return a date of UTC in seconds."""
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


def test_months_begin_where_they_begin() -> None:
    """What is left of the present month is a piece of its own; none is at its begin."""
    amid = edges_of(at(2026, 11, 26, 12), 2)
    begin = edges_of(at(2026, 12, 1), 2)

    assert amid == (
        at(2026, 11, 26, 12),
        at(2026, 12, 1),
        at(2027, 1, 1),
        at(2027, 2, 1),
    )
    assert labels_of(amid) == ("2026-11", "2026-12", "2027-01")
    assert begin == (at(2026, 12, 1), at(2027, 1, 1), at(2027, 2, 1))


def test_holds_are_cut_at_months_and_at_the_end() -> None:
    """Node-seconds by project; who began first and ended."""
    edges_s = edges_of(at(2027, 1, 1), 2)
    found = unfolded(
        7,
        [
            Hold("s", "p", 2, at(2027, 1, 31), at(2027, 2, 2)),
            Hold("s", "p", 1, at(2026, 12, 31), at(2027, 1, 2)),
            Hold("t", "q", 3, at(2027, 2, 28), at(2027, 3, 5)),
        ],
        edges_s=edges_s,
        ended_s={"s": at(2027, 2, 2)},
        projects={"s": "p", "t": "q", "u": "q"},
        notes=("n",),
    )

    assert found.node_s == {
        "p": (3 * DAY_S, 2 * DAY_S),
        "q": (0.0, 3 * DAY_S),
    }
    assert found.begun_s == {"s": at(2026, 12, 31), "t": at(2027, 2, 28)}
    assert found.ended_s == {"s": at(2027, 2, 2)}
    assert (found.seed, found.notes, found.projects["u"]) == (7, ("n",), "q")
