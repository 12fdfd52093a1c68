"""What must hold after the power came back, each as a function with its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from climorch.model.commands import Record
from climorch.model.events import SetRestored
from climorch.testing.fake_disk import FakeDisk

__all__ = [
    "what_is_restored_is_what_was_written",
    "what_was_committed_is_there",
    "what_was_journaled_is_there",
]

Place = tuple[str, str, int]


def what_is_restored_is_what_was_written(whole: bool, fact: SetRestored) -> None:
    """Every value that a set is restored with is the one of its boundary."""
    assert whole, fact


def what_was_journaled_is_there(
    found: Sequence[tuple[Record, float]],
    acknowledged: Sequence[tuple[Record, float]],
    under_way: Sequence[tuple[Record, float]],
) -> None:
    """Acknowledged rows are there; of a transaction under way all or none."""
    assert [*found[: len(acknowledged)]] == [*acknowledged], (len(found), "rows lost")
    more = [*found[len(acknowledged) :]]
    assert more in ([], [*under_way]), (more, under_way)


def what_was_committed_is_there(
    disk: FakeDisk, found: Mapping[Place, tuple[int, bool]], under_way: Place | None
) -> None:
    """Acknowledged ones are there, whole, and no others but the one under way."""
    told = {
        (simulation, name, boundary)
        for (simulation, name), stored in disk.files.items()
        for boundary in stored
    }
    assert told <= found.keys(), sorted(told - found.keys())
    assert found.keys() <= told | {under_way}, sorted(found.keys() - told)
    broken = [place for place, (_, whole) in found.items() if not whole]
    assert broken == [], broken
