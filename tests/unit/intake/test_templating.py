"""A template that can never begin is refused when it is submitted."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr

from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.intake.submissions import Submissions
from climorch.intake.templating import template_faults
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow

STATE = xr.Dataset({"T": ("x", [0.0])})
NO_DATE = (
    "begins at {}, where there is no checkpoint to start from: boundaries are {}; let "
    "its span start at a boundary of the workflow, after its first"
)


def step(state: Any, inputs: Any, segment: Any) -> Any:
    """Keep everything."""
    return state


def made(states: Any, segment: Any) -> Any:
    """Make a first state from another one."""
    return STATE


def years(start: int, end: int, calendar: str = "noleap", every: str = "1YS") -> Span:
    """A span of segments from January to January."""
    return Span(f"{start}-01-01", f"{end}-01-01", every=every, calendar=calendar)


def template(name: str = "sea", start: int = 2005, **more: Any) -> Workflow:
    """Two years of one stage."""
    found = Workflow("later")
    span = years(start, start + 2, more.pop("calendar", "noleap"))
    found.stage(name, step, span=span, **more)
    return found


def workflow(*templates: Workflow) -> Workflow:
    """A spin-up from 1990 to 2000, then five segments of two years."""
    wf = Workflow("wf", templates=templates)
    wf.stage("spin", step, init=STATE, span=years(1990, 2000, every="5YS"))
    span = years(2000, 2010, every="2YS")
    wf.stage("sea", step, init=STATE, span=span, after=["spin"], begins="dated")
    wf.stage("ice", step, init=STATE, span=span, after=["spin"])
    wf.rule("r", when="sea", then=lambda committed: [])
    return wf


def told(*templates: Workflow) -> list[str]:
    """What is wrong with them."""
    place = "workflow 'wf', template 'later', stage "
    found = [str(fault) for fault in template_faults(workflow(*templates))]
    assert all(text.startswith(place) for text in found)
    return [text.removeprefix(place) for text in found]


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(template(start=2004), id="at a boundary"),
        pytest.param(template(start=2010), id="at the end"),
        pytest.param(template(start=2013), id="an edit may move the end until there"),
        pytest.param(template("ice", start=2003), id="where a stage begins may move"),
        pytest.param(template("new", init=STATE), id="from a state of its own"),
        pytest.param(template("new", 2010, transform=made), id="made from another"),
        pytest.param(template("new", 1995, transform=made), id="from the spin-up"),
    ],
)
def test_one_that_may_begin_is_taken(fine: Workflow) -> None:
    """Whatever depends on the course is left to the rule's answer."""
    assert told(fine) == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            template("typo"),
            "'typo': has no init and the workflow has no stage of that name; give it "
            "an init, or a name of the workflow's stages",
        ),
        (
            template(start=2004, calendar="360_day"),
            "'sea': its calendar '360_day' is not that of the workflow, 'noleap'; let "
            "its span have the same calendar",
        ),
        (
            template(start=2005),
            "'sea': "
            + NO_DATE.format(
                "2005-01-01", "2002-01-01, 2004-01-01, 2006-01-01, ..., 2010-01-01"
            ),
        ),
        (
            # The first boundary is never checkpointed.
            template("spin", start=1990),
            "'spin': " + NO_DATE.format("1990-01-01", "1995-01-01, 2000-01-01"),
        ),
        (
            template("spin", start=1980),
            "'spin': " + NO_DATE.format("1980-01-01", "1995-01-01, 2000-01-01"),
        ),
    ],
)
def test_one_that_can_never_begin_is_told(wrong: Workflow, text: str) -> None:
    """With the stage, and from where it might."""
    assert told(wrong) == [text]


def test_one_that_is_made_from_any_state_needs_one_at_its_date() -> None:
    """A transform takes the states of one date."""
    wf = Workflow("wf", templates=[template("new", 1993, transform=made)])
    wf.stage("spin", step, init=STATE, span=years(1990, 2000, every="5YS"))
    (fault,) = template_faults(wf)
    assert fault.problem.startswith("begins at 1993-01-01, where there is no checkpoi")


def test_templates_of_templates_are_looked_at() -> None:
    """They start from simulations of the template."""
    inner = template("typo", 2006)
    outer = Workflow("outer", templates=[inner])
    outer.stage("sea", step, span=years(2004, 2008))
    (fault,) = template_faults(workflow(outer))
    assert fault.place == "workflow 'outer', template 'later', stage 'typo'"


def test_it_is_refused_when_it_is_submitted() -> None:
    """Before a node computes anything; not where the workflow has other faults."""
    submissions = Submissions(())
    with pytest.raises(InvalidInputError, match="begins at 2005-01-01, where there"):
        submissions.add(
            workflow(template(start=2005)),
            scenario=Scenario("m"),
            state=CampaignState(),
        )
