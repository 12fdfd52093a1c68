"""What was used and what for, as a value: one entry per month, project and stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.accounts import Book, Line, Purse, Totals
from climorch.forecast.entries import (
    HOUR_S,
    KEYS,
    PARTS,
    Completed,
    Entry,
    Loss,
    Power,
    Setback,
    columns,
    row,
)
from climorch.forecast.ledger import Bookkeeper, Gap
from climorch.forecast.parts import Part
from climorch.forecast.periods import next_edge_s

__all__ = ["Ledger", "booked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What a campaign used, and what for; each node-second once.

    Attributes
    ----------
    campaign : str
        Its name.
    as_of_s : float
        Newest row of the journal that was read, UTC seconds; NaN: there is none.
        What was pending then becomes useful or lost later, in its own month.
    entries : tuple of Entry
        By month, in order of submission.
    losses : tuple of Loss
        What was lost, by cause; they sum to the part ``LOST``.
    setbacks : tuple of Setback
        How often anything was rolled back.
    gaps : tuple of Gap
        While no driver ran though nodes were held when the last one died. What they
        may have cost is counted nowhere: nobody wrote it down.
    completed : tuple of Completed
        Simulations that are committed to their end.
    power : Power or None
        What a node draws.
    """

    campaign: str
    as_of_s: float = math.nan
    entries: tuple[Entry, ...] = ()
    losses: tuple[Loss, ...] = ()
    setbacks: tuple[Setback, ...] = ()
    gaps: tuple[Gap, ...] = ()
    completed: tuple[Completed, ...] = ()
    power: Power | None = None

    def select(
        self,
        *,
        since_s: float = -math.inf,
        until_s: float = math.inf,
        project: str | None = None,
    ) -> Ledger:
        """Return what of it is in a period and of a project.

        Parameters
        ----------
        since_s, until_s : float
            Begin and end, UTC seconds; where they cut a month, the books must have
            been kept with these cuts.
        project : str or None
            Whose; None: everybody's, and what nobody leased.
        """

        def inside(at_s: float) -> bool:
            return since_s <= at_s < until_s

        def chosen(name: str) -> bool:
            return project is None or name == project

        return replace(
            self,
            entries=tuple(
                x for x in self.entries if inside(x.since_s) and chosen(x.project)
            ),
            losses=tuple(
                x for x in self.losses if inside(x.since_s) and chosen(x.project)
            ),
            setbacks=tuple(
                x for x in self.setbacks if inside(x.since_s) and chosen(x.project)
            ),
            gaps=tuple(gap for gap in self.gaps if inside(gap.since_s)),
            completed=tuple(
                x for x in self.completed if inside(x.at_s) and chosen(x.project)
            ),
        )

    def node_s(self, *parts: Part) -> float:
        """Return node-seconds spent on some parts; of none named, on all."""
        chosen = parts or tuple(Part)
        return math.fsum(e.node_s[part] for e in self.entries for part in chosen)

    @property
    def held_node_s(self) -> float:
        """Node-seconds of all leases: all but what nobody leased."""
        return self.node_s(*(part for part in Part if part is not Part.FREE))

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per entry.

        Returns
        -------
        pandas.DataFrame
            Columns ``month`` to ``stage``, then hours by part, ``node_hours`` of
            leases, ``core_hours``, ``memory_gib_hours``, segments, model years,
            bytes, TB-months; with a `Power` ``kwh``, and ``kg_co2`` if it is known.
        """
        rows = [row(entry, self.power) for entry in self.entries]
        return pd.DataFrame(rows, columns=columns(self.power))

    def by(self, *keys: str) -> pd.DataFrame:
        """Return a table with one row per combination of keys.

        Parameters
        ----------
        *keys : str
            Of ``month``, ``institution``, ``project``, ``simulation``, ``stage``.

        Returns
        -------
        pandas.DataFrame
            Sums, with the keys as index.

        Raises
        ------
        InvalidInputError
            If a key is none of these.
        """
        unknown = [key for key in keys if key not in KEYS]
        if unknown or not keys:
            fault = Fault(
                place="Ledger.by",
                problem=f"got {unknown or keys!r}",
                remedy=f"name some of {', '.join(KEYS)}",
            )
            raise InvalidInputError("a ledger has no such keys", faults=[fault])
        table = self.to_pandas()
        numbers = [name for name in table.columns if name not in KEYS]
        return table.groupby(list(keys), sort=True)[numbers].sum()

    def losses_to_pandas(self) -> pd.DataFrame:
        """Return a table of what was lost, one row per month, stage and cause."""
        rows = [
            {
                "month": Entry(since_s=x.since_s, until_s=x.since_s).month,
                "project": x.project,
                "simulation": x.simulation,
                "stage": x.stage,
                "cause": x.cause,
                "node_hours": x.node_s / HOUR_S,
            }
            for x in self.losses
        ]
        columns = ["month", "project", "simulation", "stage", "cause", "node_hours"]
        return pd.DataFrame(rows, columns=columns)

    def to_xarray(self) -> xr.Dataset:
        """Return everything along ``entry``, in seconds and bytes.

        Returns
        -------
        xarray.Dataset
            ``node_s`` along ``entry`` and ``part``; the rest along ``entry``, with
            ``month`` to ``stage`` as coordinates of it: group by any of them.
        """
        units = {
            "core_s": "core s",
            "memory_byte_s": "byte s",
            "segments": "1",
            "model_years": "year",
            "bytes_read": "byte",
            "bytes_written": "byte",
            "stored_byte_s": "byte s",
            "archived_byte_s": "byte s",
        }
        node_s = np.array([entry.node_s for entry in self.entries], dtype=np.float64)
        shape = (len(self.entries), len(Part))
        values: dict[str, Any] = {
            "node_s": (("entry", "part"), node_s.reshape(shape), {"units": "node s"})
        }
        values |= {
            name: ("entry", [getattr(x, name) for x in self.entries], {"units": unit})
            for name, unit in units.items()
        }
        coords: dict[str, Any] = {
            key: ("entry", np.array([getattr(x, key) for x in self.entries], dtype=str))
            for key in KEYS
        }
        return xr.Dataset(
            values,
            coords={"part": list(PARTS), **coords},
            attrs={"campaign": self.campaign, "as_of_s": self.as_of_s},
        )

    def __str__(self) -> str:
        held_s = self.held_node_s
        lines = [
            f"campaign {self.campaign}: {held_s / HOUR_S:,.1f} node-h in leases, "
            f"{self.node_s(Part.FREE) / HOUR_S:,.1f} free"
        ]
        lines += [
            f"  {part.name.lower():<10} {node_s / HOUR_S:12,.1f} node-h "
            f"{node_s / held_s:6.1%}"
            for part in Part
            if part is not Part.FREE and (node_s := self.node_s(part)) and held_s
        ]
        return "\n".join(lines)


def booked(
    keeper: Bookkeeper,
    campaign: str,
    *,
    cuts: tuple[float, ...] = (),
    power: Power | None = None,
) -> Ledger:
    """Close the books, and write them down as a value.

    Parameters
    ----------
    keeper : Bookkeeper
        That has read the journal, with the same cuts.
    campaign : str
        Its name.
    cuts : tuple of float
        Where time is cut beside months, ascending, UTC seconds.
    power : Power or None
        What a node draws.

    Returns
    -------
    Ledger
        Of all simulations.
    """
    keeper.close()
    books = keeper.books.of
    return Ledger(
        campaign=campaign,
        as_of_s=keeper.now_s,
        entries=tuple(
            replace(x, until_s=next_edge_s(x.since_s, cuts))
            for x in sorted(_all_entries(keeper), key=lambda entry: entry.since_s)
        ),
        losses=tuple(sorted(_losses(books), key=lambda loss: loss.since_s)),
        setbacks=tuple(sorted(_setbacks(books), key=lambda setback: setback.since_s)),
        gaps=tuple(keeper.gaps),
        completed=tuple(
            Completed(
                simulation=name, project=book.purse.project, at_s=book.completed_s
            )
            for name, book in books.items()
            if book.completed_s is not None
        ),
        power=power,
    )


def _losses(books: Mapping[str, Book]) -> Iterator[Loss]:
    for name, book in books.items():
        for (purse, stage, cause), node_s in book.losses.items():
            if node_s:
                yield Loss(
                    since_s=purse.since_s,
                    project=purse.project,
                    simulation=name,
                    stage=stage,
                    cause=cause,
                    node_s=node_s,
                )


def _setbacks(books: Mapping[str, Book]) -> Iterator[Setback]:
    for name, book in books.items():
        for (purse, cause), count in book.mishaps.items():
            yield Setback(
                since_s=purse.since_s,
                project=purse.project,
                simulation=name,
                cause=cause,
                count=count,
            )


def _all_entries(keeper: Bookkeeper) -> Iterator[Entry]:
    """Write down every simulation, then what nobody leased."""
    for name, book in keeper.books.of.items():
        yield from _entries(name, book, keeper.books.institutions)
    for since_s, line in keeper.free.items():
        unused = keeper.unused[since_s]
        yield Entry(
            since_s=since_s,
            until_s=since_s,
            node_s=tuple(line.parts),
            core_s=unused.core_s,
            memory_byte_s=unused.memory_byte_s,
        )


def _entries(name: str, book: Book, institutions: Mapping[str, str]) -> Iterator[Entry]:
    """Write down one simulation; what is pending is told where it was computed."""
    lines = {
        key: Line(
            parts=list(line.parts),
            segments=line.segments,
            model_years=line.model_years,
        )
        for key, line in book.lines.items()
    }
    for purse, stage, node_s in book.pending():
        line = lines.setdefault((purse, stage), Line())
        line.parts[Part.PENDING] += node_s
    for purse in book.totals:
        lines.setdefault((purse, ""), Line())
    held: dict[Purse, float] = {}
    for (purse, _), line in lines.items():
        held[purse] = held.get(purse, 0.0) + sum(line.parts)
    for (purse, stage), line in lines.items():
        used = book.totals.get(purse) or Totals()
        whole = held[purse]
        share = sum(line.parts) / whole if whole else 0.0
        own = used if stage == "" else Totals()
        yield Entry(
            since_s=purse.since_s,
            until_s=purse.since_s,
            institution=institutions.get(purse.project, purse.project),
            project=purse.project,
            simulation=name,
            stage=stage,
            node_s=tuple(line.parts),
            core_s=used.core_s * share,
            memory_byte_s=used.memory_byte_s * share,
            segments=line.segments,
            model_years=line.model_years,
            bytes_read=own.bytes_read,
            bytes_written=own.bytes_written,
            stored_byte_s=own.stored_byte_s,
            archived_byte_s=own.archived_byte_s,
        )
