"""Campaigns on bad storage, one cell after the other, told as they come."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from climorch.errors import NotFoundError
from climorch.testing.preload import build

__all__ = ["try_each"]

Seen = TypeVar("Seen")


def try_each(
    names: Sequence[str],
    source: Path,
    *,
    cell: Callable[[Path, str, Path], Seen],
    failed: Callable[[str, str], Seen],
    told: Callable[[Seen], str],
) -> list[Seen]:
    """Try each; print what came of it at once.

    Parameters
    ----------
    names : sequence of str
        Of the cells.
    source : Path
        Of the library that the campaigns have loaded before all others.
    cell : callable
        ``cell(folder, name, library)`` tries one, in an empty folder.
    failed : callable
        ``failed(name, problem)`` is what one has shown that came to no end.
    told : callable
        A line for one.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder), source)
        for number, name in enumerate(names):
            root = Path(folder, str(number))
            root.mkdir()
            try:
                seen = cell(root, name, library)
            except (NotFoundError, TimeoutError) as error:
                seen = failed(name, str(error))
            print(told(seen), flush=True)
            found.append(seen)
    return found
