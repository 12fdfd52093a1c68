"""Shapes of dependencies in virtual time, each killed at durable writes on its way.

Its only argument is an empty folder. Each shape runs on a real journal, whose driver
dies before or after every so-manieth append. Prints JSON: by shape how many deaths
there were and what differed from the undisturbed one; and as "forgetful" the same of
a shape whose driver takes no answer for journaled. Forks, so it must be a process of
one thread.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import decode_record
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants.auditor import Auditor
from climorch.twin.costs import Amdahl, Costs
from climorch.twin.driver import Twin
from climorch.twin.site import TwinSite
from tests.shapes import BROKEN, NAME, SHAPES, Shape
from tests.twin.deaths import Death, killed, row_of
from tests.unit.core.script import UNLIMITED

EACH = 5
"""Every so-manieth append is a moment to die, before it and after it in turn."""

DAY_S = 86_400.0


def drive(
    folder: Path, shape: Shape, death: Death, *, forgetful: bool = False
) -> CampaignState:
    """Run a shape, or go on with it, as a driver does."""
    wf = shape.build()
    journal = SqliteJournal.open(
        folder / "j",
        campaign="c",
        owner=this_process(),
        now_s=time.time(),
        ballast_bytes=0,
    )
    orchestrator = Orchestrator(
        Policies(
            checkpointing=EverySegments(count=1),
            retention=KeepLast(count=100),
            limits=UNLIMITED,
        )
    )
    orchestrator.replay((decode_record(r.payload), r.now_s) for r in journal.read())
    state = orchestrator.state
    if forgetful:
        for simulation in state.simulations.values():
            simulation.rules_done.clear()
    facts: list[e.Fact] = [
        e.DriverStarted(epoch=journal.epoch, host="h", pid=os.getpid())
    ]
    if not state.simulations:
        scenario = Scenario(NAME)
        facts.append(
            e.SimulationSubmitted(
                simulation=NAME, scenario=scenario, plan=make_plan(wf, scenario)
            )
        )

    def note(outcome: Outcome, now_s: float) -> None:
        death.append(journal, [row_of(record, now_s) for record in outcome.records])
        for command in outcome.commands:
            if isinstance(command, c.StartSegment) and _breaks(command):
                twin.post(_broken(command), after_s=now_s - twin.begin_s + 60.0)

    twin = Twin(
        orchestrator,
        TwinSite(nodes=3, costs=Costs(default=Amdahl(seconds=600.0))),
        begin_s=state.now_s + 1.0,
        rules=lambda known, command: evaluate_rule(known, {wf.name: wf}, command),
        watcher=note,
    )
    twin.post(*facts)
    twin.run(300 * DAY_S)
    assert twin.ended
    journal.close()
    return state


def _breaks(command: c.StartSegment) -> bool:
    return (command.stage, command.segment) == BROKEN


def _broken(command: c.StartSegment) -> e.SegmentFailed:
    return e.SegmentFailed(
        simulation=command.simulation,
        stage=command.stage,
        segment=command.segment,
        attempt=command.attempt,
        cause=e.Cause.MODEL,
        message="made to fail",
    )


def outcome(folder: Path, state: CampaignState) -> dict[str, Any]:
    """Return what became of a shape, once the auditor has read how."""
    journal = SqliteJournal.open_readonly(folder / "j")
    records = [decode_record(row.payload) for row in journal.read()]
    journal.close()
    auditor = Auditor(FakeDisk())
    for record in records:
        auditor.take(record)
    (simulation,) = state.simulations.values()
    answers = [f"{r.rule} {r.at}" for r in records if isinstance(r, e.RuleEvaluated)]
    return {
        "status": simulation.status.value,
        "segments": {
            stage.name: simulation.committed_segments.get(stage.name, 0)
            for stage in simulation.plan.stages
        },
        "boundaries": {s.name: list(s.boundaries) for s in simulation.plan.stages},
        "commits": {n: sorted(s.commits) for n, s in simulation.sets.items()},
        "lacks": [n for n, s in simulation.sets.items() if s.dropped is not None],
        "edits": repr(simulation.edits),
        "answers": sorted(answers),
    }


def table_row(root: Path, shape: Shape, *, forgetful: bool) -> dict[str, Any]:
    """Let the driver of a shape die on its way; say what differs."""
    calm = root / "calm"
    calm.mkdir(parents=True)
    death = Death(-1, after=False)
    wanted = outcome(calm, drive(calm, shape, death))
    deaths, alive, differing = 0, [], []
    for number in range(1, death.passed, EACH):
        after = bool(deaths % 2)
        folder = root / f"{number}-{after}"
        folder.mkdir()
        dying = Death(number, after=after)
        if not killed(partial(drive, folder, shape, dying)):
            alive.append([number, after])
        again = drive(folder, shape, Death(-1, after=False), forgetful=forgetful)
        found = outcome(folder, again)
        if found != wanted:
            differing.append([number, after, found])
        deaths += 1
    return {"deaths": deaths, "alive": alive, "differing": differing, "wanted": wanted}


def main(root: Path) -> dict[str, Any]:
    """Go through the table, then through one shape of it with a faulty driver."""
    found = {
        name: table_row(root / name, shape, forgetful=False)
        for name, shape in SHAPES.items()
    }
    faulty = table_row(root / "forgetful", SHAPES["extended"], forgetful=True)
    return found | {"forgetful": faulty}


if __name__ == "__main__":
    told = main(Path(sys.argv[1]))
    print(json.dumps(told))  # noqa: T201 - read by the test
