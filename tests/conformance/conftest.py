"""Commands of PBS and LSF for tests: what behaves as theirs do is first on the path."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from climorch.sites.batch import agent

PROGRAMS = {
    "pbs": ("qsub", "qselect", "qstat", "qdel", "qrls"),
    "lsf": ("bsub", "bjobs", "bkill", "bresume"),
}


class Stub:
    """The batch system of a test."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def behave(self, **how: Any) -> None:
        """Say what it is to do otherwise."""
        (self.home / "behave.json").write_text(json.dumps(how))

    def jobs(self) -> list[dict[str, Any]]:
        """Return what it knows."""
        path = self.home / "jobs.json"
        return [*json.loads(path.read_text()).values()] if path.exists() else []

    def processes(self) -> list[int]:
        """Return the processes of its jobs that are there."""
        found = []
        for job in self.jobs():
            pid = job.get("pid", 0)
            if pid and Path(f"/proc/{pid}").exists():
                found += [pid, *agent.descendants(pid)]
        return [p for p in found if not _zombie(p)]


def _zombie(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        )
    except OSError:
        return True


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """Its commands are the first on the path; nothing of it is left."""
    home, programs = tmp_path / "stub", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    source = Path(__file__).with_name("stub_batch.py")
    for name in (*PROGRAMS["pbs"], *PROGRAMS["lsf"]):
        path = programs / name
        # Without site: it starts in a few milliseconds, and coverage leaves it alone.
        line = f'exec {sys.executable} -S -E {source} {name} "$@"'
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB_BATCH", str(home))
    monkeypatch.setenv("STUB_AGENT", agent.__file__)
    made = Stub(home)
    yield made
    left = made.processes()
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []
