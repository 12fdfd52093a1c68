"""Which SQLite journal mode is safe where a journal lies.

Decides between WAL (readers and the writer never wait for each other) and a
rollback journal (works wherever file locks do).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["MOUNTS", "filesystem_type", "set_journal_mode", "wal_is_safe"]

MOUNTS = Path("/proc/self/mounts")
"""Where the kernel lists the mounted file systems."""

# Shared memory does not reach other machines, and some of these give each
# process its own copy of a mapped page; WAL needs one for all.
_NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fhgfs",
        "fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "virtiofs",
        "wekafs",
    }
)


def set_journal_mode(db: sqlite3.Connection, path: Path, mounts: Path = MOUNTS) -> str:
    """Choose between WAL and a rollback journal by what the storage can do.

    Parameters
    ----------
    db : sqlite3.Connection
        Of the journal, no transaction open.
    path : Path
        The journal.
    mounts : Path
        Where the mounted file systems are listed; unreadable: taken as local.

    Returns
    -------
    str
        ``"wal"`` or ``"delete"``.
    """
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        table = ""
    mode = "delete"
    if wal_is_safe(filesystem_type(path.resolve(), table)):
        # SQLite answers with another mode where it cannot have shared memory.
        mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        mode = db.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    # After a long reader held it back, the WAL shrinks to this again.
    db.execute("PRAGMA journal_size_limit=67108864")
    return str(mode)


def wal_is_safe(filesystem: str) -> bool:
    """Tell whether processes share mapped memory on a file system.

    Parameters
    ----------
    filesystem : str
        Its type, as in ``/proc/mounts``.

    Returns
    -------
    bool
        False for network and user-space file systems.
    """
    return filesystem not in _NETWORK_TYPES and not filesystem.startswith("fuse.")


def filesystem_type(path: Path, mounts: str) -> str:
    r"""Find the type of the file system that a path lies on.

    Parameters
    ----------
    path : Path
        Absolute, without links.
    mounts : str
        Text of ``/proc/mounts``; a blank in a mount point stands as ``\040``.

    Returns
    -------
    str
        Empty if no line fits.

    Examples
    --------
    >>> table = "/dev/a / ext4 rw 0 0\nsrv:/x /data nfs4 rw 0 0\n"
    >>> filesystem_type(Path("/data/run/journal.db"), table)
    'nfs4'
    """
    best, longest = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1]
        for code, char in (("\\040", " "), ("\\011", "\t"), ("\\134", "\\")):
            point = point.replace(code, char)
        # On a tie the later line wins: it was mounted over the earlier one.
        if path.is_relative_to(point) and len(point) >= longest:
            best, longest = fields[2], len(point)
    return best
