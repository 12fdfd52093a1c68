"""What is told in one gives the state that the facts one by one give."""

from __future__ import annotations

import copy

from climorch.core.progress import Policies
from climorch.core.state import Phase, SetState
from climorch.model import events as e
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, stage, submitted

# All that decisions go by; clocks of commits and who published them apart.
FIELDS = (
    "phase",
    "attempt",
    "done",
    "running",
    "started_s",
    "planned",
    "checkpoint",
    "since_s",
    "from_boundary",
    "seconds",
    "pace_s",
    "shown",
    "writing",
    "cost_s",
    "committed_segments",
    "newest",
    "copies",
    "committed",
    "reached",
)


def begun() -> Script:
    """Let the second of many segments be computed, the first be committed."""
    script = Script(Policies(checkpointing=EverySegments(), full_every=3))
    script.nodes("n")
    script.tell(submitted(stage(boundaries=range(30))))
    script.restored()
    script.finished(0)
    script.committed(1)
    script.published(1)
    return script


def looks(s: SetState) -> dict[str, object]:
    """Return what must be equal."""
    return {name: getattr(s, name) for name in FIELDS}


def test_segments_and_checkpoints_are_the_same_as_one_by_one() -> None:
    """Five segments, each with its checkpoint; the last of which is under way."""
    script = begun()
    state = copy.deepcopy(script.orchestrator.state)
    other = Script(script.policies)
    other.orchestrator.state = state
    written = []
    for segment in range(1, 6):
        script.finished(segment)
        if segment < 5:
            full = script.set().copies < 2 and segment == 3
            fact = script.commit(segment + 1)
            script.tell(
                e.CheckpointCommitted(
                    simulation="s",
                    set="a",
                    boundary=segment + 1,
                    attempt=fact.attempt,
                    seconds=fact.seconds,
                    cost_s=fact.cost_s,
                    independent=full,
                )
            )
            script.published(segment + 1)
            written.append(
                e.Written(
                    boundary=segment + 1,
                    committed_s=script.set().commits[segment + 1].committed_s,
                    seconds=3.0,
                    independent=full,
                )
            )
    s = script.set()

    other.tell(advanced_to(s, tuple(written)))

    told = other.set()
    assert looks(told) == looks(s)
    assert [c.copy for c in told.commits.values()] == [1, 1, 1, 2, 2]
    assert {
        b: (c.committed_s, c.copy, c.published) for b, c in told.commits.items()
    } == {b: (c.committed_s, c.copy, c.published) for b, c in s.commits.items()} | {
        1: (told.commits[1].committed_s, 1, True)
    }
    assert other.simulation().fruitful


def advanced_to(s: SetState, written: tuple[e.Written, ...]) -> e.SetAdvanced:
    """Make the fact that five segments were computed up to where a set stands."""
    return advanced(
        seconds={"a": (10.0,) * 5},
        running={"a": s.started_s["a"]},
        planned=s.planned,
        why=s.planned_why,
        checkpoint=6,
        since_s=s.since_s,
        from_boundary=6,
        written=written,
        cost_s=2.0,
    )


def advanced(attempt: int = 1, **more: object) -> e.SetAdvanced:
    """Make the fact that one segment was computed."""
    given: dict[str, object] = {
        "simulation": "s",
        "set": "a",
        "attempt": attempt,
        "seconds": {"a": (9.0,)},
        "nodes": 1,
        "running": {"a": 20.0},
        "since_s": 5.0,
        "from_boundary": 1,
        **more,
    }
    return e.SetAdvanced(**given)  # type: ignore[arg-type]


def test_what_is_told_in_one_leads_to_no_decision() -> None:
    """All that was to be decided is part of it."""
    assert begun().tell(advanced()) == []


def test_deleted_checkpoints_are_gone_and_counted() -> None:
    """One that was gone already is counted once."""
    script = begun()
    written = tuple(
        e.Written(boundary=b, committed_s=1.0, seconds=2.0, independent=True)
        for b in (2, 3)
    )
    script.tell(advanced(seconds={"a": (9.0, 9.0)}, written=written, deleted=(1, 7)))
    assert list(script.set().commits) == [2, 3]
    assert script.set().deleted == 1
    assert script.set().seconds == {}


def test_a_stage_of_which_nothing_is_told_stays_where_it_is() -> None:
    """Only its checkpoint was written meanwhile."""
    script = begun()
    before = copy.deepcopy(script.set())
    script.tell(advanced(seconds={"a": ()}, running={"a": 8.0}))
    after = script.set()
    assert (after.done, after.pace_s, after.shown) == (
        before.done,
        before.pace_s,
        before.shown,
    )
    assert after.started_s == {"a": 8.0}


def test_what_an_old_attempt_did_changes_nothing() -> None:
    """Nor what is told of a simulation that nobody knows, or that broke."""
    script = begun()
    before = copy.deepcopy(script.set())
    script.tell(advanced(attempt=0))
    script.tell(advanced(simulation="x"))
    assert script.set() == before
    script.failed(1, e.Cause.MODEL)
    assert script.set().phase is not Phase.ACTIVE
    done = dict(script.set().done)
    script.tell(advanced())
    assert script.set().done == done


def test_a_stage_that_has_shown_nothing_yet_has_no_pace() -> None:
    """Nothing is learned of nothing."""
    script = Script()
    script.nodes("n")
    script.tell(submitted(stage(boundaries=range(30))))
    script.restored()
    script.tell(advanced(seconds={"a": ()}, from_boundary=0))
    assert (script.set().pace_s, script.set().done) == ({}, {"a": 0})
