"""Whether what a user passed is of the kind that is declared, before it is used.

Users have no type checker, and what is of another kind fails far from where it was
given, in words that do not name it. Looks at annotations only, for ranges see `ranges`;
what an annotation does not say is left alone.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType, NoneType, UnionType
from typing import (
    Any,
    ParamSpec,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from climorch.errors import Fault, InvalidInputError

__all__ = [
    "checks_kinds",
    "kind_faults",
    "require_kinds",
    "require_values",
    "told",
    "value_faults",
]

P = ParamSpec("P")
R = TypeVar("R")

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    NoneType: "None",
    Mapping: "a mapping",
    dict: "a mapping",
}

_PLAIN: Mapping[Any, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    str: (str,),
    bool: (bool,),
    NoneType: (NoneType,),
}

_MOST = 6
_EXAMPLES = {
    int: "pass a plain int such as 2",
    float: "pass a plain number such as 2.5",
    str: "pass a str",
    bool: "pass True or False",
    Mapping: "pass a dict such as {'name': ...}",
    dict: "pass a dict such as {'name': ...}",
    Callable: "pass a function",
    Iterable: "pass a list",
    tuple: "pass a tuple",
    datetime: "such as datetime(2027, 3, 1, tzinfo=UTC)",
}


def require_kinds(owner: object) -> None:
    """Refuse attributes that are not of the kind that their class declares.

    Parameters
    ----------
    owner : object
        Whose; of a class with annotations.

    Raises
    ------
    InvalidInputError
        With each of them.
    """
    faults = kind_faults(owner)
    if faults:
        name = type(owner).__name__
        raise InvalidInputError(f"this {name} cannot be made", faults=faults)


def kind_faults(
    owner: object, *, names: Iterable[str] = (), place: str = ""
) -> list[Fault]:
    """Say which attributes are not of the kind that their class declares.

    Parameters
    ----------
    owner : object
        As for `require_kinds`.
    names : iterable of str
        Which attributes; empty: all that are annotated.
    place : str
        What the user knows it by; empty: the name of its class.

    Returns
    -------
    list of Fault
        One for each.
    """
    kind = cast("Hashable", type(owner))
    hints, plain = _hints(kind), _plain(kind)
    place = f"{place}, " if place else f"{type(owner).__name__}."
    return [
        fault
        for name in names or hints
        # A journal has thousands of them: nearly all are seen to be right at a glance.
        if type(value := getattr(owner, name)) not in plain[name]
        for fault in value_faults(f"{place}{name}", value, hints[name])
    ]


def checks_kinds(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse arguments that are not of the kind that it declares.

    Parameters
    ----------
    function : callable
        With annotations.

    Returns
    -------
    callable
        The same, which raises `InvalidInputError` with each of them.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        hints = _hints(function)
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            # Python's own error names the function.
            return function(*args, **kwargs)
        faults = [
            fault
            for name, value in given.items()
            if name in hints
            for fault in value_faults(name, value, hints[name])
        ]
        if faults:
            of, _, name = function.__qualname__.rpartition(".")
            called = of if name == "__init__" else name
            raise InvalidInputError(
                f"{called} cannot be called like this", faults=faults
            )
        return function(*args, **kwargs)

    return checked


def require_values(
    what: str,
    given: Mapping[str, tuple[object, object]],
    remedies: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Refuse values that are not of their kind.

    Parameters
    ----------
    what : str
        What they are for.
    given : mapping of str to (object, object)
        Each with its annotation, by name.
    remedies : mapping of str to str
        What to do where more can be said than by its kind.

    Raises
    ------
    InvalidInputError
        With each of them.
    """
    faults = [
        dataclasses.replace(fault, remedy=remedies.get(name, fault.remedy))
        for name, (value, hint) in given.items()
        for fault in value_faults(f"{what}, {name}", value, hint)
    ]
    if faults:
        raise InvalidInputError(f"{what} cannot be declared like this", faults=faults)


def value_faults(place: str, value: object, hint: object) -> Iterator[Fault]:
    """Say why a value is not of a kind.

    Parameters
    ----------
    place : str
        Where.
    value : object
        Whatever was given.
    hint : object
        An annotation.

    Yields
    ------
    Fault
        One; of an iterable one for each element that is of another kind.
    """
    kinds = _kinds(hint)
    if not any(_fits(value, kind) for kind in kinds):
        yield Fault(
            place=place,
            problem=f"got {told(value)}, expected {_words(kinds)}",
            remedy=_remedy(value, kinds),
        )
    elif isinstance(value, list | tuple):
        inner = [of for kind in kinds for of in _inner(kind)]
        for number, element in enumerate(value if len(inner) == 1 else ()):
            yield from value_faults(f"{place}[{number}]", element, inner[0])


def told(value: object) -> str:
    """Say in short what something is."""
    if isinstance(value, type):
        return f"the class {value.__name__}, not one that was made"
    if isinstance(value, str | int | float):
        return f"{type(value).__name__} {value!r}"
    return f"a {type(value).__name__}"


@functools.cache
def _hints(owner: Any) -> Mapping[str, Any]:
    try:
        hints = get_type_hints(owner)
    except NameError:
        # Of a name that only type checkers know.
        return {}
    hints.pop("return", None)
    return {name: hint for name, hint in hints.items() if not name.startswith("_")}


@functools.cache
def _plain(owner: Any) -> Mapping[str, frozenset[type]]:
    """Return which types fit an annotation without a closer look."""
    return {
        name: frozenset(of for kind in _kinds(hint) for of in _PLAIN.get(kind, ()))
        for name, hint in _hints(owner).items()
    }


def _kinds(hint: object) -> tuple[Any, ...]:
    """Return the alternatives of an annotation."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: object, kind: Any) -> bool:
    base = get_origin(kind) or kind
    if base is NoneType:
        return value is None
    if base in (int, float):
        wanted = int if base is int else int | float
        return isinstance(value, wanted) and not isinstance(value, bool)
    if base is Callable:
        return callable(value)
    if _is_fixed(kind):
        length = len(get_args(kind))
        return isinstance(value, list | tuple) and len(value) == length
    if _is_iterable(kind):
        single = isinstance(value, str | bytes | Mapping)
        return isinstance(value, Iterable) and not single
    if base is Any or not isinstance(base, type):
        return True
    if getattr(base, "_is_protocol", False):
        members = [name for name in vars(base) if name == "__call__" or name[:1] != "_"]
        made = not isinstance(value, type)
        return made and all(hasattr(value, name) for name in members)
    return isinstance(value, Mapping if base is dict else base)


def _is_fixed(kind: Any) -> bool:
    """Whether a kind is a tuple of so many."""
    args = get_args(kind)
    return get_origin(kind) is tuple and bool(args) and args[-1] is not Ellipsis


def _inner(kind: Any) -> tuple[Any, ...]:
    """Return what the elements of an iterable are, if it is said and the same."""
    listed = _is_iterable(kind) and not _is_fixed(kind)
    return get_args(kind)[:1] if listed else ()


def _is_iterable(kind: Any) -> bool:
    base = get_origin(kind) or kind
    return base is tuple or (
        isinstance(base, type)
        and base.__module__ == "collections.abc"
        and base.__name__ in ("Iterable", "Sequence", "Collection")
    )


def _words(kinds: tuple[Any, ...]) -> str:
    words = [_word(kind) for kind in kinds]
    # Of facts there are dozens.
    return " or ".join(words if len(words) < _MOST else [words[0], "the like"])


def _word(kind: Any) -> str:
    base = get_origin(kind) or kind
    if base in _WORDS:
        return _WORDS[base]
    if base is Callable:
        return "a function"
    if _is_fixed(kind):
        return f"a tuple ({', '.join(_words(_kinds(of)) for of in get_args(kind))})"
    if _is_iterable(kind):
        each = "".join(f", each {_words(_kinds(of))}" for of in _inner(kind))
        return f"a list{each}"
    name = getattr(base, "__name__", str(base))
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


def _remedy(value: object, kinds: tuple[Any, ...]) -> str:
    inner = [of for kind in kinds for of in _inner(kind)]
    if any(_fits(value, kind) for of in inner for kind in _kinds(of)):
        return "put it into a list: [...]"
    if isinstance(value, type):
        return f"make one: {value.__name__}(...)"
    if isinstance(value, timedelta) and float in kinds:
        return "give seconds: its total_seconds()"
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return "make it a plain one: its item()"
    for kind in kinds:
        field = _field_for(value, kind)
        if field:
            return f"give it as a part of one: {kind.__name__}({field}=...)"
    kind = get_origin(kinds[0]) or kinds[0]
    if kind in _EXAMPLES:
        return _EXAMPLES[kind]
    optional = ", or leave it out" if NoneType in kinds else ""
    return f"pass {_word(kind)}{optional}"


def _field_for(value: object, kind: Any) -> str:
    """Name the field of a class that takes a value which is given in its place."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return ""
    plain = value is None or isinstance(value, str | int | float | Mapping)
    fields = () if plain else _hints(kind).items()
    found = [
        name
        for name, hint in fields
        if any(isinstance(k, type) and _fits(value, k) for k in _kinds(hint))
    ]
    return found[0] if len(found) == 1 else ""
