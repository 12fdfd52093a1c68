"""Why no node comes is read wherever somebody asks, from what behaves as PBS does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from climorch import Campaign, Run, Scenario
from climorch.model import events as e
from climorch.sites.batch import calls
from climorch.sites.batch.jobs import Call
from climorch.sites.batch.keeper import JobKeeper
from climorch.sites.pbs import PBSSite
from climorch.sites.slurm import Manner
from climorch.testing.faults import until
from climorch.testing.models import box_workflow
from tests.conformance.conftest import Stub
from tests.live.cases import policies


def asked(root: Path) -> list[str]:
    """Ask another process why a simulation is where it is, and for the report."""
    line = (
        "import sys; from climorch import Campaign; "
        "c = Campaign('c', root=sys.argv[1]); "
        "print(c.explain('s').status.why); print(c.status())"
    )
    argv = [sys.executable, "-c", line, str(root)]
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    return told.stdout.splitlines()


LIMITED = "Not Running: User has reached queue long running job limit."
WAITS = (
    f"1 job of 1 node waits in PBS (long) since DATE for {LIMITED}: no more may run at "
    "once; lower nodes, end other jobs, or name another queue"
)


def limited(stub: Stub, folder: Path) -> tuple[Campaign, PBSSite]:
    """Return a campaign, and a site on which no more jobs may run."""
    stub.behave(slots=0, reason=LIMITED)
    manner = Manner(poll_s=0.1, look_s=0.1, patience_s=60.0, secure=False)
    site = PBSSite("camp", folder=folder, queue="long", nodes=1, manner=manner)
    campaign = Campaign("c", root=folder, policies=policies())
    campaign.submit(box_workflow(segments=2), scenario=Scenario("s"))
    return campaign, site


def undated(told: str) -> str:
    """Leave out what is other with each run."""
    return re.sub(r"since \S+ \S+ UTC", "since DATE", told)


def told_rows(run: Run) -> list[int]:
    """Return the number of reasons to wait in each report in the journal."""
    found = [fact for fact, _ in run.facts() if isinstance(fact, e.SiteTold)]
    return [len(fact.waiting) for fact in found]


@pytest.mark.live
def test_whoever_asks_for_a_simulation_reads_why_no_node_comes(
    stub: Stub, tmp_path: Path
) -> None:
    """From the driver and from the journal, which grows by changes alone."""
    campaign, site = limited(stub, tmp_path)
    looks = Counting(site.keeper)
    run = campaign.start(site)
    try:
        until(lambda: LIMITED in str(campaign.status()), what="what the site waits for")
        before = looks.count
        until(lambda: looks.count >= before + 5, what="five more looks")
        reader = Campaign("c", root=tmp_path)
        whys = [one.explain("s").status.why for one in (campaign, reader)]
        sites = [one.status().site for one in (campaign, reader)]
    finally:
        run.stop()

    assert list(map(undated, whys)) == [f"needs 1 node; none such is up; {WAITS}"] * 2
    assert [undated(told) for found in sites for told in found] == [WAITS] * 2
    assert told_rows(run) == [1]
    # Nobody asks any more.
    assert reader.status().site == ()


@pytest.mark.benchmark
@pytest.mark.live
def test_another_process_reads_it_until_nodes_come(stub: Stub, tmp_path: Path) -> None:
    """It only opens the campaign; with the nodes it is over."""
    campaign, site = limited(stub, tmp_path)
    run = campaign.start(site)
    try:
        until(lambda: LIMITED in str(campaign.status()), what="what the site waits for")
        why, *report = asked(tmp_path)
        stub.behave()
        assert run.wait(timeout_s=60.0)
    finally:
        run.kill()
        run.wait()

    assert undated(why) == f"needs 1 node; none such is up; {WAITS}"
    assert f"  site: {WAITS}" in map(undated, report)
    assert campaign.status()["s"].status == "finished"
    assert campaign.status().site == ()
    assert told_rows(run) == [1, 0]


class Counting:
    """Counts how often a keeper asks its batch system."""

    def __init__(self, made: JobKeeper) -> None:
        self.count = 0
        self._run, made.run = made.run, self.run

    async def run(self, call: Call) -> calls.Answer:
        """Run a call."""
        self.count += call.argv[0] == "qstat"
        return await self._run(call)
