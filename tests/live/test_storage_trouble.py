"""Storage in trouble under campaigns: they compute on, tell, and catch up."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from climorch import Alarm, Campaign, Scenario
from climorch.core import alarms
from climorch.engine import chores, keeper, runner
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.storage import durable
from climorch.testing.faults import committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from climorch.testing.trouble import TROUBLES, TroubledStorage
from climorch.testing.troubled_files import in_trouble
from tests.live.cases import ended, here, kinds, policies, records, same

SEGMENTS = 10
NAMES = ("s", "t")


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell after half a second what is told after minutes.

    Only where something hangs: on a machine that is slow as well everything else takes
    half a second now and then, and is told.
    """
    monkeypatch.setattr(alarms, "LATE_S", 0.5)
    monkeypatch.setattr(chores, "LATE_S", 0.5)
    monkeypatch.setattr(keeper, "PATIENCE_S", 0.5)
    monkeypatch.setattr(runner, "HANGS_S", 0.5)


class Counting(logging.Handler):
    """Counts the segments that the log tells of, while it is a context."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._logger = logging.getLogger("climorch.engine.runner.tasks")

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.count += record.getMessage().startswith("segment simulation=")

    def __enter__(self) -> Counting:
        self._logger.addHandler(self)
        self._logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *error: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(logging.NOTSET)


class Patient:
    """A campaign of two simulations whose storage gets into trouble."""

    def __init__(self, root: Path, trouble: str) -> None:
        self.heard: list[Alarm] = []
        self.segments = Counting()
        self.campaign = Campaign(
            "c", root=root, policies=policies(keep=2), on_alarm=self.heard.append
        )
        wf = box_workflow(segments=SEGMENTS, work_s=0.05)
        for name in NAMES:
            self.campaign.submit(wf, scenario=Scenario(name))
        self.storage = TroubledStorage(
            root.with_name("control"), root / "c", TROUBLES[trouble]
        )

    def computed(self) -> int:
        """Segments that were computed; asking the driver would hold it up."""
        return self.segments.count

    def told(self, event: str) -> set[str]:
        """Kinds of alarms."""
        return {alarm.kind for alarm in self.heard if alarm.event == event}

    def live_through(self, meanwhile: Callable[[], None]) -> None:
        """Run; while the trouble lasts compute on and have it told; then catch up."""
        storage = self.storage
        with in_trouble(storage), self.segments:
            run = self.campaign.start(here(2))
            until_record(self.campaign.root, "c", e.ResultsPublished, count=2, run=run)
            storage.begin()
            until(lambda: storage.touched > 0, what="it is touched")
            begun = self.computed()
            until(lambda: self.computed() >= begun + 6, what="it computes on")
            meanwhile()
            storage.end()
            assert run.wait(timeout_s=240)
            assert storage.touched > 0

    def check(self) -> None:
        """Nothing is lost, computed or committed twice; all is published."""
        found = records(self.campaign)
        assert kinds(found, c.RolledBack) == []
        assert len(kinds(found, e.SegmentFinished)) == 4 * SEGMENTS
        assert committed_twice(found) == []
        for name in NAMES:
            expected = reference_run(name, segments=SEGMENTS)
            assert same(ended(self.campaign, name), expected)
            for stage in ("air", "sea"):
                assert self.campaign.results(name, stage).sizes["time"] == SEGMENTS
        assert self.told("ends") == self.told("begins")


@pytest.mark.parametrize(
    "trouble",
    [
        "quota storage of checkpoints",
        pytest.param("read-only storage of checkpoints", marks=pytest.mark.benchmark),
        pytest.param("full storage of results", marks=pytest.mark.benchmark),
        pytest.param("failing storage of results", marks=pytest.mark.benchmark),
    ],
)
def test_what_is_refused_is_told_and_made_up_for(tmp_path: Path, trouble: str) -> None:
    """The exposure grows and is seen; tries follow each other at growing pauses."""
    patient = Patient(tmp_path / "root", trouble)

    def meanwhile() -> None:
        until(lambda: patient.told("begins") & {"storage", "chore"}, what="it is told")
        exposed = [patient.campaign.status()[name].exposure_s for name in NAMES]
        assert max(exposed) > 0

    patient.live_through(meanwhile)

    patient.check()
    failed = kinds(records(patient.campaign), e.CheckpointFailed)
    assert {fact.cause for fact in failed} == {Cause.STORAGE}
    assert patient.told("begins") <= {"storage", "chore"}


def test_outputs_that_can_be_moved_neither_on_nor_back_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint took them and failed: the next one waits until they are back."""
    ill, taken = threading.Event(), list[Path]()
    rename = durable.rename_durably

    def failing(source: Path, destination: Path) -> None:
        if ill.is_set() and "outputs" in Path(destination).parts:
            # Taken over, and then the flush fails.
            rename(source, destination)
            taken.append(Path(destination))
        if ill.is_set() and "outputs" in f"{source} {destination}":
            raise OSError(errno.EIO, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(durable, "rename_durably", failing)
    campaign = Campaign("c", root=tmp_path, policies=policies(keep=2))
    campaign.submit(
        box_workflow(segments=SEGMENTS, work_s=0.05), scenario=Scenario("s")
    )
    run = campaign.start(here())
    until_record(tmp_path, "c", e.ResultsPublished, run=run)
    ill.set()
    until_record(tmp_path, "c", e.CheckpointFailed, count=2, run=run)
    assert any(path.exists() for path in taken)
    ill.clear()
    assert run.wait(timeout_s=240)

    found = records(campaign)
    assert kinds(found, c.RolledBack) == []
    for stage in ("air", "sea"):
        years = campaign.results("s", stage)["time"].to_numpy()
        assert [date.year for date in years] == list(range(2000, 2000 + SEGMENTS))
    assert same(ended(campaign, "s"), reference_run("s", segments=SEGMENTS))
    left = [p for p in (tmp_path / "c" / "inflight").rglob("*") if p.is_file()]
    assert left == []


@pytest.mark.benchmark
def test_a_slow_storage_costs_nothing_but_time(tmp_path: Path) -> None:
    """Writes that take 50 times as long hold no segment up."""
    patient = Patient(tmp_path / "root", "slow storage of checkpoints")
    patient.live_through(lambda: None)
    patient.check()
    assert kinds(records(patient.campaign), e.CheckpointFailed) == []


@pytest.mark.usefixtures("_impatient")
def test_a_storage_that_hangs_blocks_nobody(tmp_path: Path) -> None:
    """A write never returns: computing goes on, it is told and explained."""
    patient = Patient(tmp_path / "root", "hanging storage of checkpoints")

    def meanwhile() -> None:
        until(lambda: "storage" in patient.told("begins"), what="it is told")
        commits = len(kinds(records(patient.campaign), e.CheckpointCommitted))
        # The driver itself answers at once: a wish, a look at it, an explanation.
        patient.campaign.prioritize("t", priority=5)
        until(
            lambda: patient.campaign.status()["t"].priority == 5, what="a wish counts"
        )
        told = patient.campaign.explain("s").factors["checkpoints of air"]
        assert told["being written"] is not None
        assert told["being written for, s"] > 0
        found = records(patient.campaign)
        assert len(kinds(found, e.CheckpointCommitted)) == commits

    patient.live_through(meanwhile)

    patient.check()
    hanging = [a.text for a in patient.heard if a.event == "begins"]
    assert any("the storage is slow, or hangs" in text for text in hanging)


@pytest.mark.benchmark
@pytest.mark.usefixtures("_impatient")
def test_results_that_hang_on_their_way_block_nobody(tmp_path: Path) -> None:
    """Neither a publication nor the diagnostics of the next checkpoint."""
    patient = Patient(tmp_path / "root", "hanging storage of results")

    def meanwhile() -> None:
        until(lambda: patient.told("begins") & {"storage", "chore"}, what="it is told")

    patient.live_through(meanwhile)

    patient.check()


@pytest.mark.usefixtures("_impatient")
def test_a_journal_that_hangs_holds_nobody_up(tmp_path: Path) -> None:
    """Segments are computed provisionally; every row lands once it answers."""
    patient = Patient(tmp_path / "root", "hanging storage of journal")

    def meanwhile() -> None:
        until(lambda: "journal" in patient.told("begins"), what="it is told")
        rows = len(records(patient.campaign))
        more = patient.computed()
        until(lambda: patient.computed() >= more + 2, what="it computes on")
        assert len(records(patient.campaign)) == rows

    patient.live_through(meanwhile)

    patient.check()
    (text,) = {
        a.text for a in patient.heard if (a.kind, a.event) == ("journal", "begins")
    }
    assert "its disk has not answered for 0.5 s" in text


@pytest.mark.usefixtures("_impatient")
def test_a_run_is_ended_at_once_though_its_storage_hangs(tmp_path: Path) -> None:
    """Whoever asks for that does not wait; the next run loses nothing committed."""
    patient = Patient(tmp_path / "root", "hanging storage of checkpoints")
    campaign, storage = patient.campaign, patient.storage
    with in_trouble(storage):
        run = campaign.start(here(2))
        until_record(campaign.root, "c", e.ResultsPublished, count=2, run=run)
        storage.begin()
        until(lambda: storage.touched > 0, what="it is touched")
        run.kill()
        assert run.wait(timeout_s=120)
        storage.end()
        until(
            lambda: (
                not any(
                    t.name.startswith("climorch-disk") for t in threading.enumerate()
                )
            ),
            what="every thread has ended",
        )
    committed = len(kinds(records(campaign), c.SegmentCommitted))
    assert committed > 0

    again = Campaign("c", root=tmp_path / "root", policies=policies(keep=2))
    wf = box_workflow(segments=SEGMENTS, work_s=0.05)
    for name in NAMES:
        again.submit(wf, scenario=Scenario(name))
    assert again.run(here(2)).finished
    for name in NAMES:
        assert same(ended(again, name), reference_run(name, segments=SEGMENTS))
    assert committed_twice(records(again)) == []
