"""The contract of `JournalPort` as tests, for whoever implements it.

Subclass `JournalSuite` in a test module under a name that pytest collects, and
give it a fixture ``make_journal``, an `OpenJournal`; where the journal is no file,
also its own ``broken_storage``.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from climorch.core.ports import JournalPort, Row, Snapshot
from climorch.errors import (
    BackendError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
)
from climorch.storage.owner import Owner

__all__ = ["JournalSuite", "OpenJournal", "failing_writes"]

HERE = Owner(host="node1", boot_id="boot1", pid=4242, start_ticks=7)
ELSEWHERE = Owner(host="node2", boot_id="boot2", pid=4242, start_ticks=7)


class OpenJournal(Protocol):
    """Opens the journal of one test, which outlives its drivers."""

    def __call__(
        self, *, owner: Owner, now_s: float, alive: Callable[[Owner], bool]
    ) -> JournalPort:
        """Take its lock.

        Parameters
        ----------
        owner : Owner
            The driver.
        now_s : float
            Its clock, in seconds.
        alive : callable
            Tells whether a process of the same machine still runs.

        Returns
        -------
        JournalPort
            Closed by the fixture after the test.
        """


@contextlib.contextmanager
def failing_writes() -> Iterator[None]:
    """Make every write of this process into a file fail, as a bad disk would.

    Yields
    ------
    None
        Around the writes that fail (with EFBIG); only on POSIX systems.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _rows(*payloads: bytes) -> list[Row]:
    return [Row(kind="Fact", payload=payload, now_s=1.0) for payload in payloads]


def _payloads(journal: JournalPort, after: int = 0) -> list[bytes]:
    return [row.payload for row in journal.read(after)]


def _dead(owner: Owner) -> bool:
    return owner.pid < 0


def _alive(owner: Owner) -> bool:
    return owner.pid > 0


class JournalSuite:
    """What every implementation of `JournalPort` must do."""

    @pytest.fixture
    def broken_storage(self) -> Callable[[], AbstractContextManager[None]]:
        """Make the storage fail within a block; override where a file is not."""
        return failing_writes

    @pytest.fixture
    def journal(self, make_journal: OpenJournal) -> JournalPort:
        """Open it as the first driver."""
        return make_journal(owner=HERE, now_s=100.0, alive=_alive)

    def test_a_new_journal_is_empty(self, journal: JournalPort) -> None:
        """A new journal has epoch 1, no rows, no snapshot and no faults."""
        assert journal.epoch == 1
        assert journal.last_serial == 0
        assert list(journal.read()) == []
        assert journal.latest_snapshot() is None
        report = journal.verify()
        assert (report.good, report.rows, report.epoch) == (True, 0, 1)

    def test_rows_come_back_as_they_were(self, journal: JournalPort) -> None:
        """What was appended is read back in order, with serials from 1."""
        rows = [
            Row(kind="Started", payload=b"", now_s=0.0),
            Row(kind="a.B-c_9", payload=bytes(range(256)), now_s=-1.5),
            Row(kind="Big", payload=b"x" * 2**20, now_s=1.7e9 + 0.1),
            Row(kind="Zero", payload=b"\x00\xff", now_s=-0.0),
        ]

        assert journal.append(rows[:1]) == 1
        assert journal.append(rows[1:]) == 4

        stored = list(journal.read())
        assert [row.serial for row in stored] == [1, 2, 3, 4]
        assert [row.epoch for row in stored] == [1, 1, 1, 1]
        assert [
            Row(kind=row.kind, payload=row.payload, now_s=row.now_s) for row in stored
        ] == rows
        assert len({row.chain for row in stored}) == 4
        assert journal.last_serial == 4
        assert journal.verify().good

    def test_appending_nothing_changes_nothing(self, journal: JournalPort) -> None:
        """To append no rows returns the newest serial and writes nothing."""
        journal.append(_rows(b"1", b"2"))

        assert journal.append([]) == 2
        assert _payloads(journal) == [b"1", b"2"]

    @pytest.mark.parametrize("check", [True, False])
    def test_reading_starts_after_a_serial(
        self, journal: JournalPort, check: bool
    ) -> None:
        """A reader that names the last serial it saw gets what follows."""
        journal.append(_rows(b"1", b"2", b"3"))

        assert [row.serial for row in journal.read(0, check=check)] == [1, 2, 3]
        assert [row.serial for row in journal.read(2, check=check)] == [3]
        assert list(journal.read(3, check=check)) == []
        assert list(journal.read(99, check=check)) == []

    def test_reading_after_a_negative_serial_is_refused(
        self, journal: JournalPort
    ) -> None:
        """A serial below 0 is an error of the call, before the first row."""
        with pytest.raises(InvalidInputError, match="expected 0 or more"):
            journal.read(-1)

    def test_reading_ends_where_the_journal_ended(self, journal: JournalPort) -> None:
        """Rows appended after the first was read do not prolong the reading."""
        journal.append(_rows(b"1", b"2"))
        reading = journal.read()
        first = next(reading)

        journal.append(_rows(b"3"))

        assert [first.payload, *(row.payload for row in reading)] == [b"1", b"2"]

    def test_rows_outlive_their_driver(self, make_journal: OpenJournal) -> None:
        """The next driver finds all rows, has a higher epoch and goes on behind."""
        first = make_journal(owner=HERE, now_s=100.0, alive=_alive)
        first.append(_rows(b"1"))
        first.close()

        second = make_journal(owner=HERE, now_s=101.0, alive=_alive)

        assert (second.epoch, second.last_serial) == (2, 1)
        assert second.append(_rows(b"2")) == 2
        assert [(row.epoch, row.payload) for row in second.read()] == [
            (1, b"1"),
            (2, b"2"),
        ]
        assert second.verify().good

    def test_a_second_driver_is_refused(
        self, journal: JournalPort, make_journal: OpenJournal
    ) -> None:
        """While a driver lives, no other one may open the journal."""
        with pytest.raises(ConflictError) as refused:
            make_journal(owner=HERE, now_s=9999.0, alive=_alive)

        assert refused.value.facts["reason"] == "held"
        assert journal.append(_rows(b"1")) == 1

    def test_a_silent_driver_elsewhere_is_waited_for(
        self, journal: JournalPort, make_journal: OpenJournal
    ) -> None:
        """A driver on another machine is given up after 90 s of silence."""
        journal.heartbeat(200.0)
        journal.heartbeat(150.0)

        with pytest.raises(ConflictError):
            make_journal(owner=ELSEWHERE, now_s=289.0, alive=_dead)

        assert make_journal(owner=ELSEWHERE, now_s=290.0, alive=_dead).epoch == 2

    def test_a_superseded_driver_can_write_no_more(
        self, journal: JournalPort, make_journal: OpenJournal
    ) -> None:
        """After a takeover the old driver's every writing call fails."""
        journal.append(_rows(b"old"))
        second = make_journal(owner=HERE, now_s=101.0, alive=_dead)

        attempts: list[Callable[[], object]] = [
            lambda: journal.append(_rows(b"late")),
            lambda: journal.append([]),
            lambda: journal.heartbeat(102.0),
            lambda: journal.save_snapshot(1, b"late"),
        ]
        for attempt in attempts:
            with pytest.raises(ConflictError, match="superseded") as stopped:
                attempt()
            assert stopped.value.facts["reason"] == "superseded"

        assert _payloads(second) == [b"old"]
        assert second.latest_snapshot() is None

    def test_a_superseded_driver_releases_nothing(
        self, journal: JournalPort, make_journal: OpenJournal
    ) -> None:
        """When the old driver closes, the new one still holds the journal."""
        second = make_journal(owner=HERE, now_s=101.0, alive=_dead)
        journal.close()

        with pytest.raises(ConflictError):
            make_journal(owner=HERE, now_s=102.0, alive=_alive)
        assert second.append(_rows(b"1")) == 1

    def test_a_failed_append_leaves_nothing(
        self,
        journal: JournalPort,
        broken_storage: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """While the storage fails nothing is added; later appends work again."""
        journal.append(_rows(b"1"))

        with broken_storage():
            for _ in range(2):
                with pytest.raises(BackendError) as failed:
                    journal.append(_rows(b"2", b"3"))
                assert failed.value.facts["reason"]
            with pytest.raises(BackendError):
                journal.heartbeat(101.0)
        assert journal.last_serial == 1
        assert _payloads(journal) == [b"1"]

        assert journal.append(_rows(b"2", b"3")) == 3
        assert _payloads(journal) == [b"1", b"2", b"3"]
        assert journal.verify().good

    def test_the_newest_snapshot_comes_back(
        self, journal: JournalPort, make_journal: OpenJournal
    ) -> None:
        """The snapshot of the highest serial is returned, also to the next driver."""
        journal.append(_rows(b"1", b"2", b"3", b"4"))
        for serial in (1, 3, 4, 2):
            journal.save_snapshot(serial, b"%d" % serial)
        journal.save_snapshot(4, b"four")

        assert journal.latest_snapshot() == Snapshot(4, b"four")
        journal.close()
        second = make_journal(owner=HERE, now_s=101.0, alive=_alive)
        assert second.latest_snapshot() == (4, b"four")
        assert second.verify().good

    @pytest.mark.parametrize("serial", [-1, 0, 2])
    def test_a_snapshot_of_no_row_is_refused(
        self, journal: JournalPort, serial: int
    ) -> None:
        """A snapshot names a row that is there."""
        journal.append(_rows(b"1"))

        with pytest.raises(InvalidInputError, match="no such row"):
            journal.save_snapshot(serial, b"")
        assert journal.latest_snapshot() is None

    def test_the_ballast_is_given_up_once(
        self,
        journal: JournalPort,
        broken_storage: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Ballast can be given up once, and is restored when there is space."""
        steps = [
            journal.has_ballast,
            journal.give_up_ballast(),
            journal.has_ballast,
            journal.give_up_ballast(),
        ]
        with broken_storage():
            steps.append(journal.restore_ballast())
        steps += [
            journal.restore_ballast(),
            journal.restore_ballast(),
            journal.has_ballast,
        ]

        assert steps == [True, True, False, False, False, True, True, True]

    @pytest.mark.parametrize("now_s", [float("nan"), float("inf")])
    def test_a_clock_is_a_finite_number(
        self, journal: JournalPort, make_journal: OpenJournal, now_s: float
    ) -> None:
        """A clock that would make the lock eternal is refused."""
        with pytest.raises(InvalidInputError, match="now_s"):
            journal.heartbeat(now_s)
        with pytest.raises(InvalidInputError, match="now_s"):
            make_journal(owner=HERE, now_s=now_s, alive=_alive)

    def test_a_closed_journal_does_nothing(self, journal: JournalPort) -> None:
        """After close every call is refused, and to close again is allowed."""
        journal.append(_rows(b"1"))
        journal.close()
        journal.close()

        attempts: list[Callable[[], object]] = [
            lambda: journal.append(_rows(b"2")),
            journal.read,
            journal.verify,
            lambda: journal.heartbeat(101.0),
            lambda: journal.save_snapshot(1, b""),
            journal.latest_snapshot,
        ]
        for attempt in attempts:
            with pytest.raises(NotAllowedError, match="closed"):
                attempt()
