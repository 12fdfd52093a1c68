"""Every fact, command and decision survives the journal."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from climorch.model import commands as c
from climorch.model import events as e
from tests.unit.model.examples import KINDS, example


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_record_is_read_back_as_it_was_written(kind: type[msgspec.Struct]) -> None:
    """Encoding and decoding give an equal value of the same type."""
    record = example(kind)
    again = c.decode_record(c.encode_record(record))

    assert again == record
    assert type(again) is kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_commands_are_told_from_facts_and_decisions(kind: type[msgspec.Struct]) -> None:
    """A command is what the union of commands names, and nothing else is one."""
    assert c.is_command(example(kind)) is (kind in get_args(c.Command))


def test_the_type_stands_in_the_payload() -> None:
    """A row of the journal can be read without this library."""
    assert c.encode_record(e.StopRequested()) == b'{"type":"StopRequested"}'
    assert c.encode_record(e.NodeLost(node="n0")) == (
        b'{"type":"NodeLost","node":"n0","reason":"","cause":"node lost"}'
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
    assert len({cause.value for cause in e.Cause}) == len(e.Cause) == 11
