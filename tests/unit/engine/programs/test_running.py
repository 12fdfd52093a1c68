"""Programs in processes of the nursery: small scripts that do what models do."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import xarray as xr

from climorch.engine.child import Job, ModelFailedError
from climorch.engine.children import Children
from climorch.model.advance import Advance
from climorch.model.events import Cause
from climorch.model.programs import CHECKPOINTED, RETRY, Command, Host, RunPlace
from climorch.programs import state_from
from climorch.testing.faults import until
from climorch.testing.programs import found_in, kill_tree
from tests.unit.engine.model_cases import segment

LONG = 600
WORD = "a b; touch evil $(touch evil)"


def script(text: str, **given: Any) -> Command:
    """A program that a shell reads from a file of its own."""
    given = {"restart": {"new": "old"}, "files": {"run.sh": text}, **given}
    return Command(argv=["/bin/sh", "run.sh", "${params.word}"], **given)


def first(folder: Path, content: bytes = b"0") -> xr.Dataset:
    """The state of a program that has one byte."""
    folder.mkdir(exist_ok=True)
    (folder / "old").write_bytes(content)
    return state_from(script(""), folder)


def work(step: Command, folder: Path, *, attempt: str = "1.1", **where: Any) -> Job:
    """One segment of a program."""
    return Job(
        owner="s/air/sea",
        attempt=f"s/air/{attempt}",
        segment=segment(3, word=WORD),
        code=cloudpickle.dumps(step),
        keep=True,
        build_timeout_s=100.0,
        timeout_s=math.inf,
        place=RunPlace(folder=str(folder / "runs" / f"3-{attempt}"), **where),
        grace_s=step.grace_s,
    )


def run(
    children: Children, step: Command, folder: Path, state: xr.Dataset | None = None
) -> Advance:
    """Advance by a segment."""
    given = first(folder / "first") if state is None else state
    return children.run(work(step, folder), lambda: given, dict)[0]


def failed(children: Children, step: Command, folder: Path) -> ModelFailedError:
    """Return how it failed; nothing of it runs any more."""
    with pytest.raises(ModelFailedError) as caught:
        run(children, step, folder)
    assert found_in(folder) == []
    return caught.value


def content(advance: Advance) -> bytes:
    """What it wrote."""
    return advance.state["old"].to_numpy().tobytes()


def test_what_it_writes_is_the_state(children: Children, tmp_path: Path) -> None:
    """Its folder is gone then; the same process serves the next segment."""
    step = script('printf "%s%s" "$(cat old)" "$K" >new', env={"K": "${index}"})
    assert content(run(children, step, tmp_path)) == b"03"
    pids = children.pids()
    assert list((tmp_path / "runs").iterdir()) == []
    assert content(run(children, step, tmp_path)) == b"03"
    assert children.pids() == pids


def test_a_parameter_is_one_word_whatever_is_in_it(
    children: Children, tmp_path: Path
) -> None:
    """No shell reads it."""
    step = script('printf "%s|%s" "$#" "$1" >new; ls >>new')
    found = content(run(children, step, tmp_path)).decode()
    assert found.startswith(f"1|{WORD}")
    assert "evil\n" not in found


def test_fields_diagnostics_and_numbers_are_read(
    children: Children, tmp_path: Path
) -> None:
    """The state goes there and back through NetCDF, and comes to no harm."""
    step = script(
        "cp old.nc new.nc; cp history.src.nc h1.nc; echo '{\"heat\": 1.5}' >m.json",
        restart={"new.nc": "old.nc"},
        inputs={"air": "history.src.nc"},
        outputs="h?.nc",
        metrics="m.json",
    )
    state = xr.Dataset({"heat": ("x", np.array([1.5, np.nan], dtype="f4"))})
    times = [segment(0).start]
    air = xr.Dataset({"t": ("time", [2.0])}, {"time": times})
    made, told = children.run(work(step, tmp_path), lambda: state, lambda: {"air": air})
    assert made.state["heat"].to_numpy().tobytes() == state["heat"].to_numpy().tobytes()
    assert made.output is not None
    assert made.output["time"].to_numpy()[0] == times[0]
    assert made.metrics == {"heat": 1.5}
    assert 0 < told.program_s < told.run_s


@pytest.mark.parametrize(
    ("text", "cause", "message"),
    [
        ("echo out; echo told >&2; exit 3", Cause.MODEL, "left with code 3"),
        ("exit 4", Cause.TRANSIENT, "left with code 4"),
        ("kill -9 $$", Cause.MEMORY, "was ended by signal 9 (Killed)"),
        ("exit 0", Cause.MODEL, "says that it is done and has not written new"),
        ("exit 75", Cause.MODEL, "left early and has not written new"),
        ("cp old new; echo { >m.json", Cause.MODEL, "what it left cannot be read"),
        ("cp old new; exit 75", Cause.MODEL, "left 20 times before it was done"),
    ],
)
def test_its_end_says_whose_fault_it_was(
    children: Children, tmp_path: Path, text: str, cause: Cause, message: str
) -> None:
    """What it left stays, with what it printed last."""
    codes = {4: RETRY, 75: CHECKPOINTED}
    error = failed(children, script(text, codes=codes, metrics="m.json"), tmp_path)
    assert error.cause is cause
    assert message in error.message
    (kept,) = (tmp_path / "runs").iterdir()
    assert message in (kept / "FAILED.txt").read_text()
    assert (kept / "old").read_bytes() == b"0"
    if "told" in text:
        assert "out\ntold" in error.message


def test_a_lease_of_two_jobs_is_told_and_may_pass(
    children: Children, tmp_path: Path
) -> None:
    """The launcher is not asked for what it cannot do."""
    hosts = (Host(node="n1.7", job="7"), Host(node="n2.8", job="8"))
    step = script("cp old new", ranks=2)
    given = first(tmp_path / "first")
    job = work(step, tmp_path, hosts=hosts, launcher="srun")
    with pytest.raises(ModelFailedError) as caught:
        children.run(job, lambda: given, dict)
    assert caught.value.cause is Cause.TRANSIENT
    assert "the nodes of its lease are of 2: 7, 8" in caught.value.message


def test_one_that_leaves_early_is_started_again(
    children: Children, tmp_path: Path
) -> None:
    """With what it wrote, until it is done."""
    text = 'printf "%s+" "$(cat old)" >new; [ "$(cat new)" = 0+++ ] || exit 75'
    step = script(text, codes={75: CHECKPOINTED})
    assert content(run(children, step, tmp_path)) == b"0+++"


def test_helpers_in_sessions_of_their_own_end_with_it(
    children: Children, tmp_path: Path
) -> None:
    """Though their parent has ended before."""
    step = script(f"setsid sh -c 'setsid sleep {LONG} & sleep {LONG}' & cp old new")
    run(children, step, tmp_path)
    assert found_in(tmp_path) == []


def test_one_that_makes_no_progress_is_killed(
    children: Children, tmp_path: Path
) -> None:
    """With what it said last."""
    text = f"echo step 1; setsid sleep {LONG}"
    step = script(text, progress=r"step \d+", stall_s=0.3)
    error = failed(children, step, tmp_path)
    assert error.cause is Cause.HANG
    assert "the last one was 'step 1'" in error.message


def started(
    children: Children, step: Command, folder: Path, *, attempt: str = "1.1"
) -> list[ModelFailedError]:
    """Start a segment on a thread; return where its error will be."""
    errors: list[ModelFailedError] = []
    state, made = first(folder / "first"), work(step, folder, attempt=attempt)

    def advance() -> None:
        try:
            children.run(made, lambda: state, dict)
        except ModelFailedError as error:
            errors.append(error)

    threading.Thread(target=advance, daemon=True).start()
    up = folder / "runs" / f"3-{attempt}" / "up"
    until(lambda: up.exists(), what="its start")
    return errors


WAITS = f"""
trap 'printf half >new; exit 75' USR1
setsid sleep {LONG} &
touch up
while :; do sleep 0.02; done
"""


def test_one_that_is_asked_to_leave_is_taken_up(
    children: Children, tmp_path: Path
) -> None:
    """By the next attempt that is given the same."""
    step = script(WAITS, codes={75: CHECKPOINTED}, grace_s=60.0)
    errors = started(children, step, tmp_path)
    children.abandon("s/air/1.1")
    until(lambda: bool(errors), what="its end")
    assert errors[0].cause is Cause.NODE_LOST
    assert "it has written its restart files" in errors[0].message
    assert found_in(tmp_path) == []

    again = started(children, step, tmp_path, attempt="1.2")
    assert (tmp_path / "runs" / "3-1.2" / "old").read_bytes() == b"half"
    children.abandon("s/air/1.2")
    until(lambda: bool(again), what="its end")


def test_one_that_does_not_leave_in_time_is_killed(
    children: Children, tmp_path: Path
) -> None:
    """With all that it has started."""
    text = f"trap '' USR1; setsid sleep {LONG} & touch up; while :; do sleep 0.02; done"
    errors = started(children, script(text, grace_s=0.2), tmp_path)
    children.abandon("s/air/1.1")
    until(lambda: bool(errors), what="its end")
    assert found_in(tmp_path) == []


@pytest.mark.parametrize("who", ["process", "nursery"])
def test_nothing_outlives_who_watches_over_it(
    children: Children, tmp_path: Path, who: str
) -> None:
    """Whoever that was: the next one sees to it."""
    errors = started(children, script(WAITS), tmp_path)
    (supervisor,) = children.pids().values()
    if who == "process":
        children.abandon("s/air/1.1")
    else:
        assert len(found_in(tmp_path)) >= 2
        kill_tree(supervisor)
    until(lambda: bool(errors), what="its end")
    until(lambda: not found_in(tmp_path), what="that nothing is left")
