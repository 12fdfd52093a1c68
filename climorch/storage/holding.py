"""The checkpoints of a simulation as a user gets them: paths that can be verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import pandas as pd

from climorch.storage.verify import verify

__all__ = ["Checkpoints", "Verification"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What it gave to read every file of some checkpoints.

    Attributes
    ----------
    checkpoints : tuple of Path
        Those that were read, newest first.
    bad : tuple of (Path, str, str)
        Every file that is missing, damaged or not in the manifest: checkpoint, path
        below it, and what is wrong.
    """

    checkpoints: tuple[Path, ...]
    bad: tuple[tuple[Path, str, str], ...] = ()

    @property
    def good(self) -> bool:
        """Whether every file of every checkpoint is what was committed."""
        return not self.bad

    def __str__(self) -> str:
        bad = dict.fromkeys(path for path, _, _ in self.bad)
        lines = [
            f"{len(self.checkpoints)} checkpoints read, "
            f"{len(self.checkpoints) - len(bad)} good, {len(bad)} bad"
        ]
        for path in bad:
            lines.append(f"  {path}")
            lines += [f"    {key}: {what}" for of, key, what in self.bad if of == path]
        return "\n".join(lines)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table: per checkpoint whether it is good, and what is not."""
        rows = []
        for path in self.checkpoints:
            found = [f"{key}: {what}" for where, key, what in self.bad if where == path]
            rows.append((str(path), not found, len(found), "; ".join(found)))
        return pd.DataFrame(rows, columns=["checkpoint", "good", "bad_files", "what"])


class Checkpoints(Sequence[Path]):
    """Paths of checkpoints, newest first.

    Each opens with ``xr.open_zarr(path / "state.zarr" / stage)``.

    Parameters
    ----------
    paths : sequence of Path
        In order.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Path: ...

    @overload
    def __getitem__(self, index: slice) -> Checkpoints: ...

    def __getitem__(self, index: int | slice) -> Path | Checkpoints:
        if isinstance(index, slice):
            return Checkpoints(self._paths[index])
        return self._paths[index]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._paths)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list | tuple | Checkpoints):
            return list(self) == list(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._paths)

    def __repr__(self) -> str:
        return f"Checkpoints({[str(path) for path in self._paths]})"

    def verify(self) -> Verification:
        """Read every file, and compare it with the manifest.

        Returns
        -------
        Verification
            With every file that is not what was committed. A checkpoint that was
            deleted meanwhile counts as bad: take the list anew.

        Raises
        ------
        BackendError
            If the file system fails, which says nothing about the checkpoints.
        """
        bad = tuple(
            (path, key, what) for path in self._paths for key, what in verify(path).bad
        )
        return Verification(checkpoints=self._paths, bad=bad)
