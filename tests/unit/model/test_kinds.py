"""What is of another kind than is declared is told where it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from climorch.errors import InvalidInputError
from climorch.model.kinds import (
    checks_kinds,
    kind_faults,
    require_kinds,
    require_values,
    told,
    value_faults,
)

if TYPE_CHECKING:
    from climorch.model.names import Unknown  # type: ignore[attr-defined]


class Chooses(Protocol):
    """Something that can choose."""

    def choose(self) -> int:
        """Return a choice."""


class Calls(Protocol):
    """Something that can be called."""

    def __call__(self) -> int:
        """Return a number."""


@dataclass(frozen=True, kw_only=True)
class First:
    """Chooses one."""

    count: int = 1

    def choose(self) -> int:
        """Return it."""
        return self.count


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Has a chooser and a number."""

    chooser: Chooses = First()
    calls: Calls = lambda: 1
    share: float = 1.0


def of(value: object, hint: object) -> list[str]:
    """What is wrong with a value."""
    return [str(fault) for fault in value_faults("x", value, hint)]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, int),
        (1, float),
        (1.5, float),
        (np.float64(1.5), float),
        (True, bool),
        ("a", str),
        (None, int | None),
        ({}, Mapping[str, int]),
        ({}, dict[str, int]),
        ([], Iterable[int]),
        ((1, 2), Iterable[int]),
        (iter("ab"), Iterable[int]),
        (range(2), Iterable[int]),
        ((1, "a"), tuple[int, str]),
        ([1, 2], tuple[int, ...]),
        (len, Callable[..., int]),
        (First(), Chooses),
        (len, Calls),
        (First(), First | None),
        (object(), Any),
        (object(), object),
        (Path(), str | Path),
    ],
)
def test_what_fits_is_taken(value: object, hint: object) -> None:
    """Ints are numbers, any iterable is a list, whatever can choose is a chooser."""
    assert of(value, hint) == []


@pytest.mark.parametrize(
    ("value", "hint", "text"),
    [
        ("2", int, "got str '2', expected a whole number; pass a plain int such as 2"),
        (True, int, "got bool True, expected a whole number; pass a plain int such "),
        (2.5, int, "got float 2.5, expected a whole number; pass a plain int"),
        (
            np.int64(2),
            int,
            "got a int64, expected a whole number; make it a plain one: its item()",
        ),
        (True, float, "got bool True, expected a number; pass a plain number such "),
        (
            timedelta(1),
            float | None,
            "got a timedelta, expected a number or None; give seconds: its "
            "total_seconds()",
        ),
        ("no", bool, "got str 'no', expected True or False; pass True or False"),
        (b"a", str, "got a bytes, expected text; pass a str"),
        (
            "ab",
            Iterable[str],
            "got str 'ab', expected a list, each text; put it into a list: [...]",
        ),
        ({"a": 1}, Iterable[str], "got a dict, expected a list, each text; pass a"),
        (3, Iterable[First], "got int 3, expected a list, each a First; pass a list"),
        (
            First(),
            Iterable[First],
            "got a First, expected a list, each a First; put it into a list: [...]",
        ),
        ((1,), tuple[int, str], "got a tuple, expected a tuple (a whole number, text)"),
        ([1], Mapping[str, int], "got a list, expected a mapping; pass a dict such as"),
        (3, Callable[..., int], "got int 3, expected a function; pass a function"),
        (3, Chooses, "got int 3, expected a Chooses; pass a Chooses"),
        (
            First,
            Chooses,
            "got the class First, not one that was made, expected a Chooses; make "
            "one: First(...)",
        ),
        (3, First | None, "got int 3, expected a First or None; pass a First, or lea"),
        (
            First(),
            Rules | None,
            "got a First, expected a Rules or None; give it as a part of one: "
            "Rules(chooser=...)",
        ),
        ("2030", datetime, "got str '2030', expected a datetime; such as datetime("),
        (
            3,
            str | bytes | None | bool | list | dict,
            "got int 3, expected text or the like; pass a str",
        ),
    ],
)
def test_what_does_not_fit_is_told(value: object, hint: object, text: str) -> None:
    """What came, what is expected, and what to do."""
    (found,) = of(value, hint)
    assert found.startswith(f"x: {text}")


def test_elements_are_looked_at() -> None:
    """Each that is of another kind is told with its place."""
    assert of([1, "b", 2, None], Iterable[int]) == [
        "x[1]: got str 'b', expected a whole number; pass a plain int such as 2",
        "x[3]: got a NoneType, expected a whole number; pass a plain int such as 2",
    ]


def test_attributes_are_looked_at_all_or_some() -> None:
    """By the name of the class, or by what a user knows it by."""
    wrong: Any = Rules(chooser=3, share="a")  # type: ignore[arg-type]
    assert [f.place for f in kind_faults(wrong)] == ["Rules.chooser", "Rules.share"]
    some = kind_faults(wrong, names=("share",), place="rules 'r'")
    assert [f.place for f in some] == ["rules 'r', share"]
    require_kinds(Rules())
    with pytest.raises(InvalidInputError, match="this Rules cannot be made"):
        require_kinds(wrong)


def test_arguments_are_looked_at() -> None:
    """Those that were given; what Python itself refuses it refuses."""

    class Desk:
        @checks_kinds
        def __init__(self, number: int = 0) -> None:
            self.number = number

        @checks_kinds
        def ask(self, number: int, *, until: datetime | None = None) -> int:
            """Return the number."""
            return number

    desk: Any = Desk(2)
    assert desk.ask(3) == 3
    assert desk.ask(3, until=datetime(2027, 1, 1, tzinfo=UTC)) == 3
    with pytest.raises(InvalidInputError) as caught:
        desk.ask("a", until=5)
    assert str(caught.value) == (
        "ask cannot be called like this\n"
        "  - number: got str 'a', expected a whole number; pass a plain int such as 2\n"
        "  - until: got int 5, expected a datetime or None; such as datetime(2027, 3, "
        "1, tzinfo=UTC)"
    )
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        desk.ask()
    with pytest.raises(InvalidInputError, match="Desk cannot be called like this"):
        Desk("a")  # type: ignore[arg-type]


def test_names_that_only_type_checkers_know_are_left_alone() -> None:
    """What cannot be looked up at run time is not looked at."""

    @checks_kinds
    def ask(number: int, other: Unknown) -> int:
        return number

    assert ask("a", None) == "a"  # type: ignore[arg-type,comparison-overlap]


def test_a_remedy_may_be_said() -> None:
    """Where more is known than the kind."""
    with pytest.raises(InvalidInputError) as caught:
        require_values("stage 'a'", {"after": ("b", list[int])}, {"after": "see there"})
    assert str(caught.value) == (
        "stage 'a' cannot be declared like this\n"
        "  - stage 'a', after: got str 'b', expected a list; see there"
    )
    require_values("stage 'a'", {"after": ((), Iterable[str])})


def test_things_are_told_in_short() -> None:
    """A text by its value, an object by its class."""
    assert told("a") == "str 'a'"
    assert told(First()) == "a First"
    assert told(First) == "the class First, not one that was made"
