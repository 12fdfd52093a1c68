"""The baton of a file, where the file system has no locks that work.

Decides whether locks keep anybody out, who holds the baton, and when that process is
gone. Ignores what is done meanwhile.

The baton is a file in the folder ``held``, which bears the name of a process. Whoever
wants it makes such a folder of its own and renames it to ``held``: that works only
while there is none or an empty one, on every file system that has renames at all. To
remove the file gives the baton back. So does the next one for a process that has died,
and since no two of these files ever have the same name, nobody can take it away from
another one by mistake.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from climorch.errors import BackendError, InvalidInputError
from climorch.storage import durable
from climorch.storage.owner import Owner, is_alive, this_process

__all__ = ["PATIENCE_S", "Baton", "folder_of", "has_baton", "locks_work"]

logger = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""How long the baton is waited for, in seconds."""

POLL_S = 0.005
HELD, DRAFT = "held", "draft-"

# What the kernel says of a lock that another one keeps out.
_TAKEN = (errno.EACCES, errno.EAGAIN)
_OCCUPIED = (errno.EEXIST, errno.ENOTEMPTY)
# ``struct flock``: type, whence, start, length, process; of the whole file.
_WHOLE_FILE = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)

# Those of this process that its storage did not let it give back; the next one does.
_kept_back: set[Path] = set()


def folder_of(path: Path) -> Path:
    """Return the folder of the baton of a file."""
    return path.with_name(f"{path.name}.baton")


def has_baton(path: Path) -> bool:
    """Tell whether a file is one of those with a baton.

    Decided once, by whoever made the file: were some to hold a baton and others locks,
    nobody would be kept out.
    """
    return folder_of(path).is_dir()


def locks_work(path: Path) -> bool:
    """Tell whether locks on a file keep anybody out.

    Parameters
    ----------
    path : Path
        A file that may be opened for writing, and that nobody else has open.

    Returns
    -------
    bool
        False if they are refused, or given to two at a time. Says nothing about
        processes of other machines, whose file system may see to locks by itself.
    """
    with open(path, "r+b") as one, open(path, "r+b") as two:
        try:
            fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            # Of the file that is open, unlike the first one: those of one process
            # never keep each other out.
            fcntl.fcntl(two, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except OSError as error:
            # Not known to this kernel: then there is no telling.
            return error.errno in (*_TAKEN, errno.EINVAL)
    return False


class Baton:
    """The baton of one file; where locks work, nobody ever waits here.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = folder_of(path)
        self._there = has_baton(path)

    @contextlib.contextmanager
    def held(self, doing: str) -> Iterator[None]:
        """Hold it during a block; not to be nested.

        Parameters
        ----------
        doing : str
            What for, for the message.

        Yields
        ------
        None
            While no other process, and no other thread, holds it.

        Raises
        ------
        BackendError
            If another one holds it for `PATIENCE_S`, with its name.
        OSError
            If the storage fails.
        """
        if not self._there:
            yield
            return
        mine = self._take(doing)
        try:
            yield
        finally:
            if not _given_back(mine):
                _kept_back.add(mine)

    def tidy(self) -> None:
        """Remove what processes left that died while they waited."""
        if not self._there:
            return
        me = this_process()
        for draft in self._folder.glob(f"{DRAFT}*"):
            if _is_gone(draft.name.removeprefix(DRAFT), me):
                durable.remove_tree(draft)

    def _take(self, doing: str) -> Path:
        """Wait for it, and return the file that says whose it is."""
        me = this_process()
        name = _name_of(me)
        draft = self._folder / f"{DRAFT}{name}"
        durable.make_new_directory(draft)
        try:
            durable.make_new_file(draft / name, 0o666)
            self._wait_for(draft, me, doing)
        except BaseException:
            durable.remove_tree(draft)
            raise
        return self._folder / HELD / name

    def _wait_for(self, draft: Path, me: Owner, doing: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not self._is_taken(draft):
            holder = self._holder(me)
            if holder is not None and time.monotonic() > end_s:
                raise self._refused(doing, holder)
            time.sleep(POLL_S)

    def _is_taken(self, draft: Path) -> bool:
        try:
            durable.rename(draft, self._folder / HELD)
        except OSError as error:
            if error.errno not in _OCCUPIED:
                raise
            return False
        return True

    def _holder(self, me: Owner) -> Path | None:
        """Return who holds it; take it from a process that is gone."""
        with contextlib.suppress(FileNotFoundError):
            for holder in (self._folder / HELD).iterdir():
                free = holder in _kept_back or _is_gone(holder.name, me)
                if not free or not _given_back(holder):
                    return holder
                logger.warning("event=baton_taken path=%s", holder)
                _kept_back.discard(holder)
        return None

    def _refused(self, doing: str, holder: Path) -> BackendError:
        owner = _owner_of(holder.name)
        who = f"process {owner.pid} on host {owner.host!r}" if owner else "somebody"
        msg = (
            f"{self._path}: {doing}: {who} holds its baton for more than "
            f"{PATIENCE_S:g} s; try again, or if that process is dead, delete {holder}"
        )
        facts = {"path": str(self._path), "holder": str(holder)}
        return BackendError(msg, reason="baton", **facts)


def _is_gone(name: str, me: Owner) -> bool:
    """Tell whether a process has died, as far as that can be known here.

    Never of one on another machine: it may only be slow, and would go on writing.
    """
    owner = _owner_of(name)
    if owner is None or owner.host != me.host:
        return False
    if owner.boot_id != me.boot_id:
        return True
    return owner.namespace == me.namespace and not is_alive(owner)


def _given_back(holder: Path) -> bool:
    """Try to give it back; tell whether the storage let that be."""
    try:
        durable.remove_file(holder)
    except OSError as error:
        logger.warning("event=baton_kept_back path=%s error=%s", holder, error)
        return False
    # Not every file system renames a folder over another one, though it be empty. Where
    # somebody was quicker it is not, and stays.
    with contextlib.suppress(OSError):
        durable.remove_directory(holder.parent)
    return True


def _name_of(owner: Owner) -> str:
    """Return a name that says who holds it, and that no other one ever has."""
    fields = (
        owner.host,
        owner.boot_id,
        str(owner.pid),
        str(owner.start_ticks),
        owner.namespace,
        f"{threading.get_ident()}.{secrets.token_hex(4)}",
    )
    return "+".join(quote(field, safe="") for field in fields)


def _owner_of(name: str) -> Owner | None:
    """Read who holds it; None: not a name of ours."""
    try:
        host, boot_id, pid, ticks, namespace, _ = map(unquote, name.split("+"))
        return Owner(
            host=host,
            boot_id=boot_id,
            pid=int(pid),
            start_ticks=int(ticks),
            namespace=namespace,
        )
    except (ValueError, InvalidInputError):
        return None
