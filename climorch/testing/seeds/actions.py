"""What users and machine rooms do in mid-flight, given how the campaign stands."""

from __future__ import annotations

import msgspec

from climorch.core.state import CampaignState, Control, SimulationState
from climorch.model import events as e
from climorch.model.events import Fact
from climorch.model.plan import SimulationPlan
from climorch.model.resources import Resources
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.seeds.case import Extend, Rot
from climorch.testing.strategies import COARSE_S

__all__ = [
    "calming",
    "child_of",
    "extended",
    "found_late",
    "half_deleted",
    "is_known",
    "moved_end",
    "rotten",
    "scrubbed",
]

Place = tuple[str, str, int]


def moved_end(
    state: SimulationState, *, more: int, nodes: int
) -> SimulationPlan | None:
    """Plan the same with another end and gang, where that may be asked for.

    Parameters
    ----------
    state : SimulationState
        Of a plan that was drawn.
    more, nodes : int
        Coarse segments more, or less; nodes of each stage.
    """
    stages = []
    for stage in state.plan.stages:
        s = state.sets[state.plan.set_of[stage.name]]
        end = stage.boundaries[-1] + more * COARSE_S
        committed = s.plan.commons[max(s.commits, default=0)]
        if stage.after or end < max(COARSE_S, committed):
            return None
        length = stage.boundaries[1] - stage.boundaries[0]
        stages.append(
            msgspec.structs.replace(
                stage,
                boundaries=tuple(range(0, end + 1, length)),
                resources=Resources(nodes=nodes, max_nodes=nodes + 1),
            )
        )
    return msgspec.structs.replace(state.plan, stages=tuple(stages))


def extended(
    state: CampaignState, event: Extend, *, most_nodes: int
) -> e.SimulationChanged | None:
    """Submit a simulation again; None where that may not be asked for."""
    simulation = state.simulations.get(event.simulation)
    if simulation is None:
        return None
    plan = moved_end(simulation, more=event.more, nodes=event.nodes)
    if plan is None or plan.nodes > most_nodes:
        return None
    return e.SimulationChanged(
        simulation=simulation.name, scenario=simulation.scenario, plan=plan
    )


def rotten(
    state: CampaignState, disk: FakeDisk, event: Rot
) -> tuple[str, str, int] | None:
    """Choose the checkpoint that goes bad; None where there is none."""
    there = [
        (simulation.name, s.name, boundary)
        for simulation, s in state.sets()
        for boundary in sorted(disk.of(simulation.name, s.name), reverse=True)
    ]
    return there[event.pick % len(there)] if there else None


def child_of(
    state: CampaignState, simulation: str, rule: str
) -> e.SimulationSubmitted | None:
    """Answer of every rule: a copy of the plan, without its rules."""
    parent = state.simulations[simulation]
    if parent.branch is not None:
        return None
    name = f"{simulation}-{rule}"
    plan = msgspec.structs.replace(parent.plan, rules=())
    scenario = msgspec.structs.replace(parent.scenario, name=name)
    return e.SimulationSubmitted(simulation=name, scenario=scenario, plan=plan)


def calming(state: CampaignState) -> list[Fact]:
    """Undo whatever holds nodes and simulations back."""
    return [
        *(e.UndrainRequested(node=node) for node in sorted(state.draining)),
        *(e.WindowWithdrawn(name=name) for name in sorted(state.windows)),
        *(
            e.ResumeRequested(simulation=s.name)
            for s in state.simulations.values()
            if s.control is Control.PAUSED
        ),
    ]


def scrubbed(place: Place) -> e.CheckpointScrubbed:
    """Tell that a scrub found a checkpoint damaged."""
    simulation, name, boundary = place
    return e.CheckpointScrubbed(
        simulation=simulation,
        set=name,
        boundary=boundary,
        bad=("made to",),
        damaged=True,
    )


def found_late(place: Place, attempt: int) -> e.CheckpointCommitted:
    """Tell of a checkpoint that was committed, and of which nobody had heard."""
    simulation, name, boundary = place
    return e.CheckpointCommitted(
        simulation=simulation,
        set=name,
        boundary=boundary,
        attempt=attempt,
        seconds=0.0,
        independent=False,
    )


def half_deleted(state: CampaignState, lives: int) -> list[e.CheckpointDeleted]:
    """Say which deletions that were under way a dead driver had done."""
    return [
        e.CheckpointDeleted(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            attempt=commit.attempt,
        )
        for serial, (simulation, s) in enumerate(state.sets())
        for boundary, commit in s.commits.items()
        if commit.deleting and (serial + lives) % 2
    ]


def is_known(state: CampaignState, fact: Fact) -> bool:
    """Tell whether there is what a fact is about."""
    asked = fact.wish if isinstance(fact, e.WishTaken) else fact
    about = getattr(asked, "simulation", None)
    new = isinstance(fact, e.SimulationSubmitted)
    return about is None or new or about in state.simulations
