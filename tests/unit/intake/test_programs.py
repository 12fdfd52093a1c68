"""What of a stage does not fit the program that is its step, and where that is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import SAME, Scenario, Span, Workflow
from climorch.errors import InternalError
from climorch.intake.check import workflow_faults
from climorch.intake.contract import call_step
from climorch.intake.planning import provenance
from climorch.intake.trace import trace_faults
from climorch.model.scope import Scope
from climorch.programs import Command
from tests.unit.engine.model_cases import segment

SPAN = Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")
STATE = xr.Dataset({"heat": ("x", [1.0, 2.0])})


def workflow(step: Command, **given: Any) -> Workflow:
    """A program that may read a function."""
    wf = Workflow("w")
    wf.stage("air", lambda state, inputs, segment: state, init=STATE, span=SPAN)
    wf.stage("sea", step, init=STATE, span=SPAN, **given)
    return wf


def program(*argv: str, **given: Any) -> Command:
    """A program with NetCDF."""
    return Command(argv=argv or ["sea"], restart={"new.nc": "old.nc"}, **given)


@pytest.mark.parametrize(
    ("step", "given", "places"),
    [
        (program(), {}, []),
        (program(inputs={"air": "air.nc"}), {"reads": {"air": SAME}}, []),
        (program("sea", "${part}"), {"parts": 2}, []),
        (program(), {"reads": {"air": SAME}}, ["reads 'air'"]),
        (program(inputs={"air": "air.nc"}), {}, ["step, inputs['air']"]),
        (program(), {"parts": 2}, ["parts"]),
        (program(), {"scope": Scope(keep_bits={"heat": 9})}, ["scope"]),
    ],
)
def test_a_stage_must_fit_its_program(
    step: Command, given: dict[str, Any], places: list[str]
) -> None:
    """Each fault says what to change."""
    found = workflow_faults(workflow(step, **given))
    assert [f.place for f in found] == [
        f"workflow 'w', stage 'sea', {place}" for place in places
    ]


def test_parameters_are_looked_for_at_submit() -> None:
    """One that a scenario does not have is a fault there."""
    wf = workflow(program("sea", "${params.co2}"))
    assert trace_faults(wf, Scenario("s", params={"co2": 280})) == []
    (fault,) = trace_faults(wf, Scenario("s", params={}))
    assert (fault.place, fault.problem) == (
        "argv[1], ${params.co2}",
        "is not known",
    )


def test_a_program_builds_no_graph() -> None:
    """Whoever asks it to has a bug."""
    wf = workflow(program())
    with pytest.raises(InternalError, match="builds no graph"):
        call_step(wf.stages[1], STATE, {}, segment(0))


def test_a_changed_program_is_noticed(tmp_path: Path) -> None:
    """By its content, where it is found here, and by how it is called."""
    path = tmp_path / "sea"
    path.write_bytes(b"one")

    def digest(*more: str) -> str:
        found = provenance(workflow(program(str(path), *more)))["sea.step"]
        assert found.qualname == str(path)
        return found.source_digest

    one = digest()
    assert digest() == one
    assert digest("--more") != one
    path.write_bytes(b"two")
    assert digest() != one
    path.unlink()
    assert len(digest()) == 32
