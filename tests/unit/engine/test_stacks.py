"""Processes say where they stand whatever they do, and die with their group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from climorch.engine import stacks

# By its file: importing the library takes seconds.
PROGRAM = f"""
import hashlib, importlib.util, itertools, subprocess, sys, time
spec = importlib.util.spec_from_file_location("stacks", {stacks.__file__!r})
stacks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stacks)
def sleeps(): time.sleep(1000)
def holds(): sum(itertools.repeat(0))
def computes(): hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
def deaf():
    stacks.faulthandler.unregister(stacks.SIGNAL)
    import signal
    signal.signal(stacks.SIGNAL, signal.SIG_IGN)
    time.sleep(1000)
if sys.argv[1] != "silent":
    stacks.listen("before")
    stacks.listen("s/air/air")
    stacks.listen("s/air/air")
stacks.lead_group()
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
print(helper.pid, flush=True)
{{"silent": sleeps, "sleeps": sleeps, "holds": holds, "computes": computes,
  "deaf": deaf}}[sys.argv[1]]()
"""


@contextmanager
def process(what: str) -> Iterator[tuple[int, int]]:
    """A process that does something, and a helper that it has started."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what], stdout=subprocess.PIPE
    ) as started:
        try:
            assert started.stdout is not None
            yield started.pid, int(started.stdout.readline())
        finally:
            stacks.kill_group(started.pid, wait_s=10.0)


@pytest.mark.parametrize("what", ["sleeps", "holds", "computes"])
def test_a_process_that_listens_says_where_it_stands(what: str) -> None:
    """In sleep, in C without and with the interpreter's lock."""
    with process(what) as (pid, helper):
        # Until it has got there.
        while f" in {what}" not in (dump := stacks.stack_of(pid)):
            pass
        assert stacks.name_of(pid) == "s/air/air"
        assert stacks.innermost(stacks.relevant(dump)).endswith(f" in {what}")
        assert stacks.below(pid) == [helper]
        assert stacks.condition(pid) in ("computes", "waits")
        assert stacks.name_of(helper) is None


def test_a_process_dies_with_its_group() -> None:
    """What it has started too; it is known to be dead afterwards."""
    with process("sleeps") as (pid, helper):
        assert stacks.kill_group(pid, wait_s=10.0)
        assert stacks.condition(pid) == "has ended"
        assert stacks.kill_group(helper, wait_s=10.0)
    assert stacks.stack_of(pid) == ""
    assert stacks.name_of(pid) is None
    assert stacks.kill_group(pid, wait_s=0.0)


def test_a_process_without_a_group_of_its_own_dies_alone() -> None:
    """Its group is somebody else's."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    ) as p:
        assert os.getpgid(p.pid) == os.getpgid(0)
        assert stacks.kill_group(p.pid, wait_s=10.0)
        assert p.wait() == -signal.SIGKILL


def test_who_does_not_end_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a device does not."""
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    assert not stacks.kill_group(os.getpid(), wait_s=0.0)


def test_a_stopped_process_is_not_asked() -> None:
    """The signal would wait for it."""
    with process("sleeps") as (pid, _):
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        assert stacks.condition(pid) == "is stopped"
        assert stacks.stack_of(pid) == ""


def test_nobody_who_does_not_listen_is_sent_a_signal() -> None:
    """It would die of it."""
    with process("silent") as (pid, _):
        assert stacks.stack_of(pid) == ""
        assert stacks.condition(pid) != "has ended"


def test_one_that_does_not_answer_costs_the_wait_and_no_more() -> None:
    """Whoever has taken the signal away."""
    with process("deaf") as (pid, _):
        while stacks.stack_of(pid, answer_s=0.05):
            pass
        assert stacks.stack_of(pid, answer_s=0.05) == ""


def test_a_process_that_ends_while_it_is_asked_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No error."""

    def gone(pid: int, number: int) -> None:
        raise ProcessLookupError

    with process("sleeps") as (pid, _), monkeypatch.context() as patch:
        patch.setattr(os, "kill", gone)
        assert stacks.stack_of(pid) == ""


def test_this_process_says_where_it_stands() -> None:
    """Without a signal, and again."""
    for _ in range(2):
        assert "in test_this_process_says_where_it_stands" in stacks.own()


WORKER = """Thread 0x01 (most recent call first):
  File "/s/python3.11/threading.py", line 331 in wait
  File "/s/distributed/threadpoolexecutor.py", line 51 in _worker

Thread 0x02 (most recent call first):
  File "/home/u/ocean.py", line 12 in solve
  File "/home/u/ocean.py", line 40 in step
  File "/s/dask/_task_spec.py", line 7 in __call__
  File "/s/distributed/worker.py", line 2803 in _run_task_simple
  File "/s/distributed/worker.py", line 2785 in _run_task

Current thread 0x03 (most recent call first):
  File "/s/python3.11/selectors.py", line 468 in select
  File "/s/python3.11/asyncio/base_events.py", line 1871 in _run_once
"""
MODEL = """Current thread 0x01 (most recent call first):
  File "/home/u/ice.py", line 3 in melt
  File "/s/climorch/engine/modelling.py", line 130 in _isolated
  File "/s/climorch/engine/modelling.py", line 70 in serve
"""
WAITING = """Thread 0x02 (most recent call first):
  File "/s/climorch/engine/child.py", line 230 in answer
  File "/s/climorch/engine/children.py", line 90 in run
  File "/s/distributed/worker.py", line 2803 in _run_task_simple
"""


@pytest.mark.parametrize(
    ("dump", "text", "where"),
    [
        pytest.param(
            WORKER,
            'File "/home/u/ocean.py", line 12 in solve\n'
            'File "/home/u/ocean.py", line 40 in step\n'
            'File "/s/dask/_task_spec.py", line 7 in __call__',
            "ocean.py:12 in solve",
            id="a task",
        ),
        pytest.param(
            MODEL,
            'File "/home/u/ice.py", line 3 in melt',
            "ice.py:3 in melt",
            id="model",
        ),
        pytest.param(WAITING, "", "", id="waits for a model"),
        pytest.param(
            WORKER.split("\n\n")[0],
            WORKER.split("\n\n")[0],
            "threading.py:331 in wait",
            id="nothing of a user",
        ),
        pytest.param("", "", "", id="no answer"),
    ],
)
def test_of_a_dump_the_frames_of_the_user_are_told(
    dump: str, text: str, where: str
) -> None:
    """From the innermost to where the library called them."""
    assert stacks.relevant(dump) == text
    assert stacks.innermost(text) == where


def test_long_stacks_are_cut() -> None:
    """A recursion of thousands of frames must not fill the journal."""
    frames = '  File "/home/u/a.py", line 1 in f\n' * 1000
    assert len(stacks.relevant(f"Thread 0x01:\n{frames}")) == 4000
