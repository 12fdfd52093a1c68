"""What a virtual site leaves open is taken from what was measured."""

from __future__ import annotations

import pytest

from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.twin.costs import Amdahl, Costs, Overheads, Work
from climorch.twin.learning import Measured, learn
from climorch.twin.site import TwinSite
from tests.unit.core.script import Script, submitted
from tests.unit.twin.stage import stage

SITE = TwinSite(nodes=4)


def measured(*, nodes: int = 1, most: int | None = None, up: int = 1) -> CampaignState:
    """Make the state of a campaign that computed a segment in ten seconds."""
    script = Script()
    script.nodes(*(f"n{i}" for i in range(up)))
    script.tell(submitted(stage(segments=5, nodes=nodes, most=most)))
    script.restored()
    script.finished(0)
    return script.orchestrator.state


def workflow(name: str, *stages: str, templates: tuple[Workflow, ...] = ()) -> Workflow:
    """Declare a workflow; those with templates have a rule."""
    made = Workflow(name, templates=templates)
    for each in stages:
        made.stage(
            each, lambda s, i, g: s, span=Span("2000-01-01", "2001-01-01", every="1YS")
        )
    if templates:
        made.rule("branch", when=stages[0], then=lambda committed: [])
    return made


def test_segments_take_as_long_as_they_did() -> None:
    """Its own pace for who was measured, the mean for who was not."""
    site = learn(SITE, measured(), [submitted(stage(), name="new")], {})

    assert site.costs is not None
    cost = site.costs.of("w", "a")
    assert cost == Measured(own={"s": 10.0}, mean=10.0)
    assert cost(Work("s", "w", "a", 3, 1, {}), 2) == 5.0
    assert cost(Work("new", "w", "a", 0, 1, {}), 1) == 10.0


def test_a_pace_of_nothing_is_no_measurement() -> None:
    """A clock that is too coarse says nothing about a segment."""
    state = measured()
    state.simulations["s"].sets["a"].pace_s["a"] = 0.0

    with pytest.raises(InvalidInputError, match="no segment of it was ever measured"):
        learn(SITE, state, [], {})


def test_a_pace_on_a_wide_lease_is_brought_to_the_nodes_asked_for() -> None:
    """Ten seconds on four nodes of which two were asked for: twenty on two."""
    site = learn(SITE, measured(nodes=2, most=4, up=4), [], {})

    assert site.costs is not None
    cost = site.costs.of("w", "a")
    assert cost == Measured(own={"s": 20.0}, mean=20.0)


def test_what_the_user_says_goes_before_what_was_measured() -> None:
    """For costs and for overheads; noise and drift stay as given."""
    own = Amdahl(seconds=99.0)
    costs = Costs(stages={("w", "a"): own}, noise_cv=0.2)
    overheads = Overheads(checkpoint_s=7.0)

    site = learn(
        TwinSite(nodes=1, costs=costs, overheads=overheads), measured(), [], {}
    )

    assert site.costs == costs
    assert site.overheads is overheads


def test_stages_that_nobody_measured_are_named_all_at_once() -> None:
    """One clear error, with every stage that may run."""
    with pytest.raises(InvalidInputError) as error:
        learn(SITE, CampaignState(), [submitted(stage("a"), stage("b"))], {})

    assert [fault.place for fault in error.value.faults] == [
        "workflow 'w', stage 'a'",
        "workflow 'w', stage 'b'",
    ]


def test_what_is_complete_needs_no_cost() -> None:
    """Only what may still run is asked for."""
    script = Script()
    script.nodes("n")
    script.tell(submitted(stage(segments=1)))
    script.restored()
    script.finished(0)
    script.committed(1)
    state = script.orchestrator.state
    state.simulations["s"].sets["a"].pace_s.clear()

    assert learn(SITE, state, [], {}).costs == Costs()


def test_templates_of_rules_to_come_need_a_cost() -> None:
    """Also those of their own templates, and none twice."""
    leaf = workflow("leaf", "c")
    branch = workflow("branch", "b", templates=(leaf,))
    root = workflow("w", "a", templates=(branch,))
    fact = submitted(stage("a"), rules=[("branch", "a")])
    site = TwinSite(nodes=1, costs=Costs(stages={("w", "a"): Amdahl(seconds=1.0)}))

    with pytest.raises(InvalidInputError) as error:
        learn(site, CampaignState(), [fact], {"w": root, "branch": branch})

    assert [fault.place for fault in error.value.faults] == [
        "workflow 'branch', stage 'b'",
        "workflow 'leaf', stage 'c'",
    ]


def test_checkpoints_cost_what_they_did() -> None:
    """Written in three seconds, of which two were lost to computing."""
    script = Script()
    script.nodes("n")
    script.tell(submitted(stage(segments=5)))
    script.restored()
    script.finished(0)
    script.committed(1)

    site = learn(SITE, script.orchestrator.state, [], {})

    assert site.overheads == Overheads(
        checkpoint_s=3.0, stall_s=2.0, restore_s=3.0, init_s=3.0
    )
    assert learn(SITE, measured(), [], {}).overheads == Overheads()
