"""Where in a user's own code an error was raised."""

from __future__ import annotations

import traceback
from pathlib import Path, PurePath

__all__ = ["raised_at"]

# Whoever raises there was asked to by somebody else's code, which is named instead.
_LIBRARIES = frozenset(
    {"climorch", "cloudpickle", "dask", "distributed", "numpy", "pandas", "xarray"}
    | {"toolz", "tornado", "zarr"}
)
_INSTALLED = ("site-packages", "dist-packages")
# What cloudpickle says of the script that was started, whose functions it sends whole.
_SENT = "<dynamic-code>"
_OURS = Path(__file__).parents[1]
_LONGEST = 200


def raised_at(error: BaseException) -> str:
    """Say in which line of a user's code an error was raised.

    Parameters
    ----------
    error : BaseException
        As Dask brings it from a node, with where it was raised there.

    Returns
    -------
    str
        File, line and function; empty: in none.
    """
    found = ""
    # Of a wrapper that does not say, what it wraps may.
    for one in (error, error.__cause__):
        for frame in traceback.extract_tb(one.__traceback__) if one else ():
            if _is_users(frame.filename):
                place = f"{frame.filename}:{frame.lineno}"
                if frame.filename == _SENT:
                    place = f"line {frame.lineno}"
                found = f"{place}, in {frame.name}"
        if found:
            break
    return found[-_LONGEST:]


def _is_users(file: str) -> bool:
    if file == _SENT:
        return True
    parts = PurePath(file).parts
    for folder in _INSTALLED:
        if folder in parts:
            return parts[parts.index(folder) + 1] not in _LIBRARIES
    # What is left: ours where it is not installed, Python's own, and what has no file.
    own = PurePath(file).is_relative_to(_OURS)
    python = any(part.startswith("python3.") for part in parts[:-1])
    return not (own or python or file.startswith("<"))
