"""The error tree: what a caller can catch, read and carry between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

import climorch.errors
from climorch.errors import (
    BackendError,
    ClimorchError,
    ConflictError,
    CorruptDataError,
    ErrorKind,
    Fault,
    InternalError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)

TREE = [
    (ClimorchError, (Exception,), ErrorKind.INTERNAL),
    (InvalidInputError, (ClimorchError, ValueError), ErrorKind.INVALID_INPUT),
    (NotFoundError, (ClimorchError, KeyError), ErrorKind.NOT_FOUND),
    (ConflictError, (ClimorchError,), ErrorKind.CONFLICT),
    (NotAllowedError, (ClimorchError,), ErrorKind.NOT_ALLOWED),
    (BackendError, (ClimorchError,), ErrorKind.BACKEND),
    (CorruptDataError, (ClimorchError,), ErrorKind.CORRUPT_DATA),
    (InternalError, (ClimorchError,), ErrorKind.INTERNAL),
]
CLASSES = [cls for cls, _, _ in TREE]

CYCLE = Fault(
    place="workflow 'coupled', stage 'ocean', reads",
    problem="reads 'atmosphere', which reads 'ocean' in the same segment",
    remedy="let one of them read PREVIOUS",
)
UNKNOWN = Fault(
    place="workflow 'coupled', stage 'land', reads",
    problem="stage 'aether' does not exist",
    remedy="use one of 'atmosphere', 'ocean'",
)


@pytest.mark.parametrize(
    ("cls", "bases", "kind"), TREE, ids=[cls.__name__ for cls in CLASSES]
)
def test_each_error_stands_at_its_place_in_the_tree(
    cls: type[ClimorchError], bases: tuple[type[Exception], ...], kind: ErrorKind
) -> None:
    """An error is caught by its own base, by the standard one, and has a code."""
    assert cls.__bases__ == bases
    assert cls.kind is kind
    assert cls("it failed").kind is kind


def test_the_tree_has_no_other_class() -> None:
    """Every exception of the module is one of those listed."""
    found = {
        value
        for value in vars(climorch.errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert found == set(CLASSES)


def test_the_codes_for_machines_never_change() -> None:
    """Codes are append-only: what stored data and scripts compare with stays."""
    assert [(kind.name, kind.value) for kind in ErrorKind] == [
        ("INVALID_INPUT", "invalid-input"),
        ("NOT_FOUND", "not-found"),
        ("CONFLICT", "conflict"),
        ("NOT_ALLOWED", "not-allowed"),
        ("BACKEND", "backend"),
        ("CORRUPT_DATA", "corrupt-data"),
        ("INTERNAL", "internal"),
    ]


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_reads_as_its_message(cls: type[ClimorchError]) -> None:
    """The text of an error is its message as it was given, without quotes."""
    error = cls("campaign 'cmip': no such node 'n7'; list nodes with status()")

    assert str(error) == "campaign 'cmip': no such node 'n7'; list nodes with status()"
    assert error.message == str(error)
    assert error.args == (error.message,)
    assert error.facts == {}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_carries_its_facts_as_values(cls: type[ClimorchError]) -> None:
    """What the message says can be read without parsing it."""
    error = cls("disk full", path="/data", free_bytes=12)

    assert error.facts == {"path": "/data", "free_bytes": 12}


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_the_way_between_processes(
    cls: type[ClimorchError], protocol: int
) -> None:
    """Pickled and loaded, an error has its class, message and facts."""
    error = cls("disk full", path="/data", free_bytes=12)

    loaded = pickle.loads(pickle.dumps(error, protocol=protocol))

    assert type(loaded) is cls
    assert str(loaded) == "disk full"
    assert loaded.args == ("disk full",)
    assert loaded.facts == {"path": "/data", "free_bytes": 12}
    assert loaded.kind is error.kind


def test_an_invalid_input_lists_every_fault_with_place_and_remedy() -> None:
    """One error tells all that is wrong with an input, each with its remedy."""
    error = InvalidInputError(
        "workflow 'coupled' cannot be submitted", faults=[CYCLE, UNKNOWN]
    )

    assert str(error) == (
        "workflow 'coupled' cannot be submitted\n"
        "  - workflow 'coupled', stage 'ocean', reads: reads 'atmosphere', which "
        "reads 'ocean' in the same segment; let one of them read PREVIOUS\n"
        "  - workflow 'coupled', stage 'land', reads: stage 'aether' does not exist; "
        "use one of 'atmosphere', 'ocean'"
    )
    assert error.faults == (CYCLE, UNKNOWN)


def test_faults_may_come_from_any_iterable() -> None:
    """A generator of faults is read once and kept."""
    error = InvalidInputError("wrong", faults=(fault for fault in [CYCLE]))

    assert error.faults == (CYCLE,)
    assert str(error).count(CYCLE.place) == 1


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_invalid_input_survives_the_way_between_processes(times: int) -> None:
    """However often it is pickled, the faults are listed once and stay values."""
    error = InvalidInputError("wrong", faults=[CYCLE, UNKNOWN], stage="ocean")
    loaded = error

    for _ in range(times):
        loaded = pickle.loads(pickle.dumps(loaded))

    assert str(loaded) == str(error)
    assert loaded.faults == (CYCLE, UNKNOWN)
    assert loaded.facts == {"stage": "ocean"}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_can_be_copied(cls: type[ClimorchError]) -> None:
    """A copy tells the same as the original."""
    error = cls("disk full", path="/data")

    assert str(copy.deepcopy(error)) == "disk full"
    assert copy.copy(error).facts == {"path": "/data"}


def test_a_fault_reads_place_problem_remedy() -> None:
    """A fault tells where, what and what to do, in this order."""
    assert str(Fault(place="node 'n1'", problem="is down", remedy="repair it")) == (
        "node 'n1': is down; repair it"
    )


def test_a_fault_is_a_value() -> None:
    """Equal faults are equal and hash alike, so that they can be counted."""
    again = Fault(place=CYCLE.place, problem=CYCLE.problem, remedy=CYCLE.remedy)

    assert {CYCLE, again, UNKNOWN} == {CYCLE, UNKNOWN}
