"""Enumerations whose members are plain attributes stay what they were."""

from __future__ import annotations

import inspect
import pickle
from enum import Enum, IntEnum

import msgspec
import pytest

from climorch.core.lifecycle import Control, Phase
from climorch.forecast.parts import Part
from climorch.model.causes import Cause
from climorch.model.membership import at_hand
from climorch.model.plan import Coupling
from climorch.policy.rights import Rank

KINDS: list[type[Enum]] = [Cause, Control, Coupling, Part, Phase, Rank]


@at_hand
class Colour(IntEnum):
    """Two members, and another name of one."""

    RED = 1
    BLUE = 2
    CRIMSON = 1


@pytest.mark.parametrize("kind", [Colour, *KINDS])
def test_its_members_are_plain_attributes_of_it(kind: type[Enum]) -> None:
    """No function is called to find one."""
    for name, member in kind.__members__.items():
        assert inspect.getattr_static(kind, name) is member
        assert getattr(kind, name) is member


@pytest.mark.parametrize("kind", [Colour, *KINDS])
def test_it_goes_through_pickle_and_json_as_before(kind: type[Enum]) -> None:
    """By the same names and numbers."""
    for member in kind:
        assert pickle.loads(pickle.dumps(member)) is member
        assert kind(member.value) is member
        assert kind[member.name] is member
        assert msgspec.json.decode(msgspec.json.encode(member), type=kind) is member


def test_a_second_name_is_still_one() -> None:
    """Of two names the first is told."""
    assert Colour["CRIMSON"] is Colour["RED"]
    assert [colour.name for colour in Colour] == ["RED", "BLUE"]


def test_nobody_can_change_a_member() -> None:
    """As of any enumeration."""
    with pytest.raises(AttributeError):
        Colour.RED = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del Colour.RED
    assert [*Colour] == [1, 2]
