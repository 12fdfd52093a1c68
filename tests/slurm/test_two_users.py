"""Two users of one Slurm, with campaigns of one name."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from climorch import Campaign
from climorch.model import events as e
from climorch.testing.faults import (
    Script,
    committed_twice,
    records_of,
    until,
    until_record,
)
from climorch.testing.models import reference_run
from tests.live.cases import ended, kinds, same
from tests.live.outside import ROOT
from tests.live.users import becoming, may_become
from tests.slurm.mini import MiniSlurm, running
from tests.slurm.test_slurm import none_left

SCRIPT = Path(__file__).with_name("campaign_script.py")
# Slurm must know them; Debian does.
USERS = ("games", "backup")

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.usefixtures("can_start"),
    pytest.mark.skipif(
        not may_become()
        or not set(USERS) <= {entry.pw_name for entry in pwd.getpwall()},
        reason="who is not root, or has no setpriv or capabilities, cannot become the "
        "users games and backup; or there are none: NOT TESTED",
    ),
]


@pytest.fixture
def homes() -> Iterator[dict[str, Path]]:
    """A folder of each user, beside each other."""
    folder = Path(tempfile.mkdtemp(prefix="climorch-users-"))
    folder.chmod(0o755)
    found = {user: folder / user for user in USERS}
    for user, home in found.items():
        home.mkdir()
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    yield found
    shutil.rmtree(folder)


def driver(user: str, home: Path) -> Script:
    """Start a user's campaign, in jobs of the user."""
    given = {
        "root": str(home / "root"),
        "folder": str(home / "meet"),
        # It goes on until all has happened.
        "segments": 5000,
        "enough": str(home / "enough"),
        "work_s": 0.1,
        "walltime_s": 600.0,
        "names": "s",
        "nodes": 1,
    }
    return Script(
        SCRIPT,
        json.dumps(given),
        environment={"PYTHONPATH": str(ROOT), "HOME": str(home)},
        within=becoming(pwd.getpwnam(user).pw_uid),
    )


def jobs(mini: MiniSlurm) -> dict[str, set[str]]:
    """Return the jobs that each user ever had; all have one name."""
    found: dict[str, set[str]] = {user: set() for user in USERS}
    told = mini.call("squeue", "-h", "-t", "all", "-o", "%A %u %j").splitlines()
    for line in told:
        number, user, name = line.split()
        assert name == "c"
        found[user].add(number)
    return found


@pytest.mark.timeout(240)
def test_neither_adopts_cancels_or_counts_the_other_s_jobs(
    homes: dict[str, Path],
) -> None:
    """Not even a driver that looks for jobs to adopt, after a kill -9."""
    first, second = USERS
    with running(nodes=4, others=True) as mini, ExitStack() as stack:
        scripts = {}
        for user in USERS:
            # One after the other: the second could take the job that is there.
            scripts[user] = stack.enter_context(driver(user, homes[user]))
            until_record(homes[user] / "root", "c", e.CheckpointCommitted)
        before = jobs(mini)
        scripts[first].send(signal.SIGKILL)
        assert scripts[first].finish()[0] == -signal.SIGKILL
        scripts[first] = stack.enter_context(driver(first, homes[first]))
        until_record(homes[first] / "root", "c", e.NodeJoined, count=2)
        for user, script in scripts.items():
            (homes[user] / "enough").touch()
            assert script.finish(timeout_s=60) == (0, script.printed), user
        until(lambda: none_left(mini) or None, what="no job is left")
        after = jobs(mini)
    # One job each, and the driver that came again went on with its own.
    assert {user: len(found) for user, found in before.items()} == {first: 1, second: 1}
    assert after == before
    for user in USERS:
        root = homes[user] / "root"
        joined = kinds(records_of(root, "c"), e.NodeJoined)
        assert {node.node.rpartition(".")[2] for node in joined} == before[user]
        (end,) = (r.at for r in kinds(records_of(root, "c"), e.RuleEvaluated) if r.told)
        wanted = reference_run("s", segments=end)
        assert same(ended(Campaign("c", root=root), "s"), wanted)
        assert committed_twice(records_of(root, "c")) == []
        owner = pwd.getpwnam(user).pw_uid
        assert {path.lstat().st_uid for path in root.rglob("*")} == {owner}
    undisturbed = records_of(homes[second] / "root", "c")
    assert kinds(undisturbed, e.SegmentFailed) == []
    assert len(kinds(undisturbed, e.NodeJoined)) == 1
