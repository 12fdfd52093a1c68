"""What a script declares and the journal does not have."""

from __future__ import annotations

import pytest

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError
from climorch.intake.submissions import Submissions
from climorch.model.events import ProjectDeclared
from climorch.model.scenario import Project

POTSDAM = Project("potsdam", share=2.0, budget_node_hours=50_000.0)


def knowing(*projects: Project) -> CampaignState:
    """Make a state in which projects are declared."""
    state = CampaignState()
    for project in projects:
        apply(state, ProjectDeclared(project=project), 0.0)
    return state


@pytest.mark.parametrize(
    "before",
    [
        (),
        (Project("potsdam"),),
        (Project("potsdam", share=2.0),),
        (Project("potsdam", share=2.0, budget_node_hours=40_000.0),),
        (Project("potsdam", share=3.0, budget_node_hours=50_000.0),),
        (Project("potsdam", institution="P", share=2.0, budget_node_hours=50_000.0),),
    ],
)
def test_a_project_declared_otherwise_is_an_edit(before: tuple[Project, ...]) -> None:
    """Another share, budget or institution is journaled, and holds from then on."""
    state = knowing(*before, Project("other"))
    submissions = Submissions([POTSDAM])
    facts = submissions.news(state)
    for fact in facts:
        apply(state, fact, 1.0)

    assert facts == [ProjectDeclared(project=POTSDAM)]
    assert state.projects["potsdam"] == POTSDAM
    assert submissions.news(state) == []


def test_what_is_declared_as_before_is_no_news() -> None:
    """Running the script again with the same projects journals nothing."""
    assert Submissions([POTSDAM]).news(knowing(POTSDAM)) == []


def test_the_default_project_may_have_a_share() -> None:
    """The project that is always there can be declared like any other."""
    default = Project("default", share=3.0)

    assert Submissions([default]).news(CampaignState()) == [
        ProjectDeclared(project=default)
    ]


def test_every_fault_of_the_projects_is_told_at_once() -> None:
    """Doubles and institutions that belong to another one are refused together."""
    with pytest.raises(
        InvalidInputError, match="these projects cannot share"
    ) as caught:
        Submissions(
            [
                Project("a"),
                Project("a", share=2.0),
                Project("P", institution="Q"),
                Project("b", institution="P"),
                Project("R", institution="R"),
                Project("c", institution="R"),
            ]
        )

    assert [(fault.place, fault.problem) for fault in caught.value.faults] == [
        ("project 'a'", "it is declared 2 times"),
        (
            "project 'P', institution",
            "it is an institution itself and belongs to 'Q'; there are two levels",
        ),
    ]
