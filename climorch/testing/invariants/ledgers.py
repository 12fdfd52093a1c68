"""Books of account: those of a journal that is read again are those that were kept."""

from __future__ import annotations

import math
from collections.abc import Iterable

from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.parts import Part
from climorch.model.commands import Record
from climorch.testing.invariants.tally import Tally

__all__ = ["hours_are_those_of_the_leases", "replay_gives_the_same_books"]

# Of sums of up to 1e9 node-seconds.
ROUNDING_S = 1e-3
Entries = dict[tuple[str, str, str], float]


def entries_of(keeper: Bookkeeper) -> Entries:
    """Return what each simulation's nodes were spent on, by project and part."""
    keeper.close()
    found: Entries = {}
    for name, book in keeper.books.of.items():
        for (purse, _), line in book.lines.items():
            for part in Part:
                key = name, purse.project, part.name
                found[key] = found.get(key, 0.0) + line.parts[part]
        for purse, _, node_s in book.pending():
            key = name, purse.project, Part.PENDING.name
            found[key] = found.get(key, 0.0) + node_s
    return found


def replay_gives_the_same_books(
    kept: Entries, journal: Iterable[tuple[Record, float]]
) -> None:
    """Hours by simulation, project and use are those that were counted on the way."""
    keeper = Bookkeeper()
    for record, now_s in journal:
        keeper.note(record, now_s)
    again = entries_of(keeper)
    assert again == kept, {
        k for k in again.keys() | kept if again.get(k) != kept.get(k)
    }


def hours_are_those_of_the_leases(kept: Entries, tally: Tally) -> None:
    """Each project has used what its leases held, each second once."""
    for project in {*tally.projects.values()}:
        used_s = sum(node_s for (_, own, _), node_s in kept.items() if own == project)
        held_s = tally.node_s(project, tally.now_s)
        assert math.isclose(used_s, held_s, abs_tol=ROUNDING_S), (
            project,
            used_s,
            held_s,
        )
