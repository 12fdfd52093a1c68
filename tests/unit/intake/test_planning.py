from __future__ import annotations

import functools
from typing import Any

import pytest
import xarray as xr

from climorch.intake.planning import (
    change_faults,
    make_plan,
    params_digest,
    provenance,
    segment_seed,
)
from climorch.model.plan import Coupling, RulePlan, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow

DAY = 86400


def step(state: Any, inputs: Any, segment: Any) -> Any:
    """Keep everything."""
    return state


def first(segment: Any, inputs: Any) -> Any:
    """Begin with nothing."""
    return xr.Dataset()


def rule(committed: Any) -> Any:
    """Ask for nothing."""
    return []


def workflow(
    years: int = 2, *, chunk: int = 2, start: int = 1, nodes: int = 1
) -> Workflow:
    """Air and sea, then a template-like stage without init."""
    span = Span(
        f"{start:04d}-01-01",
        f"{start + years:04d}-01-01",
        every="1YS",
        calendar="noleap",
    )
    wf = Workflow("coupled")
    wf.stage(
        "air",
        step,
        init=xr.Dataset(),
        span=span,
        reads={"sea": Coupling.PREVIOUS},
        chunks={"lat": chunk},
        resources=Resources(nodes=nodes),
    )
    wf.stage("sea", step, span=span, reads={"air": Coupling.SAME})
    wf.rule("branch", when="sea", then=rule)
    return wf


def plan(years: int = 2, params: dict[str, Any] | None = None, **options: Any) -> Any:
    """The plan of that workflow."""
    return make_plan(workflow(years, **options), Scenario("m01", params=params or {}))


def test_a_plan_holds_all_that_is_declared_but_functions() -> None:
    """A plan lists stages, boundaries, couplings, rules and params as values."""
    cuts = (0, 365 * DAY, 730 * DAY)
    assert plan(params={"f": 2.5}) == SimulationPlan(
        workflow="coupled",
        stages=(
            StagePlan(
                name="air",
                calendar="noleap",
                boundaries=cuts,
                reads={"sea": Coupling.PREVIOUS},
                chunks={"lat": 2},
            ),
            StagePlan(
                name="sea",
                calendar="noleap",
                boundaries=cuts,
                reads={"air": Coupling.SAME},
                initial=False,
            ),
        ),
        rules=(RulePlan(name="branch", when="sea"),),
        params={"f": 2.5},
    )


class Callable:
    """A step that is an object."""

    def __call__(self, state: Any, inputs: Any, segment: Any) -> Any:
        """Keep everything."""
        return state


def test_provenance_names_each_function_and_its_source() -> None:
    """Steps, inits and rules are recorded by name and by a hash of their source."""
    wf = workflow()
    wf.stage(
        "ice",
        functools.partial(functools.partial(step), inputs=None),
        init=first,
        span=Span("0001-01-01", "0002-01-01", every="1YS"),
    )
    wf.stage("snow", Callable(), span=Span("0001-01-01", "0002-01-01", every="1YS"))
    found = provenance(wf)
    assert sorted(found) == [
        "air.step",
        "branch",
        "ice.init",
        "ice.step",
        "sea.step",
        "snow.step",
    ]
    module = __name__
    assert found["air.step"].qualname == f"{module}.step"
    assert len(found["air.step"].source_digest) == 32
    # What is wrapped counts, not the wrapping.
    assert found["ice.step"] == found["air.step"]
    assert found["ice.init"].qualname == f"{module}.first"
    assert found["branch"].qualname == f"{module}.rule"
    assert found["branch"].source_digest != found["air.step"].source_digest
    assert found["snow.step"].qualname == f"{module}.Callable"
    assert found["snow.step"].source_digest == ""


def test_a_function_without_source_has_no_digest() -> None:
    """What was made without a file is recorded by its name alone."""
    made: dict[str, Any] = {"__name__": "console"}
    exec("def step(state, inputs, segment):\n    return state", made)
    wf = Workflow("w")
    wf.stage("a", made["step"], span=Span("0001-01-01", "0002-01-01", every="1YS"))
    found = provenance(wf)["a.step"]
    assert (found.qualname, found.source_digest) == ("console.step", "")


def test_the_digest_of_params_follows_what_determines_a_state() -> None:
    """Params, chunks and start change it; a later end and more nodes do not."""
    first = params_digest(plan(params={"a": 1, "b": 2}), "air")
    same = [plan(params={"b": 2, "a": 1}), plan(5, {"a": 1, "b": 2}, nodes=3)]
    other = [
        plan(params={"a": 1, "b": 3}),
        plan(params={"a": 1, "b": 2}, chunk=3),
        plan(params={"a": 1, "b": 2}, start=2),
    ]
    assert len(first) == 32
    assert [params_digest(p, "air") == first for p in same] == [True, True]
    assert [params_digest(p, "air") == first for p in other] == [False, False, False]


def test_seeds_are_the_same_on_every_attempt() -> None:
    """A seed depends on simulation, stage and index alone, in [0, 2**63)."""
    assert segment_seed("m01", "air", 0) == segment_seed("m01", "air", 0)
    seeds = {
        segment_seed(simulation, stage, index)
        for simulation in ("m01", "m02")
        for stage in ("air", "sea")
        for index in range(50)
    }
    assert len(seeds) == 200
    assert min(seeds) >= 0
    assert max(seeds) < 2**63


def changes(old: Any, new: Any, committed: dict[str, int] | None = None) -> list[str]:
    """What forbids to change a simulation."""
    return [str(fault) for fault in change_faults(old, new, committed or {})]


REMEDY = "submit it under another name, or undo the change"


def test_ends_and_resources_may_change() -> None:
    """More or fewer years than before, and more nodes, are no other simulation."""
    assert changes(plan(2), plan(2)) == []
    assert changes(plan(2), plan(9, nodes=4), {"air": 2, "sea": 2}) == []
    assert changes(plan(9), plan(2), {"air": 2, "sea": 2}) == []


def test_an_end_before_what_is_committed_is_refused() -> None:
    """What is committed is not thrown away by an earlier end."""
    assert changes(plan(9), plan(2), {"air": 3, "sea": 2}) == [
        "stage 'air', span: 3 segments are committed, its new end leaves 2; " + REMEDY
    ]


@pytest.mark.parametrize(
    ("new", "texts"),
    [
        (plan(params={"a": 1}), ["params: was {}, is {'a': 1}"]),
        (
            plan(chunk=3),
            ["stage 'air', chunks: was {'lat': 2}, is {'lat': 3}"],
        ),
        (
            plan(start=2),
            [
                "stage 'air', span: its start or its segments changed",
                "stage 'sea', span: its start or its segments changed",
            ],
        ),
    ],
)
def test_what_would_change_results_is_refused(new: Any, texts: list[str]) -> None:
    """Params, chunks and starts are part of what a simulation is."""
    assert changes(plan(), new) == [f"{text}; {REMEDY}" for text in texts]


def test_another_graph_is_refused() -> None:
    """Another workflow, other stages, rules, couplings or calendars are told."""
    old = plan()
    names = [
        (make_plan(other, Scenario("m01")), start)
        for other, start in (
            (_renamed(), "workflow: was 'coupled', is 'other'"),
            (_with_rule(), "rules: was "),
            (_with_stage(), "stages: was ['air', 'sea'], is ['air', 'sea', 'ice']"),
        )
    ]
    for new, start in names:
        (text,) = changes(old, new)
        assert text.startswith(start)
    turned = _coupled_otherwise()
    assert [t.partition(":")[0] for t in changes(old, turned)] == [
        "stage 'air', calendar",
        "stage 'air', reads",
        "stage 'air', after",
        "stage 'air', initial",
    ]


def _renamed() -> Workflow:
    wf = workflow()
    wf.name = "other"
    return wf


def _with_rule() -> Workflow:
    wf = workflow()
    wf.rule("more", when="air", then=rule)
    return wf


def _with_stage() -> Workflow:
    wf = workflow()
    wf.stage("ice", step, span=Span("0001-01-01", "0002-01-01", every="1YS"))
    return wf


def _coupled_otherwise() -> SimulationPlan:
    old = plan()
    air, sea = old.stages
    changed = StagePlan(
        name="air",
        calendar="365_day",
        boundaries=air.boundaries,
        reads={"sea": Coupling.SAME},
        after=("x",),
        chunks=air.chunks,
        initial=False,
    )
    return SimulationPlan(workflow=old.workflow, stages=(changed, sea), rules=old.rules)
