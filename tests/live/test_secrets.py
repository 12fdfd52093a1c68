"""What opens something else is kept nowhere: not on the disk, not in what is told."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from climorch import Campaign, Scenario, Span, Workflow
from climorch.programs import RETRY, Command, state_from
from climorch.rules import Archive
from tests.live.cases import here, policies, records

ENVIRONMENT = "hush-of-the-environment"
PROGRAM = "hush-of-the-program"
BUCKET = "hush-of-the-bucket"
PARAMETER = "told-as-a-parameter"
NAMES = ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD", "DASK_SECRET")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A campaign that is done, and what was logged meanwhile.

    Attributes
    ----------
    campaign : Campaign
        Of a program that has failed once, with an archive.
    folder : Path
        All that it has written lies below it.
    log : str
        All lines, the least among them.
    """

    campaign: Campaign
    folder: Path
    log: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Ran:
    """Run once for all, with secrets around and a umask that forbids nothing.

    In a process of its own: this one may have started others before, and what they
    start has the environment of that time.
    """
    folder = tmp_path_factory.mktemp("secrets")
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.test_secrets", str(folder)],
        cwd=project_root,
        env={**os.environ, **dict.fromkeys(NAMES, ENVIRONMENT)},
        umask=0,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Ran(campaign=campaign_of(folder), folder=folder, log=done.stderr)


def campaign_of(root: Path) -> Campaign:
    """A program that fails once, and an archive."""
    (root / "old.bin").write_bytes(b"x" * 16)
    told = 'echo "$${#KEY} $${#PGPASSWORD}"; touch left'
    once = f"test -e {root}/mark || {{ {told}; touch {root}/mark; exit 3; }}"
    step = Command(
        argv=["/bin/sh", "-c", f"{once}; cp old.bin new.bin"],
        restart={"new.bin": "old.bin"},
        env={"KEY": PROGRAM},
        codes={3: RETRY},
    )
    span = Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")
    wf = Workflow("w")
    wf.stage("program", step, init=state_from(step, root), span=span)
    where = Archive(url=(root / "tape").as_uri(), options={"secret": BUCKET})
    made = Campaign(
        "c", root=root / "root", policies=replace(policies(), archive=where)
    )
    made.submit(wf, scenario=Scenario("s", params={"k": PARAMETER}))
    return made


def bytes_of(root: Path) -> Iterator[bytes]:
    """All names and contents of files below a folder."""
    for path in sorted(root.rglob("*")):
        yield str(path).encode()
        if path.is_file():
            yield path.read_bytes()


def found(hush: str, texts: list[bytes]) -> int:
    """Count the texts with a secret in them, as it is or the other way round."""
    ways = (hush.encode(), hush.encode().hex().encode(), hush[::-1].encode())
    return sum(any(way in text for way in ways) for text in texts)


def test_what_is_secret_is_neither_stored_nor_told(ran: Ran) -> None:
    """Journal, checkpoints, run folders, provenance, logs, status and reasons."""
    campaign = ran.campaign
    stored = [*bytes_of(ran.folder / "root"), *bytes_of(ran.folder / "tape")]
    told = [repr(record).encode() for record in records(campaign)]
    told += [ran.log.encode(), str(campaign.status()).encode()]
    told += [str(campaign.explain("s")).encode(), repr(campaign.policies).encode()]

    # All of it can be looked through: a parameter is there, in the journal too.
    assert found(PARAMETER, stored) > 0
    assert found(PARAMETER, told) > 0
    assert found("SegmentFailed", told) > 0
    assert "segment" in ran.log
    for hush in (ENVIRONMENT, PROGRAM, BUCKET):
        assert found(hush, stored) == 0, hush
        assert found(hush, told) == 0, hush


def test_the_program_had_its_secret_and_the_archive_was_used(ran: Ran) -> None:
    """Else nothing could have been told; what it prints is its own to hide."""
    (log,) = (ran.folder / "root").rglob("log.txt")
    assert log.read_text() == f"{len(PROGRAM)} {len(ENVIRONMENT)}\n"
    assert len([*(ran.folder / "tape").rglob("*.zip")]) > 0


def test_what_a_program_leaves_is_nobody_else_s_to_write(ran: Ran) -> None:
    """Its log and its files, kept since it has failed, whatever the umask says."""
    paths = [ran.folder / "root" / "c", *(ran.folder / "root" / "c").rglob("*")]
    assert {"log.txt", "FAILED.txt", "old.bin", "left"} <= {p.name for p in paths}
    assert [p for p in paths if p.stat().st_mode & stat.S_IWOTH] == []


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("climorch").setLevel(logging.DEBUG)
    assert campaign_of(Path(sys.argv[1])).run(here()).finished
