"""Every fact, command and decision survives the journal."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Branch, RulePlan, SimulationPlan, StagePlan
from climorch.model.scenario import Project, Scenario

PLAN = SimulationPlan(
    workflow="w",
    stages=(StagePlan(name="a", calendar="noleap", boundaries=(0, 1)),),
    rules=(RulePlan(name="r", when="a"),),
    params={"co2": 560.0},
)
SUBMITTED = e.SimulationSubmitted(
    simulation="child",
    scenario=Scenario("child"),
    plan=PLAN,
    branch=Branch(simulation="m01", rule="r"),
)
VALUES: dict[str, Any] = {
    "added": (SUBMITTED,),
    "attempt": 2,
    "boundary": 3,
    "campaign": "c",
    "cause": e.Cause.NOT_DURABLE,
    "cores": 4,
    "epoch": 1,
    "host": "h",
    "lost_s": 1.5,
    "message": "m",
    "node": "n0",
    "nodes": 2,
    "pid": 9,
    "plan": PLAN,
    "priority": -1,
    "project": Project("p"),
    "reason": "r",
    "rule": "r",
    "rung": "init",
    "scenario": Scenario("s", params={"a": [1, None]}),
    "seconds": 0.25,
    "segment": 5,
    "segments": 6,
    "set": "a",
    "simulation": "s",
    "stage": "a",
    "version": "1",
    "why": "w",
}
KINDS = get_args(c.Record)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_record_is_read_back_as_it_was_written(kind: type[msgspec.Struct]) -> None:
    """Encoding and decoding give an equal value of the same type."""
    record = kind(
        **{
            f.name: ("n0", "n1") if kind is c.SetLease and f.name == "nodes" else value
            for f in msgspec.structs.fields(kind)
            if f.required
            for value in [VALUES[f.name]]
        }
    )
    again = c.decode_record(c.encode_record(record))  # type: ignore[arg-type]

    assert again == record
    assert type(again) is kind


def test_the_type_stands_in_the_payload() -> None:
    """A row of the journal can be read without this library."""
    assert c.encode_record(e.StopRequested()) == b'{"type":"StopRequested"}'
    assert c.encode_record(e.NodeLost(node="n0")) == (
        b'{"type":"NodeLost","node":"n0","reason":""}'
    )


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b'{"type":"Unheard"}', b'{"type":"NodeLost"}']
)
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    """A payload of another version or none raises when it is decoded."""
    with pytest.raises(msgspec.MsgspecError):
        c.decode_record(payload)


def test_records_cannot_be_changed() -> None:
    """What was journaled stays what it was."""
    with pytest.raises(AttributeError, match="immutable type"):
        e.NodeLost(node="n0").node = "n1"  # type: ignore[misc]


def test_every_cause_has_a_name_of_its_own() -> None:
    """Causes are told apart by their text in the journal."""
    assert len({cause.value for cause in e.Cause}) == len(e.Cause) == 8
