"""Whether a node can write a campaign's folder, found by writing there.

The driver makes a folder with a word in it, as it makes all others of the campaign. A
node that reads the word sees the same file system; what it then makes and renames
there, the driver must be able to remove. Modes and numbers of users say less: groups,
access lists, squashed roots and mount options decide too.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from climorch.storage import durable

__all__ = ["close_marks", "leave_mark", "open_marks", "remove_mark"]

PREFIX = ".nodes-"
WORD = "word"


def open_marks(folder: Path) -> Path:
    """Make the place for marks of nodes; those of drivers that died are removed.

    Parameters
    ----------
    folder : Path
        Of the campaign, whose only driver this is.

    Returns
    -------
    Path
        The place; its name ends with the word that nodes must find in it.
    """
    for left in folder.glob(f"{PREFIX}*"):
        close_marks(left)
    word = secrets.token_hex(8)
    place = folder / f"{PREFIX}{word}"
    durable.make_directories(place)
    durable.write_durably(place / WORD, word.encode())
    return place


def close_marks(place: Path) -> None:
    """Remove the place for marks; what others still write there may stay."""
    with contextlib.suppress(OSError):
        durable.remove_tree(place)


def leave_mark(place: Path, name: str) -> str:
    """Write, rename and remove in a campaign's folder; runs on a node.

    Parameters
    ----------
    place : Path
        From `open_marks`.
    name : str
        Of the mark, which stays for the driver to remove.

    Returns
    -------
    str
        What is wrong; empty: nothing.
    """
    try:
        word = (place / WORD).read_text()
    except OSError as error:
        return f"cannot read {place.parent}: {error.strerror}"
    if word != place.name.removeprefix(PREFIX):
        return f"{place.parent} is another folder there"
    draft = place / f"{name}.draft"
    try:
        durable.make_directories(draft)
        durable.write_durably(draft / "first", b"")
        durable.write_durably(draft / "second", b"")
        durable.remove_file(draft / "first")
        durable.rename(draft, place / name)
    except OSError as error:
        close_marks(draft)
        return f"cannot write in {place.parent}: {error.strerror}"
    return ""


def remove_mark(place: Path, name: str) -> str:
    """Remove a mark; return why that cannot be done, empty: it is gone."""
    try:
        durable.remove_tree(place / name)
    except OSError as error:
        return f"leaves what cannot be removed here: {error.strerror}"
    return ""
