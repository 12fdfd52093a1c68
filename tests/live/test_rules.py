"""Rules that change a campaign while it runs: moved ends, branches from the past."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from climorch import AddSimulation, Campaign, Scenario
from climorch.model import events as e
from climorch.model.edits import Committed, Edit
from climorch.model.workflow import Workflow
from climorch.rules import MoveEnd
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import (
    NoSite,
    continued,
    ended,
    here,
    kinds,
    last,
    policies,
    records,
    same,
    series,
)


def go_on(committed: Committed) -> Iterable[Edit]:
    """Another course from the first commit on, and two more years at the end."""
    if not committed.complete and committed.scenario.name == "s":
        name = f"from-{committed.segments}"
        yield AddSimulation(template=name, scenario=Scenario(f"other-{name}"))
    elif committed.segments == 4:
        yield MoveEnd(stage="sea", end="2006-01-01")


def flow() -> Workflow:
    """Four years of two boxes, with the rule."""
    pasts = [continued(f"from-{k}", year=2000 + k, segments=3) for k in range(1, 6)]
    wf = box_workflow(segments=4, templates=tuple(pasts))
    wf.rule("extend", when="sea", then=go_on, on="commit")
    return wf


def test_a_rule_extends_its_stage_and_branches_from_an_earlier_checkpoint(
    tmp_path: Path,
) -> None:
    """Both courses end bitwise as computed by hand; the script run again finds both."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=1))
    campaign.submit(flow(), scenario=Scenario("s"))

    assert campaign.run(here(2)).finished

    assert same(ended(campaign, "s"), reference_run("s", segments=6))
    found = records(campaign)
    answers = kinds(found, e.RuleEvaluated)
    others = [added for fact in answers for added in fact.added]
    assert others
    for added in others:
        branch = added.branch.boundaries["air"]
        start = reference_run("s", segments=branch)
        wanted = last(series(added.simulation, 3, start=start))
        assert same(ended(campaign, added.simulation), wanted)
    # Asked once at each commit, and at both ends.
    asked = [fact.at for fact in answers]
    assert asked == sorted(set(asked))
    assert {4, 6} <= set(asked)
    edits = campaign.explain("s").factors["edits by rules"]
    assert "extend at 4: end 'sea' at 2006-01-01" in edits
    assert campaign.results("s", "sea").sizes["time"] == 6

    again = Campaign("c", root=tmp_path, policies=policies(every=1))
    again.submit(flow(), scenario=Scenario("s"))
    assert again.run(NoSite(nodes=2)).finished
    assert kinds(records(again)[len(found) :], e.SimulationChanged) == []
