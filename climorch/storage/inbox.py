"""Wishes that any process leaves for the driver, one file each.

Decides how a wish is laid down so that it is there fully or not at all, and
what may pass for one: what lies in the folder is not trusted. Ignores when it
is acted on; the file goes once its fact is in the journal.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from climorch.model.events import (
    DrainRequested,
    PriorityRequested,
    UndrainRequested,
    WindowDeclared,
    WindowWithdrawn,
    Wish,
    WishTaken,
)
from climorch.model.names import name_fault
from climorch.storage import durable

__all__ = [
    "FOLDER",
    "MOST_WISH_BYTES",
    "Found",
    "Junk",
    "look",
    "put",
    "remove",
    "set_aside",
]

FOLDER = "inbox"
"""Name of the folder below the campaign's."""

MOST_WISH_BYTES = 65_536
"""Largest file that is read, in bytes."""

MOST_AT_ONCE = 1000
MOST_TEXT = 256
MOST_PRIORITY = 2**31

JUNK = "junk"
_NAME = re.compile(r"[0-9]{20}-[0-9a-f]{12}\.json", re.ASCII)
_DECODER = msgspec.json.Decoder(WishTaken)
# What says "this file cannot be a wish", as opposed to "the disk is ill".
_REFUSED = frozenset({errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO})

_last_lock = threading.Lock()
_last_ns = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Junk:
    """Something in the inbox that is no wish.

    Attributes
    ----------
    name : str
        Of the file.
    problem : str
        Why it is none.
    """

    name: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in an inbox.

    Attributes
    ----------
    wishes : tuple of WishTaken
        In the order in which they were given, as far as clocks agree.
    junk : tuple of Junk
        All else, but files that are still being written.
    """

    wishes: tuple[WishTaken, ...] = ()
    junk: tuple[Junk, ...] = ()


def put(folder: Path, wish: Wish, *, by: str) -> WishTaken:
    """Lay a wish down; it outlives this process once this returns.

    Parameters
    ----------
    folder : Path
        The inbox; made where it is missing.
    wish : Wish
        What is wanted.
    by : str
        Who wants it.

    Returns
    -------
    WishTaken
        The fact that will be journaled. Those of one process are in order;
        those of several machines are as far as their clocks agree.

    Raises
    ------
    BackendError, ConflictError
        If it cannot be written.
    """
    stamp_ns = _stamp_ns()
    name = f"{stamp_ns:020d}-{uuid.uuid4().hex[:12]}"
    taken = WishTaken(
        id=name, by=by[:MOST_TEXT], given_s=round(stamp_ns / 1e9, 3), wish=wish
    )
    with durable.translated("give a wish", folder):
        durable.make_directories(folder)
        durable.write_durably(folder / f"{name}.json", msgspec.json.encode(taken))
        durable.fsync_directory(folder)
    return taken


def look(folder: Path) -> Found:
    """Read what lies in an inbox; changes nothing.

    Parameters
    ----------
    folder : Path
        The inbox; it need not exist.

    Returns
    -------
    Found
        The first thousand files by name; the others once these are gone.

    Raises
    ------
    BackendError
        If the folder or a file cannot be read now.
    """
    with durable.translated("read the inbox", folder):
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return Found()
        wishes, junk = [], []
        seen = 0
        for name in names:
            if name == JUNK or name.startswith(durable.TEMPORARY_PREFIX):
                continue
            seen += 1
            if seen > MOST_AT_ONCE:
                break
            match _read(folder / name):
                case WishTaken() as wish:
                    wishes.append(wish)
                case str() as problem:
                    junk.append(Junk(name=name, problem=problem))
    return Found(wishes=tuple(wishes), junk=tuple(junk))


def remove(folder: Path, name: str) -> None:
    """Remove a wish; one that is gone is fine.

    Parameters
    ----------
    folder : Path
        The inbox.
    name : str
        Id of the wish, whose fact is in the journal.

    Raises
    ------
    BackendError
        If it cannot be removed.
    """
    with durable.translated("remove a wish", folder):
        durable.remove_file(folder / f"{name}.json")


def set_aside(folder: Path, name: str) -> Path:
    """Move what is no wish out of the way, kept as evidence.

    Parameters
    ----------
    folder : Path
        The inbox.
    name : str
        Name in it.

    Returns
    -------
    Path
        Where it is now.

    Raises
    ------
    BackendError, ConflictError
        If it cannot be moved, or is gone.
    """
    with durable.translated("set aside", folder):
        durable.make_directories(folder / JUNK)
        # A short name: with the addition the old one might be too long.
        kept = folder / JUNK / f"{uuid.uuid4().hex[:12]}-{name[:64]}"
        durable.rename(folder / name, kept)
    return kept


def _stamp_ns() -> int:
    """Return the time of day, later than for any earlier wish of this process."""
    # Names ascend over all campaigns of a process.
    global _last_ns
    with _last_lock:
        _last_ns = max(time.time_ns(), _last_ns + 1)
        return _last_ns


def _read(path: Path) -> WishTaken | str | None:
    """Return a wish, or what is wrong with it; None: it has gone meanwhile."""
    if not _NAME.fullmatch(path.name):
        return "its name is not that of a wish"
    # A pipe or a link must not hold the driver up or lead it elsewhere.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _REFUSED:
            return f"it cannot be opened: {error.strerror}"
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "it is no file"
        if status.st_size > MOST_WISH_BYTES:
            return f"it has {status.st_size} bytes, at most {MOST_WISH_BYTES}"
        content = os.read(descriptor, MOST_WISH_BYTES + 1)
    finally:
        os.close(descriptor)
    return _decoded(content, path.stem)


def _decoded(content: bytes, name: str) -> WishTaken | str:
    try:
        wish = _DECODER.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return f"it cannot be read: {error}"
    return _fault(wish, name) or wish


def _fault(taken: WishTaken, name: str) -> str | None:
    """Say what is wrong with a wish of the right form, if anything."""
    wish = taken.wish
    if taken.id != name:
        return f"it says that it is {taken.id[:MOST_TEXT]!r}"
    if not (_is_text(taken.by) and math.isfinite(taken.given_s)):
        return "it does not say who gave it and when"
    if isinstance(wish, DrainRequested | UndrainRequested):
        return None if _is_text(wish.node) else "it names no node"
    if isinstance(wish, WindowDeclared):
        # Its own checks were made when it was decoded.
        window = wish.window
        texts = (*window.nodes, window.holder or "-")
        return None if all(map(_is_text, texts)) else "it names no nodes or holder"
    if isinstance(wish, WindowWithdrawn):
        return None if _is_text(wish.name) else "it names no window"
    if name_fault(wish.simulation, place="wish") is not None:
        return "it names no simulation"
    if isinstance(wish, PriorityRequested) and abs(wish.priority) > MOST_PRIORITY:
        return "its priority is out of range"
    return None


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MOST_TEXT and text.isprintable()
