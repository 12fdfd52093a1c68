"""An agent keeps its node through drivers that come and go."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from climorch.sites.batch import agent
from climorch.sites.batch.rendezvous import Rendezvous

# A worker that says who it is, and does not end by itself.
WORKER = """
import os, signal, sys, time
handler = int(signal.getsignal(signal.SIGTERM))
with open(sys.argv[1] + "/workers", "a") as file:
    file.write(f"{os.getpid()} {sys.argv[3]} {handler}\\n")
mark = sys.argv[1] + "/workers.rank"
while not os.path.exists(mark):
    time.sleep(0.01)
if not os.path.getsize(mark) and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(mark, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""
LONGEST_S = 30.0


class Node:
    """An agent that runs, and the folder where it is met."""

    def __init__(self, folder: Path) -> None:
        self.meeting = Rendezvous(folder / "meeting")
        self.meeting.prepare()
        self.workers = folder / "workers"
        self.workers.touch()
        # Without site: coverage in it would set a handler of its own.
        worker = [sys.executable, "-S", "-c", WORKER, str(folder)]
        self.agent = subprocess.Popen(
            [sys.executable, agent.__file__, str(self.meeting.folder), *worker],
            env={**os.environ, "SLURMD_NODENAME": "n7", "SLURM_JOB_ID": "42"},
            stdout=subprocess.DEVNULL,
        )

    def lines(self) -> list[list[str]]:
        """Return process, name and handler of each worker that was started."""
        return [line.split() for line in self.workers.read_text().splitlines()]

    def announce(self, epoch: str, **more: object) -> None:
        """Be a driver."""
        self.meeting.announce(epoch=epoch, look_s=0.02, **more)


def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.02)


def alive(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Run an agent; leave nothing of it."""
    made = Node(tmp_path)
    yield made
    made.agent.kill()
    made.agent.wait()
    for line in made.lines():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line[0]), signal.SIGKILL)


def test_a_worker_is_started_for_each_dask_scheduler(node: Node) -> None:
    """The former one ends; both have the name that the driver expects."""
    node.announce("first")
    until(lambda: len(node.lines()) == 1)
    node.announce("second")
    until(lambda: len(node.lines()) == 2)

    (first, name, _), (second, same, _) = node.lines()
    assert name == same == "n7.42"
    until(lambda: not alive(first))
    assert alive(second)


def test_a_worker_that_dies_is_started_again(node: Node) -> None:
    """Nobody has to ask for it."""
    node.announce("first")
    until(lambda: len(node.lines()) == 1)
    os.kill(int(node.lines()[0][0]), signal.SIGKILL)

    until(lambda: len(node.lines()) == 2)


def test_the_end_of_the_campaign_gives_the_node_back(node: Node) -> None:
    """With nothing left on it."""
    node.announce("first")
    until(lambda: len(node.lines()) == 1)
    node.meeting.leave()

    assert node.agent.wait(LONGEST_S) == 0
    assert not alive(node.lines()[0][0])


def test_a_driver_that_shows_no_life_is_given_up(node: Node) -> None:
    """After its patience, by the agent's own clock."""
    node.announce("first", patience_s=2.0)

    assert node.agent.wait(LONGEST_S) == 0


def test_a_warning_is_written_down_and_the_worker_goes_on(node: Node) -> None:
    """The batch system tells all processes; the worker ignores it."""
    node.announce("first", warn_s=120.0, grace_s=20.0)
    until(lambda: len(node.lines()) == 1)
    pid, _, handler = node.lines()[0]
    assert int(handler) == signal.SIG_IGN
    os.kill(int(pid), signal.SIGTERM)
    node.agent.send_signal(signal.SIGUSR1)
    notices = node.meeting.folder / "notices"
    until(lambda: (notices / "n7.42.SIGUSR1.json").exists())
    node.agent.send_signal(signal.SIGTERM)
    until(lambda: (notices / "n7.42.SIGTERM.json").exists())

    first = json.loads((notices / "n7.42.SIGUSR1.json").read_text())
    assert (first["node"], first["left_s"]) == ("n7.42", 120.0)
    # What it asked for itself is no end yet; what comes unasked is.
    found = {(n.node, n.recalled) for n in node.meeting.notices()}
    assert found == {("n7.42", False), ("n7.42", True)}
    assert alive(pid)
    assert node.agent.poll() is None


def test_what_a_worker_leaves_in_other_sessions_ends_with_it(node: Node) -> None:
    """Such as ranks of a program, whose own parent has ended before."""
    node.announce("first")
    until(lambda: len(node.lines()) == 1)
    worker, mark = node.lines()[0][0], f"{node.workers}.rank"
    Path(mark).touch()
    until(lambda: Path(mark).read_text())
    rank = Path(mark).read_text()
    assert alive(rank)
    node.announce("second")
    until(lambda: len(node.lines()) == 2)
    assert not alive(worker)
    assert not alive(rank)
    assert alive(node.lines()[1][0])
