"""Models in processes of their own, without Dask."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import xarray as xr

from climorch.engine import nursery
from climorch.engine.child import ModelFailedError
from climorch.engine.children import Children
from climorch.model.advance import Advance
from climorch.model.events import Cause
from climorch.model.steps import Isolated, LiveModel
from climorch.testing.awkward import (
    AwkwardModel,
    awkward_init,
    awkward_step,
    build,
    notes,
)
from climorch.testing.faults import until
from tests.unit.engine.model_cases import gone, job, run, segment

STATE = awkward_init(segment(0), {})
AIR = {"air": STATE}


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    """Where the models note what they do."""
    return {"notes": str(tmp_path / "notes")}


def noted(params: dict[str, Any], word: str) -> list[str]:
    """What was noted about something."""
    return [line for line in notes(params) if line.split()[0] == word]


def pids(params: dict[str, Any], word: str = "build") -> list[int]:
    """Process ids of what was built, and of the helpers it started."""
    return [int(pid) for line in noted(params, word) for pid in line.split()[-2:]]


def heat(advance: Any) -> bytes:
    """The bits of a state."""
    found: bytes = advance.state["heat"].to_numpy().tobytes()
    return found


def test_a_model_that_needs_much_cannot_be_sent(params: dict[str, Any]) -> None:
    """The model of these tests holds a lock: only its factory travels."""
    assert cloudpickle.dumps(LiveModel(build))
    model = AwkwardModel.__new__(AwkwardModel)
    model.lock = threading.Lock()
    with pytest.raises(TypeError, match="pickle"):
        cloudpickle.dumps(model)


def test_a_live_model_is_given_its_state_only_where_it_does_not_hold_it(
    children: Children, params: dict[str, Any]
) -> None:
    """Reloaded for another attempt and for another segment, else not."""
    step = LiveModel(build)
    state, states = STATE, []
    for k in range(3):
        advance, told = run(children, job(step, k, **params), state, AIR)
        assert (told.built, told.loaded) == (k == 0, k == 0)
        state = advance.state
        states.append(state)

    again = [
        # A retry, the next one of it, one that was skipped, one again.
        (job(step, 2, attempt="s/air/1.2", **params), states[1], True),
        (job(step, 3, attempt="s/air/1.2", **params), states[2], False),
        (job(step, 1, attempt="s/air/1.2", **params), states[0], True),
        (job(step, 1, attempt="s/air/1.2", **params), states[0], True),
    ]
    found = []
    for work, given, loaded in again:
        advance, told = run(children, work, given, AIR)
        assert (told.built, told.loaded) == (False, loaded)
        found.append(heat(advance))

    assert noted(params, "load") == ["load 0", "load 2", "load 1", "load 1"]
    assert len(noted(params, "build")) == 1
    one, two = (s["heat"].to_numpy().tobytes() for s in states[1:])
    assert [found[0], found[2], found[3]] == [two, one, one]


def test_what_a_model_does_with_its_arrays_stays_with_it(
    children: Children, params: dict[str, Any]
) -> None:
    """It overwrites state, inputs and what it handed out: nobody else sees it."""
    step, given = LiveModel(build), STATE.copy(deep=True)
    # The input is the very dataset that is the state.
    first, _ = run(children, job(step, 0, **params), given, {"air": given})
    kept = first.state.copy(deep=True)
    output = first.output
    assert output is not None
    shown = output.copy(deep=True)
    run(children, job(step, 1, **params), first.state, AIR)

    assert (shown["heat"][0] == kept["heat"]).all()
    xr.testing.assert_identical(given, STATE)
    xr.testing.assert_identical(first.state, kept)
    xr.testing.assert_identical(output, shown)
    assert np.isfinite(first.state["heat"]).all()
    assert {n: v.dtype for n, v in first.state.variables.items()} == {
        n: v.dtype for n, v in STATE.variables.items()
    }
    assert first.state["hits"].to_numpy().tolist() == [[1] * 5] * 2
    assert (first.metrics or {})["clock"] == 1.0


def test_an_isolated_step_leaves_nothing_behind(
    children: Children, params: dict[str, Any]
) -> None:
    """Each segment finds a fresh interpreter; what the last one started is gone."""
    step, found = Isolated(awkward_step), set()
    for _ in range(2):
        advance, told = run(
            children, job(step, 0, stage="ice", **params), STATE, {"sea": STATE}
        )
        assert (told.built, told.loaded) == (True, True)
        found.add(heat(advance))

    # Its global counter would show in the bits.
    assert len(found) == 1
    ids = pids(params, "ice")
    assert len(set(ids)) == 4
    until(lambda: all(map(gone, ids)), what="the processes and their helpers are gone")
    assert children.pids() == {}


@pytest.mark.parametrize(
    ("habit", "cause", "message"),
    [
        ("hang_at", Cause.HANG, "s/air/sea, segment 1: no answer within 2"),
        ("raise_at", Cause.NUMERICAL, "OverflowError: the sea boils\nTraceback"),
        ("exit_at", Cause.MODEL, "SystemExit: 3"),
        ("crash_at", Cause.MODEL, "ended by signal 11"),
    ],
)
def test_a_model_that_fails_ends_with_its_group_and_is_built_anew(
    children: Children,
    params: dict[str, Any],
    habit: str,
    cause: Cause,
    message: str,
) -> None:
    """The cause says whose budget it is; the next attempt starts a new process."""
    # Long enough for a segment on a crowded machine.
    step = LiveModel(build, timeout_s=2.0 if habit == "hang_at" else None)
    params[habit] = 1
    first, _ = run(children, job(step, 0, **params), STATE, AIR)

    with pytest.raises(ModelFailedError) as raised:
        run(children, job(step, 1, **params), first.state, AIR)

    assert raised.value.cause is cause
    assert message in str(raised.value)
    ids = pids(params)
    until(lambda: all(map(gone, ids)), what="its group is gone")
    _, told = run(children, job(step, 1, **params), first.state, AIR)
    assert (told.built, told.loaded) == (True, True)


def test_building_has_a_limit_of_its_own(children: Children) -> None:
    """The first segment after it may take longer by as much, later ones not."""

    class Slow:
        def load(self, state: xr.Dataset) -> None:
            self.state = state

        def run(self, inputs: Any, given: Any) -> None:
            # Longer than a segment may take: what is tested is time.
            threading.Event().wait(0.6)

        def dump(self) -> xr.Dataset:
            return self.state

    def never() -> Slow:
        threading.Event().wait()
        return Slow()

    step = LiveModel(Slow, timeout_s=0.3)
    first, _ = run(children, job(step, 0), STATE)
    with pytest.raises(ModelFailedError, match=r"segment 1: no answer within 0\.3"):
        run(children, job(step, 1), first.state)
    endless = replace(job(LiveModel(never), stage="a"), build_timeout_s=0.3)
    with pytest.raises(
        ModelFailedError, match=r"build: no answer within 0\.3"
    ) as raised:
        run(children, endless, STATE)
    assert raised.value.cause is Cause.HANG


def test_an_error_can_be_sent() -> None:
    """Cause and message survive a pickle."""
    error = pickle.loads(pickle.dumps(ModelFailedError(Cause.HANG, "it hangs")))
    assert (error.cause, str(error)) == (Cause.HANG, "it hangs")


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGKILL, Cause.MEMORY), (signal.SIGTERM, Cause.NODE_LOST)],
)
def test_a_model_killed_from_outside_says_by_what(
    children: Children, tmp_path: Path, number: signal.Signals, cause: Cause
) -> None:
    """A kill is what the kernel does without memory; other signals come with a node."""
    hangs = tmp_path / "hangs"

    def hang(state: xr.Dataset, inputs: Any, given: Any) -> xr.Dataset:
        hangs.touch()
        threading.Event().wait()
        return state

    failed: list[ModelFailedError] = []

    def work() -> None:
        with pytest.raises(ModelFailedError) as raised:
            run(children, job(Isolated(hang)), STATE)
        failed.append(raised.value)

    thread = threading.Thread(target=work)
    thread.start()
    until(hangs.exists, what="it hangs", timeout_s=60)
    os.kill(children.pids()["s/air/sea"], number)
    thread.join(30)

    assert [error.cause for error in failed] == [cause]


def test_an_abandoned_attempt_is_killed_and_others_stay(
    children: Children, params: dict[str, Any]
) -> None:
    """What works for it ends; what is idle serves the next one."""
    idle, _ = run(
        children, job(LiveModel(build), 0, stage="idle", **params), STATE, AIR
    )
    failed: list[BaseException] = []

    def work() -> None:
        try:
            run(children, job(LiveModel(build), 0, hang_at=0, **params), STATE, AIR)
        except ModelFailedError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: "hang_at" in notes(params), what="it hangs", timeout_s=60)
    busy = children.pids()["s/air/sea"]

    children.abandon("s/air/1.1")

    thread.join(30)
    assert gone(busy)
    assert len(failed) == 1
    assert list(children.pids()) == ["s/air/idle"]
    with pytest.raises(ModelFailedError, match="over"):
        run(children, job(LiveModel(build), 1, stage="idle", **params), idle.state, AIR)
    children.end("s/other/")
    assert list(children.pids()) == ["s/air/idle"]
    children.end("s/air/")
    assert children.pids() == {}


def test_a_process_is_found_dead_though_its_socket_is_held_open(
    children: Children, tmp_path: Path
) -> None:
    """A daemon that the model left behind does not make the node wait, and ends."""
    daemon = tmp_path / "daemon"

    def fork_and_die(state: xr.Dataset, inputs: Any, given: Any) -> xr.Dataset:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            daemon.with_suffix(".tmp").write_text(str(os.getpid()))
            daemon.with_suffix(".tmp").rename(daemon)
            signal.pause()
        while not daemon.exists():
            pass
        os._exit(7)

    with pytest.raises(ModelFailedError, match="left with status 7"):
        run(children, job(Isolated(fork_and_die)), STATE)
    until(lambda: gone(int(daemon.read_text())), what="the daemon's end")


def test_without_its_nursery_a_model_dies_and_the_next_has_a_new_one(
    children: Children, params: dict[str, Any]
) -> None:
    """The kernel ends what the nursery started; the segment is computed again."""
    step = LiveModel(build)
    first, _ = run(children, job(step, 0, **params), STATE, AIR)
    (pid,) = children.pids().values()
    home = nursery.join(children)
    started = pids(params)
    assert len(started) == 2

    os.kill(home.pid, signal.SIGKILL)

    until(lambda: gone(pid), what="its process is gone")
    _, told = run(children, job(step, 1, **params), first.state, AIR)
    assert (told.built, told.loaded) == (True, True)
    assert nursery.join(children).pid != home.pid
    # What the model had started is not the nursery's child.
    until(lambda: all(map(gone, started)), what="its helper is gone")


def test_a_process_is_as_fresh_as_an_interpreter(children: Children) -> None:
    """On its main thread, in its group, with random numbers of its own."""

    def look(state: xr.Dataset, inputs: Any, given: Any) -> Advance:
        main = threading.current_thread() is threading.main_thread()
        group = os.getpgid(0) == os.getpid()
        draw = np.random.random()  # noqa: NPY002 the old generator is what forks share
        return Advance(
            state=state, metrics={"main": main, "group": group, "draw": draw}
        )

    found = [
        dict(run(children, job(Isolated(look)), STATE)[0].metrics or {})
        for _ in range(2)
    ]

    draws = {metrics.pop("draw") for metrics in found}
    assert found == [{"main": 1.0, "group": 1.0}] * 2
    assert len(draws) == 2
    # A fork takes one thread along: there must be no other that holds a lock.
    threads = Path(f"/proc/{nursery.join(children).pid}/task")
    assert len(list(threads.iterdir())) == 1


def test_what_a_model_starts_counts_as_its_own(children: Children) -> None:
    """CPU seconds and memory of a program that it waits for, as of MPI ranks."""

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        burn = (
            "import time\nblock = bytearray(60 << 20)\n"
            "while time.process_time() < 0.3: pass"
        )
        subprocess.run([sys.executable, "-S", "-c", burn], check=True)
        return state

    _, told = run(children, job(Isolated(step)), STATE)

    assert told.cpu_s >= 0.3
    assert told.memory_bytes > 120 << 20
