"""What a site can never run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import xarray as xr

from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.intake.submissions import Submissions
from climorch.model.advance import Segment
from climorch.model.programs import Command
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.sites.local import LocalSite


class Scratched(LocalSite):
    """A site that tells how large the disks of its nodes are."""

    @property
    def node_scratch_bytes(self) -> int:
        """A hundred bytes."""
        return 100


def init(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """One number."""
    return xr.Dataset({"x": ("cell", np.zeros(1))}).chunk()


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Add one."""
    return state + 1


def submissions(resources: Resources) -> Submissions:
    """Submit one simulation that needs so much."""
    wf = Workflow("w")
    span = Span("2000-01-01", "2001-01-01", every="1YS", calendar="noleap")
    wf.stage("a", step, init=init, span=span, resources=resources)
    found = Submissions(())
    found.add(wf, scenario=Scenario("m01"), state=CampaignState())
    return found


def test_what_no_node_has_is_refused_before_anything_starts() -> None:
    """Nodes, cores, memory and scratch: every lack is a fault of one error."""
    resources = Resources(nodes=3, cores=4, memory=20, scratch=101)
    site = Scratched(nodes=2, threads=2, memory=10)
    with pytest.raises(InvalidInputError, match="this site is too small") as caught:
        submissions(resources).require_runnable(CampaignState(), site)

    assert [fault.problem for fault in caught.value.faults] == [
        "needs 3 nodes, the site has at most 2",
        "needs 4 cores per node, the site's nodes have 2",
        "needs 20 bytes of memory per node, the site's nodes have 10",
        "needs 101 bytes of scratch per node, the site's nodes have 100",
    ]


TOO_SMALL = "needs 3 nodes of one job, within which srun starts programs; jobs have 2"


class Launching(LocalSite):
    """A site whose programs start on the two nodes of a job."""

    launcher, job_nodes = "srun", 2

    def job_of(self, node: str) -> str:
        """One for all."""
        return "1"


@pytest.mark.parametrize(
    ("launcher", "nodes", "told"),
    [
        (
            "",
            3,
            [TOO_SMALL],
        ),
        (
            "/opt/srun",
            3,
            [TOO_SMALL],
        ),
        ("", 2, []),
        ("mpiexec", 3, []),
        ("", 5, ["needs 5 nodes, the site has at most 4"]),
    ],
)
def test_programs_that_need_a_larger_job_are_refused(
    launcher: str, nodes: int, told: list[str]
) -> None:
    """Where the launcher reaches further, or the job is large enough, all is well."""
    program = Command(
        argv=["heat"], restart={"new.nc": "old.nc"}, ranks=4, launcher=launcher
    )
    wf = Workflow("w")
    span = Span("2000-01-01", "2001-01-01", every="1YS", calendar="noleap")
    wf.stage("a", program, init=init, span=span, resources=Resources(nodes=nodes))
    found = Submissions(())
    found.add(wf, scenario=Scenario("m01"), state=CampaignState())
    faults: list[str] = []
    try:
        found.require_runnable(CampaignState(), Launching(nodes=4))
    except InvalidInputError as error:
        faults = [fault.problem for fault in error.faults]
    assert faults == told


def test_what_a_site_does_not_tell_is_taken_to_be_enough() -> None:
    """A site without a limit of memory or disk refuses nothing for it."""
    resources = Resources(cores=2, memory="1 TiB", scratch="1 TiB")

    submissions(resources).require_runnable(CampaignState(), LocalSite(threads=2))
