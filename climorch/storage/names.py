"""Which names may become part of a path.

Decides what a campaign, simulation, set, stage, writer or variable may be called
so that no name can leave its directory or collide with files of the store.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from climorch.errors import Fault, InvalidInputError
from climorch.model.names import name_fault

__all__ = ["check_names", "is_safe_key", "variable_fault"]

_MAX_VARIABLE_BYTES = 200
_MAX_KEY_BYTES = 1024


def check_names(headline: str, *named: tuple[str, object]) -> None:
    """Refuse names that are not safe in a path, all at once.

    Parameters
    ----------
    headline : str
        What was asked for, for the message.
    *named : tuple of (kind, name)
        What to check.

    Raises
    ------
    InvalidInputError
        With one fault per bad name.
    """
    found = [name_fault(name, place=kind) for kind, name in named]
    faults = [fault for fault in found if fault is not None]
    if faults:
        raise InvalidInputError(headline, faults=faults)


def variable_fault(name: object) -> Fault | None:
    """Say what is wrong with the name of a variable, if anything.

    Variables become directories of a Zarr group, beside its ``zarr.json``.

    Parameters
    ----------
    name : object
        The name of the variable.

    Returns
    -------
    Fault or None
        None where it can be stored.
    """
    if (
        isinstance(name, str)
        and name
        and name.isprintable()
        and not name.startswith((".", "__"))
        and not set(name) & set("/\\")
        and name != "zarr.json"
        and len(name.encode()) <= _MAX_VARIABLE_BYTES
    ):
        return None
    return Fault(
        place=f"variable {name!r}",
        problem="the name cannot be used as the name of a directory",
        remedy="rename it: no '/' or '\\', no leading '.' or '__', "
        f"not 'zarr.json', at most {_MAX_VARIABLE_BYTES} bytes",
    )


def is_safe_key(key: str) -> bool:
    """Whether a stored key stays inside the directory it is relative to.

    Parameters
    ----------
    key : str
        Posix path from a file that somebody may have changed.

    Returns
    -------
    bool
        False for absolute paths, empty, ``.`` and ``..`` parts, backslashes,
        control characters and excessive length.
    """
    return (
        0 < len(key.encode(errors="replace")) <= _MAX_KEY_BYTES
        and key.isprintable()
        and "\\" not in key
        and not PurePosixPath(key).is_absolute()
        and all(part not in {"", ".", ".."} for part in key.split("/"))
    )
