"""Who may read a campaign and who may change it: its user, the group, nobody else."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from climorch import Campaign, Scenario
from climorch.sites.batch.rendezvous import Rendezvous
from climorch.storage.journal import SqliteJournal
from climorch.testing.models import box_workflow
from tests.live.cases import here, policies
from tests.live.users import MEMBER, OUTSIDER, TEAM, as_user, harm

ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0, reason="who is not root cannot become another user: NOT TESTED"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others may enter; those of pytest are ours alone."""
    folder = Path(tempfile.mkdtemp(prefix="climorch-permissions-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def umask() -> Iterator[None]:
    """Put back what a test sets."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def ran(root: Path) -> Campaign:
    """A campaign that is done: two stages with results, one member."""
    campaign = Campaign("c", root=root, policies=policies())
    campaign.submit(box_workflow(segments=2), scenario=Scenario("s"))
    assert campaign.run(here()).finished
    return campaign


def below(root: Path) -> list[Path]:
    """All files and folders of a campaign, itself first."""
    return [root, *sorted(root.rglob("*"))]


def world(paths: list[Path], mask: int) -> list[str]:
    """Those whose permissions for others have one of some bits."""
    return [
        f"{path} {path.stat().st_mode:o}"
        for path in paths
        if not path.is_symlink() and path.stat().st_mode & mask
    ]


def test_nobody_else_may_write_whatever_the_umask_says(
    place: Path, umask: None
) -> None:
    """Not even where it forbids nothing; a plain file there would be writable."""
    os.umask(0)
    (place / "control").touch()
    assert world([place / "control"], stat.S_IWOTH)

    ran(place / "root")

    found = below(place / "root" / "c")
    assert {"journal.sqlite", "checkpoints"} <= {path.name for path in found}
    assert world(found, stat.S_IWOTH) == []


def test_the_group_reads_what_the_user_lets_it(place: Path, umask: None) -> None:
    """The folder's group is that of all below it, and others see nothing."""
    root = place / "root"
    root.mkdir()
    os.chown(root, -1, TEAM if os.geteuid() == 0 else os.getegid())
    root.chmod(0o2750)
    os.umask(0o027)

    ran(root)

    found = below(root / "c")
    assert {path.stat().st_gid for path in found} == {root.stat().st_gid}
    assert world(found, stat.S_IRWXO | stat.S_IWGRP) == []
    unreadable = [path for path in found if not path.stat().st_mode & stat.S_IRGRP]
    assert unreadable == []


@ROOT_ONLY
def test_another_user_changes_nothing(place: Path, umask: None) -> None:
    """In the group or not; one in it reads all, and the journal's records."""
    root = place / "root"
    root.mkdir()
    os.chown(root, -1, TEAM)
    root.chmod(0o2750)
    os.umask(0o027)
    ran(root)
    found = below(root / "c")
    files = [path for path in found if path.is_file()]
    journal = root / "c" / "journal.sqlite"

    def read() -> tuple[int, int]:
        reader = SqliteJournal.open_readonly(journal)
        try:
            return sum(len(path.read_bytes()) for path in files), len([*reader.read()])
        finally:
            reader.close()

    def looked() -> list[str]:
        seen = []
        for path in files:
            try:
                path.read_bytes()
            except PermissionError:
                continue
            seen.append(str(path))
        return seen

    mine = read()
    assert as_user(MEMBER, [TEAM], read) == mine
    assert mine[1] > 10
    assert as_user(MEMBER, [TEAM], lambda: harm(found)) == []
    assert as_user(OUTSIDER, [], looked) == []
    assert as_user(OUTSIDER, [], lambda: harm(found)) == []


@ROOT_ONLY
def test_harm_is_noticed_where_it_can_be_done(place: Path) -> None:
    """Else the test above would say nothing."""
    open_folder, file = place / "open", place / "open" / "file"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    file.write_text("x")
    assert as_user(OUTSIDER, [], lambda: harm([file])) == [f"renamed {file}"]
    file.chmod(0o666)
    assert as_user(OUTSIDER, [], lambda: harm([open_folder, file])) == [
        f"planted into {open_folder}",
        f"renamed {file}",
        f"written {file}",
        f"truncated {file}",
    ]
    with pytest.raises(RuntimeError, match="user 64003: ZeroDivisionError"):
        as_user(OUTSIDER, [], lambda: 1 // 0)


@ROOT_ONLY
def test_the_key_of_a_session_is_its_owner_s_alone(place: Path, umask: None) -> None:
    """Not even the group gets into the folder where nodes meet the driver."""
    os.umask(0)
    meeting = Rendezvous(place / "camp")
    meeting.prepare()
    key = meeting.keep_secret("session.pem", "hush")
    key.chmod(0o444)
    meeting.announce(epoch="a", address="tls://x")

    def seen() -> list[str]:
        told = []
        for path in (place / "camp", key, place / "camp" / "scheduler.json"):
            try:
                told.append(str([*path.iterdir()] if path.is_dir() else path.open()))
            except PermissionError:
                continue
        return told

    assert as_user(MEMBER, [os.getegid(), TEAM], seen) == []
    assert as_user(MEMBER, [os.getegid(), TEAM], lambda: harm([key.parent, key])) == []
