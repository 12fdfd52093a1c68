"""Two users of this machine with a campaign each on one Dask cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from climorch import Campaign
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import Script, committed_twice, records_of, until_record
from climorch.testing.models import reference_run
from tests.live.cases import ended, kinds, same
from tests.live.outside import ROOT, Outside, cluster
from tests.live.tenancy import held, overlaps
from tests.live.users import MEMBER, OUTSIDER, TEAM, as_user, becoming, harm, may_become

SCRIPT = Path(__file__).with_name("campaign_script.py")

pytestmark = pytest.mark.skipif(
    not may_become(),
    reason="who is not root, or has no setpriv or capabilities, cannot become another "
    "user that may read our packages: NOT TESTED",
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others may enter, with a home for each user."""
    folder = Path(tempfile.mkdtemp(prefix="climorch-users-"))
    folder.chmod(0o755)
    for user in (MEMBER, OUTSIDER):
        home(folder, user).mkdir()
        os.chown(home(folder, user), user, user)
    yield folder
    shutil.rmtree(folder)


def home(place: Path, user: int) -> Path:
    """The home of a user, where the user's campaign is."""
    return place / str(user)


def start_worker(
    theirs: Outside, place: Path, user: int, name: str, *groups: int, umask: int = 0o022
) -> None:
    """Start a worker as a user."""
    theirs.start_worker(
        *("--no-nanny", "--name", name, "--local-directory", str(home(place, user))),
        within=becoming(user, *groups, umask=umask),
    )


def driver(
    place: Path, user: int, address: str, *groups: int, umask: int = 0o022, **more: Any
) -> Script:
    """Start a campaign as a user; all have the same names."""
    given = {
        "root": str(home(place, user) / "root"),
        "address": address,
        "alarms": str(home(place, user) / "alarms"),
        "work_s": 0.02,
        **more,
    }
    return Script(
        SCRIPT,
        json.dumps(given),
        environment={"PYTHONPATH": str(ROOT), "HOME": str(home(place, user))},
        within=becoming(user, *groups, umask=umask),
    )


def check(place: Path, user: int, segments: int) -> None:
    """Every bit is that of a run alone, nothing was committed twice, all is its own."""
    root = home(place, user) / "root"
    campaign = Campaign("c", root=root)
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=segments))
    assert committed_twice(records_of(root, "c")) == []
    found = [root, *root.rglob("*")]
    assert {path.lstat().st_uid for path in found} == {user}
    other = OUTSIDER if user == MEMBER else MEMBER
    assert as_user(other, [], lambda: harm(found)) == []


def nodes(place: Path, user: int) -> set[str]:
    """All nodes that a user's campaign ever had."""
    found = records_of(home(place, user) / "root", "c")
    return {joined.node for joined in kinds(found, e.NodeJoined)}


def leases(place: Path, user: int) -> list[tuple[str, float, float]]:
    """All leases of a user's campaign."""
    return held(home(place, user) / "root")


def test_each_has_the_workers_that_can_write_its_folder(place: Path) -> None:
    """Of the same names, at the same time; the other's worker is told of, once."""
    told = home(place, MEMBER) / "alarms"
    with cluster(0, "tcp://") as dask, Outside(place) as theirs, ExitStack() as stack:
        theirs.port = int(dask.scheduler_address.rpartition(":")[2])
        for user in (MEMBER, OUTSIDER):
            start_worker(theirs, place, user, f"w{user}")
        given: dict[str, Any] = {"every": 4, "segments": 6, "work_s": 0.05}
        scripts = [
            driver(place, MEMBER, theirs.address, **given),
            # Who comes first is offered both workers.
            driver(place, OUTSIDER, theirs.address, go=str(told), **given),
        ]
        for script in scripts:
            stack.enter_context(script)
        for script in scripts:
            assert script.finish() == (0, script.printed)
    found = [line for line in told.read_text().splitlines() if "node begins" in line]
    assert len(found) == 1
    assert f"node begins node w{OUTSIDER} at tcp://" in found[0]
    assert f"started by user {OUTSIDER}, is left to others: it cannot write" in found[0]
    for user in (MEMBER, OUTSIDER):
        assert nodes(place, user) == {f"w{user}"}
        check(place, user, segments=6)
    assert overlaps(leases(place, MEMBER), leases(place, OUTSIDER)) == []


@pytest.mark.benchmark
def test_a_driver_that_is_killed_disturbs_nobody_and_has_its_own_back(
    place: Path,
) -> None:
    """kill -9: the other loses no node and no segment; then both end."""
    with Outside(place) as theirs, ExitStack() as stack:
        theirs.start_scheduler(within=becoming(OUTSIDER))
        for user in (MEMBER, OUTSIDER):
            for number in range(2):
                start_worker(theirs, place, user, f"w{user}-{number}")
        given: dict[str, Any] = {"segments": 30, "work_s": 0.1}
        killed, other = (
            stack.enter_context(driver(place, user, theirs.address, **given))
            for user in (MEMBER, OUTSIDER)
        )
        for user in (MEMBER, OUTSIDER):
            root = home(place, user) / "root"
            until_record(root, "c", e.CheckpointCommitted, count=3)

        killed.send(signal.SIGKILL)

        assert killed.finish()[0] == -signal.SIGKILL
        again = stack.enter_context(driver(place, MEMBER, theirs.address, **given))
        for script in (other, again):
            assert script.finish() == (0, script.printed)
    undisturbed = records_of(home(place, OUTSIDER) / "root", "c")
    assert kinds(undisturbed, e.NodeLost) == []
    assert kinds(undisturbed, e.SegmentFailed) == []
    assert len(kinds(undisturbed, c.StartAttempt)) == 2
    assert (
        len(kinds(records_of(home(place, MEMBER) / "root", "c"), e.DriverStarted)) == 2
    )
    for user in (MEMBER, OUTSIDER):
        assert nodes(place, user) == {f"w{user}-0", f"w{user}-1"}
        check(place, user, segments=30)
    assert overlaps(leases(place, MEMBER), leases(place, OUTSIDER)) == []


@pytest.mark.benchmark
def test_a_worker_of_another_user_serves_where_the_group_may_write(place: Path) -> None:
    """The owner said so by a folder of the group; both have umask 002."""
    root = home(place, MEMBER) / "root"
    root.mkdir()
    os.chown(root, MEMBER, TEAM)
    root.chmod(0o2775)
    with Outside(place) as theirs:
        theirs.start_scheduler(within=becoming(MEMBER))
        start_worker(theirs, place, OUTSIDER, "w", TEAM, umask=0o002)
        with driver(place, MEMBER, theirs.address, TEAM, umask=0o002) as script:
            assert script.finish() == (0, script.printed)
    assert nodes(place, MEMBER) == {"w"}
    campaign = Campaign("c", root=root)
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=6))
    assert {path.lstat().st_uid for path in root.rglob("*")} == {MEMBER, OUTSIDER}
