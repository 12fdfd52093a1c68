"""What a campaign keeps on its disk, and what that would be without links and codec."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from climorch.storage import durable
from climorch.storage.finding import committed
from climorch.storage.layout import Layout
from climorch.storage.results import ResultStore
from climorch.storage.sizing import encoded_bytes, raw_bytes

__all__ = ["StorageReport", "TierUse", "storage_of"]

COLUMNS = (
    "tier",
    "simulation",
    "items",
    "logical_bytes",
    "encoded_bytes",
    "physical_bytes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierUse:
    """What one simulation has in one tier.

    Attributes
    ----------
    tier : str
        ``checkpoints``, ``results``, ``trash``, ``damaged``, ``inflight`` or
        ``archive``.
    simulation : str
        Whose; empty where a tier does not tell.
    items : int
        Checkpoints, stages with results, or folders.
    logical_bytes : int
        Of the values; 0 where nobody tells.
    encoded_bytes : int
        Of the files, each as often as something has it.
    physical_bytes : int
        Of the files, each once. One that two tiers have counts for the upper one in
        the list above.
    """

    tier: str
    simulation: str
    items: int
    logical_bytes: int
    encoded_bytes: int
    physical_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageReport:
    """What a campaign keeps.

    Attributes
    ----------
    uses : tuple of TierUse
        By tier and simulation.
    budget_bytes : int or None
        Most that the chunks of all checkpoints may take; None: no limit.
    counted_bytes : int
        What they take as the budget counts, by the journal.
    """

    uses: tuple[TierUse, ...]
    budget_bytes: int | None = None
    counted_bytes: int = 0

    @property
    def physical_bytes(self) -> int:
        """Bytes on the disk of the campaign; archives are elsewhere."""
        return sum(u.physical_bytes for u in self.uses if u.tier != "archive")

    @property
    def logical_bytes(self) -> int:
        """Bytes of the values in checkpoints."""
        return sum(u.logical_bytes for u in self._checkpoints())

    @property
    def saved_by_codec_bytes(self) -> int:
        """What compression saves in checkpoints, less what metadata takes."""
        return sum(u.logical_bytes - u.encoded_bytes for u in self._checkpoints())

    @property
    def saved_by_links_bytes(self) -> int:
        """What unchanged chunks save in checkpoints, being there once."""
        return sum(u.encoded_bytes - u.physical_bytes for u in self._checkpoints())

    def __str__(self) -> str:
        budget = (
            ""
            if self.budget_bytes is None
            else f"; {_size(self.counted_bytes)} of a budget of "
            f"{_size(self.budget_bytes)} for checkpoints"
        )
        lines = [
            f"{_size(self.physical_bytes)} on the disk; compression saves "
            f"{_size(self.saved_by_codec_bytes)} of checkpoints, links "
            f"{_size(self.saved_by_links_bytes)}{budget}"
        ]
        width = max((len(u.simulation) for u in self.uses), default=0)
        lines += [
            f"  {u.tier:<11} {u.simulation:<{width}} {u.items:>6} "
            f"{_size(u.physical_bytes):>11}"
            for u in self.uses
            if u.items
        ]
        return "\n".join(lines)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per tier and simulation."""
        rows = [tuple(getattr(u, name) for name in COLUMNS) for u in self.uses]
        return pd.DataFrame(rows, columns=list(COLUMNS)).set_index(
            ["tier", "simulation"]
        )

    def _checkpoints(self) -> Iterator[TierUse]:
        return (u for u in self.uses if u.tier == "checkpoints")


def _size(size_bytes: float) -> str:
    """Return bytes in the unit of their size, of 1000."""
    sign, size = ("-", -size_bytes) if size_bytes < 0 else ("", size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{sign}{size:.3g} {unit}"
        size /= 1000
    return f"{sign}{size:,.0f} PB"


def storage_of(
    root: Path, campaign: str, sets: Iterable[tuple[str, str]]
) -> tuple[TierUse, ...]:
    """Look at every file of a campaign.

    Parameters
    ----------
    root : Path
        Folder of all campaigns.
    campaign : str
        Which.
    sets : iterable of (str, str)
        Simulations and their sets.

    Returns
    -------
    tuple of TierUse
        Of all tiers on this disk; nothing for what is empty.

    Raises
    ------
    BackendError
        If the file system fails.
    """
    folder = root / campaign
    seen: set[tuple[int, int]] = set()
    uses: dict[tuple[str, str], TierUse] = {}
    for simulation, name in sets:
        _add(uses, _of_checkpoints(folder, simulation, name, seen))
    results = ResultStore(root, campaign)
    for simulation in _folders(folder / "results"):
        _add(uses, _of_results(results, simulation, seen))
    for tier in ("trash", "damaged", "inflight"):
        physical, encoded = _files(folder / tier, seen)
        use = TierUse(
            tier=tier,
            simulation="",
            items=len(_folders(folder / tier)),
            logical_bytes=0,
            encoded_bytes=encoded,
            physical_bytes=physical,
        )
        _add(uses, use)
    return tuple(use for use in uses.values() if use.items)


def _of_checkpoints(
    folder: Path, simulation: str, name: str, seen: set[tuple[int, int]]
) -> TierUse:
    found = list(committed(Layout(folder), simulation, name))
    return TierUse(
        tier="checkpoints",
        simulation=simulation,
        items=len(found),
        logical_bytes=sum(raw_bytes(c.manifest) for c in found),
        encoded_bytes=sum(encoded_bytes(c.manifest) for c in found),
        physical_bytes=sum(_files(c.path, seen)[0] for c in found),
    )


def _of_results(
    results: ResultStore, simulation: str, seen: set[tuple[int, int]]
) -> TierUse:
    folder = results.folder / "results" / simulation
    stages = [s for s in _folders(folder) if results.exists(simulation, s)]
    physical, encoded = _files(folder, seen)
    return TierUse(
        tier="results",
        simulation=simulation,
        items=len(stages),
        logical_bytes=sum(results.open(simulation, s).nbytes for s in stages),
        encoded_bytes=encoded,
        physical_bytes=physical,
    )


def _add(uses: dict[tuple[str, str], TierUse], use: TierUse) -> None:
    key = (use.tier, use.simulation)
    known = uses.get(key)
    if known is None:
        uses[key] = use
        return
    uses[key] = TierUse(
        tier=use.tier,
        simulation=use.simulation,
        items=known.items + use.items,
        logical_bytes=known.logical_bytes + use.logical_bytes,
        encoded_bytes=known.encoded_bytes + use.encoded_bytes,
        physical_bytes=known.physical_bytes + use.physical_bytes,
    )


def _folders(path: Path) -> list[str]:
    with durable.translated("list", path):
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []


def _files(path: Path, seen: set[tuple[int, int]]) -> tuple[int, int]:
    """Return bytes of files that nobody has counted, and of all; notes the former."""
    physical = encoded = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                status = os.stat(os.path.join(directory, name))
            except FileNotFoundError:
                # Deleted while it was counted.
                continue
            encoded += status.st_size
            inode = (status.st_dev, status.st_ino)
            if inode not in seen:
                seen.add(inode)
                physical += status.st_size
    return physical, encoded
