"""Ten thousand new nodes of the graph from one answer of a rule, in under a second.

A node is a segment of a stage, or a simulation with all of its own. CPU seconds of this
thread from the question to the answer's row applied: the edits are checked, planned,
encoded for the journal and folded. Told beside it: what deciding on
them takes with a hundred nodes, and whether the row replays to the same state.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import climorch as co
from climorch.core.fold import apply
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import decode_record, encode_record
from climorch.model.edits import AddSimulation, Committed, Edit
from climorch.model.workflow import Workflow
from climorch.rules import MoveEnd

NEW = 10_000
BAR_S = 1.0
START, END = 1850, 1851


def unchanged(state: Any, inputs: Any, segment: Any) -> Any:
    """Change nothing; never called."""
    return state


def span(start: int, years: int, every: str) -> co.Span:
    """Return a span from a year on."""
    return co.Span(
        f"{start:04d}-01-01",
        f"{start + years:04d}-01-01",
        every=every,
        calendar="noleap",
    )


def first(segment: Any, inputs: Any) -> Any:
    """Make no state; never called."""
    return inputs


def flow(then: Callable[[Committed], list[Edit]], segments: int) -> Workflow:
    """Return a workflow whose rule answers so, with a template of so many segments."""
    future = Workflow("future")
    future.stage("sea", unchanged, span=span(END, segments, "1YS"))
    wf = Workflow("w", templates=[future])
    wf.stage("sea", unchanged, init=first, span=span(START, END - START, "1YS"))
    wf.rule("r", when="sea", then=then)
    return wf


def added(count: int) -> Callable[[Committed], list[Edit]]:
    """Return a rule that adds so many simulations."""

    def then(committed: Committed) -> list[Edit]:
        return [
            AddSimulation(
                template="future",
                scenario=co.Scenario(f"m{i:05d}", params={"member": i}),
            )
            for i in range(count)
        ]

    return then


def extended(years: int) -> Callable[[Committed], list[Edit]]:
    """Return a rule that moves the end by so many segments."""

    def then(committed: Committed) -> list[Edit]:
        return [MoveEnd(stage="sea", end=f"{END + years:05d}-01-01")]

    return then


SHAPES: dict[str, Callable[[int], Workflow]] = {
    "simulations of one segment": lambda n: flow(added(n), 1),
    "simulations of a hundred segments": lambda n: flow(added(n // 100), 100),
    "segments of one stage": lambda n: flow(extended(n), 1),
}
"""How the new nodes are cut, and a workflow of so many."""


def begun(wf: Workflow) -> list[e.Fact]:
    """Return what is journaled of a simulation that is committed to its end."""
    scenario = co.Scenario("s")
    plan = make_plan(wf, scenario)
    return [
        e.SimulationSubmitted(simulation="s", scenario=scenario, plan=plan),
        e.CheckpointCommitted(
            simulation="s", set="sea", boundary=1, attempt=0, seconds=1.0
        ),
    ]


def measured(wf: Workflow) -> dict[str, float]:
    """Return CPU seconds of one answer, and of deciding on it."""
    state = CampaignState()
    for record in begun(wf):
        apply(state, record, 0.0)
    workflows = {t.name: t for t in (wf, *wf.templates)}
    command = c.EvaluateRule(simulation="s", rule="r", at=1)
    gc.collect()
    begin_s = time.thread_time()
    answer = evaluate_rule(state, workflows, command)
    row = encode_record(answer)
    apply(state, answer, 2.0)
    end_s = time.thread_time()
    assert isinstance(answer, e.RuleEvaluated)
    nodes = [e.NodeJoined(node=f"n{i}", cores=1, memory_bytes=0) for i in range(100)]
    Orchestrator(Policies(), state).handle(nodes, 3.0)
    decided_s = time.thread_time()
    found = sum(s.plan.stages[0].segments for s in state.simulations.values()) - 1
    return {
        "cpu_s": end_s - begin_s,
        "decide_cpu_s": decided_s - end_s,
        "row_bytes": float(len(row)),
        "new_nodes": float(found),
    }


def replayed(wf: Workflow) -> bool:
    """Whether the answer of a rule replays from its bytes to the same state."""
    state, again = CampaignState(), CampaignState()
    for record in begun(wf):
        apply(state, record, 0.0)
        apply(again, decode_record(encode_record(record)), 0.0)
    command = c.EvaluateRule(simulation="s", rule="r", at=1)
    workflows = {t.name: t for t in (wf, *wf.templates)}
    answer = evaluate_rule(state, workflows, command)
    apply(state, answer, 1.0)
    apply(again, decode_record(encode_record(answer)), 1.0)
    return state == again


def main(arguments: list[str] | None = None) -> int:
    """Measure; 0: every shape is below the bar and replays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three times, not nine")
    times = 3 if parser.parse_args(arguments).quick else 9
    bad = 0
    for name, make in SHAPES.items():
        wf = make(NEW)
        runs = [measured(wf) for _ in range(times)]
        told: dict[str, Any] = {
            "shape": name,
            "new_nodes": runs[0]["new_nodes"],
            "cpu_s": round(statistics.median(r["cpu_s"] for r in runs), 3),
            "decide_cpu_s": round(
                statistics.median(r["decide_cpu_s"] for r in runs), 3
            ),
            "row_bytes": runs[0]["row_bytes"],
            "replays": replayed(wf),
        }
        print(json.dumps(told))
        bad += not told["replays"] or told["cpu_s"] >= BAR_S
        bad += told["new_nodes"] != NEW
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
