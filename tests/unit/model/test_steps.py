"""Declarations of steps that are no graphs."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.intake.check import workflow_faults
from climorch.intake.contract import call_step
from climorch.intake.planning import provenance
from climorch.intake.trace import trace_faults
from climorch.model.scenario import Scenario
from climorch.model.steps import Isolated, LiveModel, function_of
from climorch.testing.awkward import awkward_init, awkward_step, awkward_workflow, build
from tests.unit.engine.model_cases import segment


def test_limits_have_defaults() -> None:
    """Ten minutes to build, no limit for a segment."""
    assert LiveModel(build).build_timeout_s == 600.0
    assert LiveModel(build).timeout_s is None
    assert Isolated(awkward_step, timeout_s=5).timeout_s == 5


@pytest.mark.parametrize(
    ("make", "faults"),
    [
        (lambda: LiveModel("x", build_timeout_s=0, timeout_s=-1), 3),  # type: ignore[arg-type]
        (lambda: LiveModel(build, timeout_s=float("nan")), 1),
        (lambda: Isolated(None, timeout_s=0), 2),  # type: ignore[arg-type]
    ],
)
def test_all_faults_of_a_declaration_are_told(make: Any, faults: int) -> None:
    """What cannot be called and limits that are not positive."""
    with pytest.raises(InvalidInputError) as raised:
        make()
    assert len(raised.value.faults) == faults


def test_what_is_behind_a_step_is_found() -> None:
    """The user's function, whatever the kind."""
    assert function_of(LiveModel(build)) is build
    assert function_of(Isolated(awkward_step)) is awkward_step
    assert function_of(build) is build


def test_a_workflow_of_all_kinds_passes_its_checks_and_its_trial() -> None:
    """What can only run on a node is not run; what reads it sees its init."""
    wf = awkward_workflow()
    assert workflow_faults(wf) == []
    assert trace_faults(wf, Scenario("s", params={"notes": "/nowhere/notes"})) == []


def test_where_a_model_comes_from_is_known() -> None:
    """Provenance names the factory and the step."""
    found = provenance(awkward_workflow())
    assert found["sea.step"].qualname == "climorch.testing.awkward.build"
    assert found["ice.step"].qualname == "climorch.testing.awkward.awkward_step"
    assert found["sea.step"].source_digest


def test_a_factory_that_cannot_be_sent_is_a_fault() -> None:
    """Named at submit, with its stage."""
    wf = awkward_workflow()
    lock: Any = threading.Lock()
    wf.stage("bad", LiveModel(lambda: lock), init=awkward_init, span=wf.stages[0].span)

    (fault,) = workflow_faults(wf)

    assert "stage 'bad', step" in fault.place
    assert "cannot be sent" in fault.problem


def test_a_step_without_a_graph_is_not_asked_for_one() -> None:
    """The engine would have mistaken it for a function."""
    stage = awkward_workflow().stages[1]
    state = awkward_init(segment(0), {})
    with pytest.raises(Exception, match="builds no graph"):
        call_step(stage, state, {}, segment(0))
