"""Who may take the journal, and from whom."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from climorch.errors import ConflictError, CorruptDataError, InvalidInputError
from climorch.storage.journal_file import connect
from climorch.storage.lock import LockRow, acquire, may_take_over, read_lock
from climorch.storage.owner import Owner, is_alive, this_process
from tests.unit.storage.journal_cases import damage, living, open_journal, written

ME = Owner(host="a", boot_id="boot1", pid=10, start_ticks=5, namespace="pid:[1]")
SAME = replace(ME, pid=20)
REBOOTED = replace(ME, boot_id="boot0")
CONTAINER = replace(ME, namespace="pid:[2]")
OTHER = replace(ME, host="b")
OTHER_BOOT = replace(ME, host="b", boot_id="boot2")


@pytest.mark.parametrize(
    ("holder", "silent_s", "alive", "expected"),
    [
        # nobody
        (None, 0.0, False, True),
        (None, 0.0, True, True),
        # the same boot: the process decides, not the clock
        (SAME, 0.0, False, True),
        (SAME, 1e6, True, False),
        (ME, 1e6, True, False),
        # booted since: nothing of it can be left
        (REBOOTED, 0.0, True, True),
        (REBOOTED, 0.0, False, True),
        # out of sight: only silence counts
        (OTHER, 0.0, False, False),
        (OTHER, 89.9, False, False),
        (OTHER, 90.0, True, True),
        (OTHER_BOOT, 89.9, False, False),
        (OTHER_BOOT, 90.0, False, True),
        (CONTAINER, 89.9, False, False),
        (CONTAINER, 90.0, True, True),
        # its clock is ahead of ours
        (OTHER, -300.0, False, False),
    ],
)
def test_who_may_take_over(
    holder: Owner | None, silent_s: float, alive: bool, expected: bool
) -> None:
    """A holder is given up when it is dead, booted since, or silent elsewhere."""
    row = LockRow(epoch=3, holder=holder, heartbeat_s=1000.0)

    assert may_take_over(row, ME, 1000.0 + silent_s, alive) is expected


def test_a_holder_here_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Who is refused on the same machine learns which process to stop."""
    path = written(tmp_path / "j.sqlite")
    journal = open_journal(path)

    with pytest.raises(ConflictError) as refused:
        open_journal(path)

    assert str(refused.value) == (
        f"journal {path}: held by process 4242 on host 'node1' (epoch 2, last heard "
        "of 0 s ago); stop that process, or close its campaign"
    )
    assert refused.value.facts == {
        "reason": "held",
        "host": "node1",
        "pid": 4242,
        "epoch": 2,
        "heartbeat_s": 100.0,
        "retry_after_s": None,
    }
    journal.close()


def test_a_holder_elsewhere_is_named_with_how_long_to_wait(tmp_path: Path) -> None:
    """Who is refused on another machine learns when to try again."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)

    with (
        closing(connect(path)) as db,
        pytest.raises(
            ConflictError, match="if it is dead try again in 60 s"
        ) as refused,
    ):
        acquire(db, OTHER, 130.0, alive=living, place="journal j")

    assert refused.value.facts["retry_after_s"] == 60.0
    journal.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM driver",
        "UPDATE driver SET pid=0, held=1",
        "UPDATE driver SET host=x'00', held=1",
        "UPDATE driver SET held=7",
        "UPDATE driver SET epoch='many'",
    ],
)
def test_a_damaged_lock_row_is_an_error(tmp_path: Path, statement: str) -> None:
    """A lock row that cannot be read is damage, not an invitation."""
    path = written(tmp_path / "j.sqlite")
    damage(path, statement)

    with pytest.raises(CorruptDataError, match="no readable lock row"):
        open_journal(path)


def test_the_lock_can_be_looked_at(tmp_path: Path) -> None:
    """The lock row tells the epoch, the holder and when it was last heard of."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    with closing(connect(path)) as db:
        acquire(db, SAME, 190.0, alive=living, place="journal j")

        assert read_lock(db, "journal j") == LockRow(
            epoch=2, holder=SAME, heartbeat_s=190.0
        )
    journal.close()


def test_this_process_lives() -> None:
    """A process can describe itself so that others find it alive."""
    owner = this_process()

    assert owner.pid == os.getpid()
    assert owner.start_ticks > 0
    assert len(owner.boot_id) == 36
    assert owner.namespace.startswith("pid:[")
    assert is_alive(owner)


def test_a_process_that_ended_is_dead() -> None:
    """A process that ended is dead as a zombie, and after it was waited for."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    owner = replace(this_process(), pid=child.pid, start_ticks=0)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not is_alive(owner)
    child.wait()
    assert not is_alive(owner)


def test_a_reused_process_id_is_another_process() -> None:
    """A process that started at another time is not the one that is asked for."""
    owner = this_process()

    assert not is_alive(replace(owner, start_ticks=owner.start_ticks + 1))
    assert is_alive(replace(owner, start_ticks=0))


def test_a_process_of_another_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may not be signalled is alive."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(pid, number)

    monkeypatch.setattr(os, "kill", refuse)

    assert is_alive(this_process())


def test_a_machine_without_procfs_is_told_apart_by_pid(tmp_path: Path) -> None:
    """Without procfs a process is known by host and id alone."""
    owner = this_process(tmp_path)

    assert (owner.boot_id, owner.start_ticks, owner.namespace) == ("", 0, "")
    assert is_alive(owner, tmp_path)


def test_a_machine_called_localhost_is_not_the_only_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Machines that call themselves localhost are not one machine."""
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")

    owner = this_process()

    assert owner.host == f"localhost-{owner.boot_id}"


@pytest.mark.parametrize(
    ("host", "pid"), [("", 1), ("a", 0), ("a", -1), ("a", 2**31), ("a", 10**30)]
)
def test_an_owner_is_a_process(host: str, pid: int) -> None:
    """An owner has a host and a process id that a kernel can give."""
    with pytest.raises(InvalidInputError, match="expected a name and a process id"):
        Owner(host=host, boot_id="x", pid=pid)
