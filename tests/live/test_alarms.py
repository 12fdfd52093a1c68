"""Alarms of campaigns that run: heard by a callback, once, and disturbing nobody."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from climorch import Alarm, BackendError, Campaign, Scenario
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.policy.recovery import Budget
from climorch.storage import durable, inbox
from climorch.storage.journal import SqliteJournal
from climorch.storage.results import ResultStore
from climorch.testing.faults import until, until_record
from climorch.testing.models import box_workflow
from tests.live.cases import add_one, column, here, kinds, policies, records


def wrong(state: Any, inputs: Any, segment: Any) -> Any:
    """Count, and break in segment 1."""
    if segment.index == 1:
        raise ValueError("the model is wrong here")
    return add_one(state, inputs, segment)


def events(heard: list[Alarm]) -> list[tuple[str, str, str | None]]:
    """What was heard."""
    return [(alarm.kind, alarm.event, alarm.simulation) for alarm in heard]


def test_a_simulation_that_fails_for_good_is_told_once_and_nobody_is_disturbed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the callback raises, the others finish; the log says it too."""
    heard: list[Alarm] = []

    def on_alarm(alarm: Alarm) -> None:
        heard.append(alarm)
        raise RuntimeError("no mail today")

    campaign = Campaign(
        "c",
        root=tmp_path,
        policies=policies(budgets={Cause.MODEL: Budget(retries=0)}),
        on_alarm=on_alarm,
    )
    campaign.submit(column(wrong, name="bad"), scenario=Scenario("bad"))
    campaign.submit(column(add_one, name="good"), scenario=Scenario("good"))

    status = campaign.run(here(2))

    assert (status["bad"].status, status["good"].status) == ("failed", "finished")
    assert events(heard) == [("failed", "begins", "bad")]
    assert "ValueError: the model is wrong here (" in heard[0].text
    assert "alarm kind=failed event=begins simulation=bad" in caplog.text
    assert "on_alarm failed; the campaign goes on" in caplog.text


def test_a_disk_that_refuses_checkpoints_is_told_until_it_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One beginning, one end, however often it was tried in between."""
    full = threading.Event()
    full.set()
    write = durable.write_durably

    def write_durably(path: Any, data: Any) -> Any:
        # But what probes the root at the start: that would be told at once.
        if full.is_set() and data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(durable, "write_durably", write_durably)
    heard: list[Alarm] = []
    campaign = Campaign("c", root=tmp_path, policies=policies(), on_alarm=heard.append)
    campaign.submit(box_workflow(segments=40, work_s=0.02), scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.CheckpointFailed, count=2, run=run)
    until(lambda: heard != [], what="it is told")
    # The inbox is on the same disk: a driver in this process is asked directly.
    campaign.prioritize("s", priority=3)
    until(lambda: campaign.status()["s"].priority == 3, what="s has its priority")
    assert kinds(records(campaign), e.WishTaken) == []
    full.clear()
    until(lambda: len(heard) == 2, what="it is over")
    campaign.cancel("s")
    assert run.wait(timeout_s=240)

    assert events(heard) == [("storage", "begins", "s"), ("storage", "ends", "s")]


def test_a_journal_that_cannot_be_written_is_told_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried every second and told once; wishes given meanwhile are taken."""
    broken = threading.Event()
    append = SqliteJournal.append

    def failing(self: SqliteJournal, rows: Any) -> Any:
        if broken.is_set():
            raise BackendError("the disk is full")
        return append(self, rows)

    look, looks, removed = inbox.look, 0, list[bool]()

    def counting(folder: Path) -> inbox.Found:
        nonlocal looks
        looks += 1
        return look(folder)

    def remove(folder: Path, name: str, done: Any = inbox.remove) -> None:
        removed.append(broken.is_set())
        done(folder, name)

    monkeypatch.setattr(inbox, "look", counting)
    monkeypatch.setattr(inbox, "remove", remove)
    monkeypatch.setattr(SqliteJournal, "append", failing)
    heard: list[Alarm] = []
    campaign = Campaign("c", root=tmp_path, policies=policies(), on_alarm=heard.append)
    campaign.submit(box_workflow(segments=400, work_s=0.02), scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.SegmentFinished, run=run)
    broken.set()
    until(lambda: heard != [], what="it is told")
    campaign.pause("s")
    until(lambda: campaign.status()["s"].status != "running", what="s pauses")
    # Its fact waits for the journal, so the file stays however often it is seen.
    folder = tmp_path / "c" / inbox.FOLDER
    before = looks
    until(lambda: looks >= before + 3, what="the driver looks again and again")
    assert len(look(folder).wishes) == 1
    assert kinds(records(campaign), e.WishTaken) == []
    broken.clear()

    assert run.wait(timeout_s=240)

    assert events(heard) == [("journal", "begins", None), ("journal", "ends", None)]
    assert "the journal cannot be written (the disk is full)" in heard[0].text
    assert len(kinds(records(campaign), e.WishTaken)) == 1
    assert removed == [False]
    assert inbox.look(folder).wishes == ()


@pytest.mark.benchmark
def test_results_that_cannot_be_published_are_told_until_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chore is tried again; the run ends once all is published."""
    publish, calls = ResultStore.publish, 0

    def failing(self: ResultStore, checkpoint: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise BackendError("the archive is away")
        return publish(self, checkpoint, **more)

    monkeypatch.setattr(ResultStore, "publish", failing)
    heard: list[Alarm] = []
    campaign = Campaign(
        "c", root=tmp_path, policies=policies(every=9), on_alarm=heard.append
    )
    campaign.submit(box_workflow(segments=2), scenario=Scenario("s"))

    assert campaign.run(here()).finished

    assert events(heard) == [("chore", "begins", "s"), ("chore", "ends", "s")]
    assert campaign.results("s", "sea").sizes["time"] == 2


def test_a_driver_that_ends_with_an_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody hears of it though nobody waits for the run."""

    def broken(self: ResultStore, checkpoint: Any, **more: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ResultStore, "publish", broken)
    heard: list[Alarm] = []
    campaign = Campaign("c", root=tmp_path, policies=policies(), on_alarm=heard.append)
    campaign.submit(box_workflow(segments=40, work_s=0.02), scenario=Scenario("s"))

    with pytest.raises(RuntimeError, match="a bug"):
        campaign.run(here())

    assert events(heard) == [("driver", "begins", None)]
    assert heard[0].text == "the driver ends: a bug"


def test_an_inbox_on_a_disk_that_hangs_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign computes, checkpoints and ends while a look never returns."""
    answers = threading.Event()
    look, looks = inbox.look, 0

    def hanging(folder: Path) -> inbox.Found:
        nonlocal looks
        if threading.current_thread().name == "climorch-inbox":
            # The driver's own; those before the start read the journal too.
            looks += 1
            answers.wait(60)
        return look(folder)

    monkeypatch.setattr(inbox, "look", hanging)
    # Of another campaign in this process.
    others = set(threading.enumerate())
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=3), scenario=Scenario("s"))
    run = campaign.start(here())

    assert run.wait(timeout_s=240)

    answers.set()
    assert campaign.status().finished
    assert looks >= 1
    names = {"climorch-inbox", "climorch-alarms"}
    until(
        lambda: not names & {t.name for t in {*threading.enumerate()} - others},
        what="no thread is left",
    )
