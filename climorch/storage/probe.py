"""What a file system is like, measured, and which settings follow from that.

Writes files of its own into a folder and removes them again. Figures are those of one
process at one moment: a parallel file system has bad days, and many writers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from climorch.errors import BackendError
from climorch.storage.arrays import MAX_CHUNK_BYTES

__all__ = ["Measured", "Probe", "advise", "probe"]

MIB = 2**20
# Of the time that a checkpoint takes, most that what each file costs may be.
MOST_PER_FILE = 0.1
SMALLEST_CHUNK, LEAST_FREE_BYTES = 4 * MIB, 10 * 2**30
# Below, a file system is slow with data; above, with each file.
SLOW_BYTES_PER_S, SLOW_FILE_S = 50 * MIB, 0.02
# What another process does to see whether it is kept out.
REFUSED = 3
TRY_LOCK = f"""
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], "wb"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit({REFUSED})
"""
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of a file system.

    Attributes
    ----------
    write_bytes_per_s : float
        Of one large file, until it is on the disk.
    fsync_s, rename_s, create_s : float
        Of one small file each, in seconds, in the median: to bring it to the disk, to
        rename it over another one, to make and to remove it.
    hard_links, locks : bool
        Whether it has them.
    free_bytes : int
        Of its space, as far as this user may have it.
    kind : str
        Of file system, such as ``ext4`` or ``lustre``; empty: not known.
    striping : bool
        Whether there is ``lfs`` to set its stripes.
    """

    write_bytes_per_s: float
    fsync_s: float
    rename_s: float
    create_s: float
    hard_links: bool
    locks: bool
    free_bytes: int
    kind: str = ""
    striping: bool = False

    @property
    def file_s(self) -> float:
        """What each file of a checkpoint costs beside its data, in seconds."""
        return self.create_s + self.fsync_s + self.rename_s

    @property
    def chunk_bytes(self) -> int:
        """Least chunk, in bytes, whose file costs little beside its data."""
        wanted = self.file_s * self.write_bytes_per_s * (1 / MOST_PER_FILE - 1)
        rounded = int(2 ** math.ceil(math.log2(max(wanted, 1.0))))
        return min(max(rounded, SMALLEST_CHUNK), MAX_CHUNK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a folder is like.

    Attributes
    ----------
    path : str
        Which.
    measured : Measured
        Of the file system that it is on.
    advice : tuple of str
        What follows; empty: nothing that the defaults do not do.
    """

    path: str
    measured: Measured
    advice: tuple[str, ...]


def probe(path: str | Path, *, size_bytes: int = 64 * MIB, files: int = 20) -> Probe:
    """Measure a file system and say what follows.

    Parameters
    ----------
    path : str or Path
        A folder that is there, such as the root of a campaign.
    size_bytes : int
        Of the large file, >= 1 MiB; more than a cache holds shows more.
    files : int
        Small files, >= 1.

    Raises
    ------
    BackendError
        If nothing can be written there.
    """
    folder = Path(path)
    try:
        with _scratch(folder) as scratch:
            measured = Measured(
                write_bytes_per_s=_rate(scratch, size_bytes),
                fsync_s=_usual_s(files, lambda i: _written(scratch / f"s{i}")),
                rename_s=_usual_s(files, lambda i: _renamed(scratch, i)),
                create_s=_usual_s(files, lambda i: _made(scratch / f"c{i}")),
                hard_links=_links(scratch),
                locks=_locks(scratch / "lock"),
                free_bytes=shutil.disk_usage(folder).free,
                kind=_kind(folder),
                striping=shutil.which("lfs") is not None,
            )
    except OSError as error:
        text = f"{folder} cannot be measured: {error.strerror or error}"
        raise BackendError(text) from error
    return Probe(path=str(folder), measured=measured, advice=tuple(advise(measured)))


def advise(found: Measured) -> Iterator[str]:
    """Say which settings follow from what was measured.

    Parameters
    ----------
    found : Measured
        Of a file system.

    Yields
    ------
    str
        One sentence for each.
    """
    if not found.locks:
        yield (
            "it has no locks that work: renames stand in for them, so each transaction "
            "of the journal costs some more, and readers wait for each other; put the "
            "root of the campaign elsewhere if you can"
        )
    if found.free_bytes < LEAST_FREE_BYTES:
        yield (
            f"{found.free_bytes / 2**30:.1f} GiB are free: give a ByteBudget, "
            "or keep fewer checkpoints"
        )
    if not found.hard_links:
        yield (
            "it has no hard links: each checkpoint is written whole, also what did not "
            "change; keep fewer of them"
        )
    if found.file_s > SLOW_FILE_S:
        yield (
            f"each file costs {found.file_s * 1e3:.0f} ms beside its data: choose "
            f"chunks of {found.chunk_bytes // MIB} MiB or more, so that there are few"
        )
    if found.write_bytes_per_s < SLOW_BYTES_PER_S:
        rate = found.write_bytes_per_s / MIB
        yield (
            f"it takes {rate:.0f} MiB/s: PartnerCopy saves time between checkpoints, "
            "and a Scope leaves out what can be computed again"
        )
    if found.kind == "lustre" and found.striping:
        yield (
            "it is Lustre: 'lfs setstripe -c 1' for checkpoints, which are many files "
            "of one chunk each, and '-c 4' or more for archives, which are large ones"
        )


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix=".probe-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _usual_s(count: int, work: Callable[[int], float]) -> float:
    return median(work(i) for i in range(count))


def _rate(scratch: Path, size_bytes: int) -> float:
    block = os.urandom(MIB)
    begin_s = time.perf_counter()
    with open(scratch / "large", "wb") as file:
        for _ in range(max(1, size_bytes // MIB)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        written = file.tell()
    return written / (time.perf_counter() - begin_s)


def _written(path: Path) -> float:
    with open(path, "wb") as file:
        file.write(b"x" * 512)
        file.flush()
        begin_s = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - begin_s


def _renamed(scratch: Path, number: int) -> float:
    source = scratch / f"r{number}"
    source.write_bytes(b"x")
    begin_s = time.perf_counter()
    source.replace(scratch / "renamed")
    return time.perf_counter() - begin_s


def _made(path: Path) -> float:
    begin_s = time.perf_counter()
    path.touch()
    path.unlink()
    return time.perf_counter() - begin_s


def _links(scratch: Path) -> bool:
    source = scratch / "source"
    source.write_bytes(b"x")
    try:
        (scratch / "link").hardlink_to(source)
    except OSError as error:
        if error.errno in NO_LINKS:
            return False
        raise
    return source.stat().st_nlink == 2


def _locks(path: Path) -> bool:
    """Whether a lock keeps another process out: threads of one share theirs."""
    with open(path, "wb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        other = [sys.executable, "-S", "-c", TRY_LOCK, str(path)]
        return subprocess.run(other, check=False).returncode == REFUSED


def _kind(folder: Path) -> str:
    """Return the kind of the file system that is mounted closest above a folder."""
    best, kind = "", ""
    whole = str(folder.resolve())
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, point, name = line.split(" ")[:3]
            inside = whole == point or whole.startswith(f"{point.rstrip('/')}/")
            if inside and len(point) >= len(best):
                best, kind = point, name
    return kind
