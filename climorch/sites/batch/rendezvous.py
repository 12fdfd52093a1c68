"""The folder where a driver and the agents of its jobs meet.

The driver writes where its Dask scheduler is and shows that it is alive; agents
write what they were told by the batch system. Files are replaced, never changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from climorch.model.names import PATTERN

__all__ = ["BEACON", "Notice", "Rendezvous"]

BEACON = "scheduler.json"
NOTICES = "notices"
LOGS = "logs"
# A notice is a few numbers: what is longer is none.
MOST_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What an agent was told.

    Attributes
    ----------
    node : str
        Name of its node.
    left_s : float
        Seconds that it has left, counted from when this is read.
    why : str
        In words.
    recalled : bool
        Whether the batch system takes it back, and nothing may be begun there.
    """

    node: str
    left_s: float
    why: str
    recalled: bool = False


class Rendezvous:
    """The folder, as the driver uses it.

    Parameters
    ----------
    folder : Path
        Seen by this machine and by all nodes under the same path; ours alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._beat = 0
        self._beacon: dict[str, object] = {}

    def prepare(self) -> None:
        """Make the folders; only the owner may enter them."""
        for folder in (self.folder, self.folder / NOTICES, self.folder / LOGS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in (self.folder / NOTICES).iterdir():
            stale.unlink(missing_ok=True)

    @property
    def log(self) -> str:
        """Path of the file that a job prints to; the batch system knows ``%j``."""
        return str(self.folder / LOGS / "%j.log")

    def keep_secret(self, name: str, text: str) -> Path:
        """Write a file that nobody but the owner can read; return its path."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as file:
            file.write(text)
        return path

    def announce(self, **beacon: object) -> None:
        """Say where the Dask scheduler is.

        Parameters
        ----------
        **beacon
            What the nodes need to know, as JSON has it; ``epoch`` among it: nodes
            start anew where it differs.
        """
        self._beacon = beacon
        self.beat()

    def beat(self) -> None:
        """Show that the driver is alive."""
        self._beat += 1
        text = json.dumps({**self._beacon, "beat": f"{os.getpid()}.{self._beat}"})
        self._replace(self.folder / BEACON, text)

    def leave(self) -> None:
        """Tell all agents to give their nodes back."""
        self.announce(over=True)

    def notices(self) -> list[Notice]:
        """Take what the agents were told; each is told once."""
        found = []
        for path in sorted((self.folder / NOTICES).glob("*.json")):
            notice = None
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                notice = _notice(path)
            path.unlink(missing_ok=True)
            if notice is not None:
                found.append(notice)
        return found

    def _replace(self, path: Path, text: str) -> None:
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(text)
        beside.replace(path)


def _notice(path: Path) -> Notice | None:
    with path.open("rb") as file:
        told = json.loads(file.read(MOST_BYTES))
    node, left_s = str(told["node"]), float(told["left_s"])
    if not PATTERN.fullmatch(node) or not 0 <= left_s < 1e7:
        return None
    # It may have lain here while nobody looked.
    age_s = max(0.0, time.time() - path.stat().st_mtime)
    left_s = max(0.0, left_s - age_s)
    return Notice(
        node=node,
        left_s=left_s,
        why=str(told.get("why", ""))[:200],
        recalled=told.get("recalled") is True,
    )
