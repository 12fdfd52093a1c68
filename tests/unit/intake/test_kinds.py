"""What is no workflow, scenario, span or site is refused before it is looked into."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr

from climorch.core.state import CampaignState
from climorch.errors import ConflictError, InvalidInputError
from climorch.intake.kinds import require_site, require_submission
from climorch.intake.submissions import Submissions
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.sites.local import LocalSite
from climorch.twin.site import TwinSite

SPAN = Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")


def step(state: Any, inputs: Any, segment: Any) -> Any:
    """Keep everything."""
    return state


def workflow(span: Any = SPAN) -> Workflow:
    """One stage with this span."""
    wf = Workflow("wf")
    wf.stage("sea", step, init=xr.Dataset({"T": ("x", [0.0])}), span=span)
    return wf


def texts(caught: pytest.ExceptionInfo[InvalidInputError]) -> list[str]:
    """All faults, as a user reads them."""
    return [str(fault) for fault in caught.value.faults]


def test_what_is_no_workflow_and_no_scenario_is_told_together() -> None:
    """Both are named, with what is asked for."""
    with pytest.raises(InvalidInputError) as caught:
        require_submission(Workflow, "m01")

    assert texts(caught) == [
        "workflow: got the class Workflow, not one that was made; pass a "
        "climorch.Workflow",
        "scenario: got str 'm01'; pass climorch.Scenario('name', params={...})",
    ]


def test_what_is_no_span_is_told() -> None:
    """A stage whose span is a text is named, in templates too."""
    wf = Workflow("parent", templates=[workflow("1850/1900")])
    wf.stage("sea", step, init=xr.Dataset({"T": ("x", [0.0])}), span=SPAN)
    with pytest.raises(InvalidInputError) as caught:
        require_submission(wf, Scenario("m01"))

    assert texts(caught) == [
        "workflow 'wf', stage 'sea', span: got str '1850/1900'; pass "
        "climorch.Span('1850-01-01', '2015-01-01', every='1YS', calendar='noleap')"
    ]


@pytest.mark.parametrize("ask", ["add", "plan"])
def test_submissions_ask_first(ask: str) -> None:
    """Submitting and estimating look at the kinds before anything else."""
    submissions: Any = Submissions(())
    with pytest.raises(InvalidInputError, match="scenario: got a NoneType"):
        getattr(submissions, ask)(workflow(), scenario=None, state=CampaignState())


@pytest.mark.parametrize(
    ("site", "text"),
    [
        ("local", "site: got str 'local'; pass LocalSite(nodes=...), DaskSite"),
        (LocalSite, "site: got the class LocalSite, not one that was made; pass"),
        (TwinSite(nodes=2), "a TwinSite is for rehearse"),
        (None, "site: got a NoneType; pass"),
    ],
)
def test_what_is_no_site_is_told(site: Any, text: str) -> None:
    """A name, a class or a twin is refused, with what to pass."""
    with pytest.raises(InvalidInputError) as caught:
        Submissions(()).require_runnable(CampaignState(), site)

    assert text in texts(caught)[0]


def test_a_site_is_a_site() -> None:
    """One that was made is taken."""
    require_site(LocalSite(nodes=1))


def test_one_name_is_not_submitted_as_two_simulations() -> None:
    """The later of two would silently take the place of the first."""
    submissions = Submissions(())
    wf = workflow()
    first = Scenario("m01", params={"w": 1})
    submissions.add(wf, scenario=first, state=CampaignState())
    with pytest.raises(ConflictError) as caught:
        submissions.add(
            wf, scenario=Scenario("m01", params={"w": 2}), state=CampaignState()
        )
    again = submissions.add(
        wf,
        scenario=Scenario("m01", params={"w": 1}, priority=3),
        state=CampaignState(),
    )

    assert str(caught.value) == (
        "simulation 'm01' was submitted as another one:\n"
        "  - params: was {'w': 1}, is {'w': 2}; submit it under another name, or "
        "undo the change"
    )
    assert again.scenario.priority == 3
