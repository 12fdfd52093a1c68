"""A campaign with rules in virtual time, on a real journal, killed at durable writes.

Its arguments are an empty folder and, if the driver is to have
a fault, "forgetful": it takes no answer for journaled. Each passage of the journal's
append that holds a question or an answer of a rule is a moment to die, before
it and after it. Prints JSON: how many moments there were, and what differed from the
undisturbed campaign. Forks, so it must be a process of one thread.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.ports import Row
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import events as e
from climorch.model.commands import decode_record
from climorch.model.edits import (
    AddSimulation,
    AddStage,
    Committed,
    Edit,
    MoveEnd,
    SetPriority,
)
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process
from climorch.twin.costs import Amdahl, Costs
from climorch.twin.driver import Twin
from climorch.twin.site import TwinSite
from tests.twin.deaths import Death, killed, row_of
from tests.unit.core.script import UNLIMITED

NAMES = ("s", "t")
TOLD = ("EvaluateRule", "RuleEvaluated", "RuleFailed")
DAY_S = 86_400.0


def years(start: int, end: int) -> Span:
    """Return a span of one segment a year."""
    return Span(f"{start}-01-01", f"{end}-01-01", every="1YS", calendar="noleap")


def steer(committed: Committed) -> Iterable[Edit]:
    """A branch from the middle, two more years and a stage at the end."""
    if committed.segments == 2:
        name = f"{committed.simulation}-branch"
        yield AddSimulation(template="future", scenario=Scenario(name))
        yield SetPriority(priority=committed.segments)
    if committed.segments == 4:
        yield MoveEnd(stage="sea", end="2006-01-01")
        # From its new end on, to its own: two years.
        yield AddStage(stage="late")


def faulty(committed: Committed) -> Iterable[Edit]:
    """Raise, always."""
    raise KeyError(committed.stage)


def unchanged(state: Any, inputs: Any, segment: Any) -> Any:
    """Change nothing; never called in virtual time."""
    return state


def flow() -> Workflow:
    """Four years of sea, then two of ice; one rule that steers, one that raises."""
    future = Workflow("future")
    future.stage("sea", unchanged, span=years(2002, 2004))
    wf = Workflow("w", templates=[future])
    for name, end in (("sea", 2004), ("dry", 2003)):
        wf.stage(
            name,
            unchanged,
            init=xr.Dataset(),
            span=years(2000, end),
        )
    wf.stage(
        "late",
        unchanged,
        init=xr.Dataset(),
        span=years(2004, 2008),
        after=["sea"],
        on_demand=True,
    )
    # Ends after two of its four years; what comes after it lasts as long as declared.
    wf.stage(
        "spin",
        unchanged,
        init=xr.Dataset(),
        span=years(1996, 2000),
        until=lambda course: course.segments >= 2,
    )
    wf.stage(
        "spun",
        unchanged,
        init=xr.Dataset(),
        span=years(2000, 2002),
        after=["spin"],
        begins="shifted",
    )
    wf.rule("steer", when="sea", then=steer, on="commit")
    wf.rule("bad", when="dry", then=faulty)
    return wf


def of_rules(row: Row) -> bool:
    """Whether a row holds something of a rule."""
    return row.kind in TOLD


def drive(folder: Path, death: Death, *, forgetful: bool = False) -> CampaignState:
    """Run the campaign, or go on with it, as a driver does."""
    wf = flow()
    workflows = {t.name: t for t in (wf, *wf.templates)}
    journal = SqliteJournal.open(
        folder / "j",
        campaign="c",
        owner=this_process(),
        now_s=time.time(),
        ballast_bytes=0,
    )
    limits = UNLIMITED
    policies = Policies(checkpointing=EverySegments(count=1), limits=limits)
    orchestrator = Orchestrator(policies)
    orchestrator.replay((decode_record(r.payload), r.now_s) for r in journal.read())
    state = orchestrator.state
    if forgetful:
        for simulation in state.simulations.values():
            simulation.rules_done.clear()
    begin_s = state.now_s + 1.0

    def note(outcome: Outcome, now_s: float) -> None:
        death.append(journal, [row_of(record, now_s) for record in outcome.records])

    started = e.DriverStarted(epoch=journal.epoch, host="h", pid=os.getpid())
    facts: list[e.Fact] = [started]
    if not state.simulations:
        facts += [
            e.SimulationSubmitted(
                simulation=name,
                scenario=Scenario(name),
                plan=make_plan(wf, Scenario(name)),
            )
            for name in NAMES
        ]
    twin = Twin(
        orchestrator,
        TwinSite(nodes=3, costs=Costs(default=Amdahl(seconds=600.0))),
        begin_s=begin_s,
        rules=lambda known, command: evaluate_rule(known, workflows, command),
        watcher=note,
    )
    twin.post(*facts)
    twin.run(300 * DAY_S)
    assert twin.ended
    journal.close()
    return state


def outcome(folder: Path, state: CampaignState) -> dict[str, Any]:
    """Return all that rules made of a campaign, and what was answered twice."""
    with closing(SqliteJournal.open_readonly(folder / "j")) as journal:
        records = [decode_record(row.payload) for row in journal.read()]
    answers = Counter(
        f"{r.simulation} {r.rule} {r.at}"
        for r in records
        if isinstance(r, e.RuleEvaluated)
    )
    return {
        "twice": sorted(key for key, count in answers.items() if count > 1),
        "answers": sorted(answers),
        "simulations": {
            s.name: [
                repr(s.plan),
                repr(s.branch),
                repr(s.edits),
                s.priority,
                s.status.value,
                repr(sorted(s.rule_faults.items())),
                repr({name: sorted(own.commits) for name, own in s.sets.items()}),
            ]
            for s in sorted(state.simulations.values(), key=lambda s: s.name)
        },
    }


def main(root: Path, *, forgetful: bool) -> dict[str, Any]:
    """Let it die everywhere; say what differs."""
    calm = root / "calm"
    calm.mkdir()
    death = Death(-1, after=False, counts=of_rules)
    wanted = outcome(calm, drive(calm, death))
    differing, alive = [], []
    for number in range(3 if forgetful else death.passed):
        for after in (False, True):
            folder = root / f"{number}-{after}"
            folder.mkdir()
            dying = Death(number, after=after, counts=of_rules)
            if not killed(partial(drive, folder, dying)):
                alive.append([number, after])
            again = drive(folder, Death(-1, after=False), forgetful=forgetful)
            found = outcome(folder, again)
            if found != wanted:
                differing.append([number, after, found])
    return {
        "moments": 2 * death.passed,
        "alive": alive,
        "differing": differing,
        "wanted": wanted,
    }


if __name__ == "__main__":
    folder, *flags = sys.argv[1:]
    told = main(Path(folder), forgetful="forgetful" in flags)
    print(json.dumps(told))  # noqa: T201 - read by the test
