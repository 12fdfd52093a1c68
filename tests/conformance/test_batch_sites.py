"""PBS and LSF by commands that behave as theirs do: nothing here is the real system."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from distributed import Client, Security, Worker

from climorch.core.site_ports import UNKNOWN_NODES, LaunchingSite, Site, StandingSite
from climorch.model.supply import SiteTold
from climorch.sites.batch import calls
from climorch.sites.batch.certificates import security_from
from climorch.sites.batch.jobs import Call, Dialect, JobRequest, JobState
from climorch.sites.batch.keeper import JobKeeper
from climorch.sites.batch.lsf_commands import Lsf
from climorch.sites.batch.pbs_commands import Pbs
from climorch.sites.batch.renewal import Renewal
from climorch.sites.lsf import LSFSite
from climorch.sites.pbs import PBSSite
from climorch.sites.slurm import Manner
from climorch.testing.site_suite import SiteSuite
from tests.conformance.conftest import Stub


@pytest.fixture(params=["pbs", "lsf"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each of them."""
    return Pbs() if request.param == "pbs" else Lsf()


class News:
    """Hears what a keeper tells."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, float | None, str]] = []
        self.troubles: dict[str, str] = {}
        self.told: list[SiteTold] = []

    def goes(
        self, node: str, at_s: float | None, why: str, *, recalled: bool = False
    ) -> None:
        """Take a deadline."""
        self.ends.append((node, at_s, why))

    def trouble(self, subject: str, message: str) -> None:
        """Take what is wrong."""
        self.troubles[subject] = message

    def stands(self, told: SiteTold) -> None:
        """Take how things stand."""
        self.told.append(told)


def keeper(dialect: Dialect, jobs: int = 2, *words: str) -> tuple[JobKeeper, News]:
    """Keep jobs that do nothing."""
    request = JobRequest(
        tag="camp", walltime_s=3600.0, command=words or ("sleep", "600")
    )
    made = JobKeeper(
        dialect,
        request,
        Renewal(jobs=jobs, walltime_s=3600.0, start_s=0.0),
        run=functools.partial(calls.run, timeout_s=20.0),
        poll_s=0.05,
    )
    made.bulletin.news = news = News()
    return made, news


async def looked(made: JobKeeper, done: Callable[[], object]) -> None:
    """Look until something is so."""
    async with asyncio.timeout(60):
        while not done():
            await made.look()
            await asyncio.sleep(0.02)


def running(made: JobKeeper) -> int:
    """Count the jobs that have a node."""
    return sum(job.state is JobState.RUNNING for job in made.known.values())


async def test_jobs_are_kept_ended_and_told_of(stub: Stub, dialect: Dialect) -> None:
    """As many as are wanted; each says where it runs and when it ends."""
    made, news = keeper(dialect)
    await looked(made, lambda: running(made) == 2)
    host = os.uname().nodename.partition(".")[0]
    told = [(job.hosts, job.ends_s - job.started_s) for job in made.known.values()]
    assert told == [((host,), 3600.0)] * 2
    assert len(stub.jobs()) == 2
    assert {node for node, _, _ in news.ends} == {
        f"{host}.{number}" for number in made.known
    }
    assert not any(news.troubles.values())
    await made.end(patience_s=0.0)
    assert {job["how"] for job in stub.jobs()} == {"deleted"}


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ("kill", {JobState.CANCELLED, JobState.FAILED}),
        ("walltime", {JobState.WALLTIME}),
        ("delete", {JobState.CANCELLED}),
    ],
)
async def test_a_job_that_ends_is_replaced_with_its_cause(
    stub: Stub, dialect: Dialect, how: str, state: set[JobState]
) -> None:
    """Whatever ended it."""
    if how == "walltime":
        stub.behave(pace=1e-4)
    made, _ = keeper(dialect, 1)
    await looked(made, lambda: running(made) == 1)
    first = next(iter(made.known))
    if how == "kill":
        os.kill(stub.jobs()[0]["pid"], signal.SIGKILL)
    if how == "delete":
        await made.run(dialect.cancel([first]))
    await looked(made, lambda: made.ended)
    assert made.ended[0].id == first
    assert made.ended[0].state in state
    # One that has failed at once is tried again only after ten seconds.
    if made.ended[0].state is not JobState.FAILED:
        await looked(made, lambda: len(stub.jobs()) > 1)
    await made.end(patience_s=0.0)


async def test_a_held_job_waits_until_it_is_let_go(
    stub: Stub, dialect: Dialect
) -> None:
    """By whoever holds it; it is not replaced meanwhile."""
    stub.behave(hold=True)
    made, _ = keeper(dialect, 1)
    await looked(made, lambda: made.known)
    await looked(
        made, lambda: {j.state for j in made.known.values()} == {JobState.HELD}
    )
    assert len(stub.jobs()) == 1
    release = dialect.release([*made.known])
    assert release is not None
    assert (await made.run(release)).good
    await looked(made, lambda: running(made) == 1)
    await made.end(patience_s=0.0)


async def test_what_does_not_answer_says_nothing(stub: Stub, dialect: Dialect) -> None:
    """Nothing is submitted, nobody counts as gone; it is told."""
    made, news = keeper(dialect, 1)
    await looked(made, lambda: running(made) == 1)
    known = dict(made.known)
    stub.behave(broken="cannot connect to server (errno=111)")
    await made.look()
    assert made.known == known
    assert "cannot connect to server" in news.troubles["query"]
    stub.behave()
    await looked(made, lambda: not news.troubles["query"])
    assert len(stub.jobs()) == 1
    await made.end(patience_s=0.0)


async def test_a_refusal_is_told_in_its_words(stub: Stub, dialect: Dialect) -> None:
    """And tried again later."""
    stub.behave(refuses="Job violates queue and/or server resource limits")
    made, news = keeper(dialect, 1)
    await made.look()
    assert "violates queue" in news.troubles["submit"]
    assert stub.jobs() == []


async def test_the_next_driver_finds_the_jobs(stub: Stub, dialect: Dialect) -> None:
    """By their name, those that wait among them."""
    stub.behave(slots=1)
    first, _ = keeper(dialect)
    await looked(first, lambda: running(first) == 1)
    second, _ = keeper(dialect)
    await looked(second, lambda: len(second.known) == 2)
    assert set(second.known) == set(first.known)
    assert len(stub.jobs()) == 2
    await second.end(patience_s=0.0)


async def test_what_a_job_prints_is_in_its_file(
    stub: Stub, dialect: Dialect, tmp_path: Path
) -> None:
    """Its name has the number, whatever the folder is called."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    call = dialect.submit(
        JobRequest(
            tag="t", log=str(folder / "%j.log"), command=("echo", "$HOME 'quoted'")
        )
    )
    answer = await calls.run(Call(argv=call.argv, stdin=call.stdin), timeout_s=20.0)
    number = dialect.submitted(answer.stdout)
    path = folder / f"{number}.log"
    async with asyncio.timeout(20):
        while not (path.exists() and path.read_text()):
            await asyncio.sleep(0.02)
    assert path.read_text() == "$HOME 'quoted'\n"
    async with asyncio.timeout(20):
        while stub.processes():
            await asyncio.sleep(0.02)


MANNER = Manner(poll_s=0.5, look_s=0.2, patience_s=60.0)


@pytest.mark.benchmark
@pytest.mark.live
class TestPbs(SiteSuite):
    """Nodes of PBS are nodes like any others."""

    @pytest.fixture
    def make_site(self, stub: Stub, tmp_path: Path) -> Callable[[int], Site]:
        return lambda nodes: PBSSite(
            "camp", folder=tmp_path, nodes=nodes, manner=MANNER
        )


@pytest.mark.benchmark
@pytest.mark.live
class TestLsf(SiteSuite):
    """Nodes of LSF are nodes like any others."""

    @pytest.fixture
    def make_site(self, stub: Stub, tmp_path: Path) -> Callable[[int], Site]:
        return lambda nodes: LSFSite(
            "camp", folder=tmp_path, nodes=nodes, manner=MANNER
        )


async def test_all_between_driver_and_nodes_is_encrypted(
    stub: Stub, tmp_path: Path
) -> None:
    """Unless it is told otherwise; who has no key of the session gets no answer."""
    site = PBSSite("camp", folder=tmp_path)
    address = await site.open()
    try:
        security = security_from(str(site.meeting.folder / "session.pem"))
        async with (
            Worker(
                address, security=security, nthreads=1, dashboard_address=":0"
            ) as worker,
            Client(address, asynchronous=True, security=site.security) as mine,
        ):
            assert await mine.submit(sum, [1, 2]) == 3
            for place in (address, worker.address):
                assert place.startswith("tls://")
                host, port = place.removeprefix("tls://").rsplit(":", 1)
                # A greeting of Dask: eight bytes of length, and a message.
                said = await _raw(host, int(port), b"\1" + b"\0" * 7 + b"\x80" * 32)
                # An alert of TLS at most.
                assert len(said) < 8 or said[:1] == b"\x15"
        with pytest.raises((OSError, TimeoutError)):
            await Client(
                address, asynchronous=True, timeout=2, security=Security.temporary()
            )
    finally:
        await site.close()


async def test_without_it_a_raw_client_would_be_answered(
    stub: Stub, tmp_path: Path
) -> None:
    """So that the test above says something."""
    site = PBSSite("camp", folder=tmp_path, manner=Manner(secure=False))
    address = await site.open()
    try:
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        said = await _raw(host, int(port), b"\1" + b"\0" * 7 + b"\x80" * 32)
        assert len(said) >= 8
        assert said[:1] != b"\x15"
    finally:
        await site.close()


async def _raw(host: str, port: int, greeting: bytes) -> bytes:
    """Return what a socket says to who speaks no TLS."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(greeting)
        async with asyncio.timeout(5):
            return await reader.read(4096)
    except OSError:
        return b""
    finally:
        writer.close()


def test_both_say_how_programs_are_started(tmp_path: Path) -> None:
    """And that their nodes outlive a Dask scheduler."""
    sites = (PBSSite("a", folder=tmp_path), LSFSite("a", folder=tmp_path))
    for site, launcher in zip(sites, ("mpiexec", "jsrun"), strict=True):
        assert isinstance(site, LaunchingSite)
        assert isinstance(site, StandingSite)
        assert site.launcher == launcher
        # What mpiexec reaches is not for us to say.
        bound = launcher == "jsrun"
        assert site.job_of("n1.7") == ("7" if bound else "")
        assert site.job_nodes == (1 if bound else UNKNOWN_NODES)
