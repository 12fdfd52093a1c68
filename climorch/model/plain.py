"""Whether values that users gave are plain: numbers, and what the journal can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

__all__ = ["CHANGES", "is_finite_number", "json_problem", "json_problems"]

CHANGES = "they change when written as JSON"


def json_problem(values: Any) -> str | None:
    """Say why values cannot be journaled; None: they can.

    Parameters
    ----------
    values : object
        What a user gave; need not be plain.
    """
    return next((problem for _, problem in json_problems(values)), None)


def json_problems(values: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Say which values cannot be journaled.

    Parameters
    ----------
    values : object
        What a user gave; mappings and lists are looked into.
    where : str
        What leads to it, as in ``['dt'][0]``.

    Yields
    ------
    (str, str)
        Where one is, and why not; nothing where all can be.
    """
    try:
        if msgspec.json.decode(msgspec.json.encode(values)) == values:
            return
        problem = f"{CHANGES}: got a {type(values).__name__}"
    except RecursionError as error:
        # It contains itself, so nothing in it is at fault alone.
        yield where, str(error)
        return
    except (TypeError, ValueError):
        problem = f"got a {type(values).__name__}, which JSON does not have"
    parts: Iterable[tuple[object, Any]] = ()
    if isinstance(values, dict):
        parts = values.items()
        keys = [repr(key) for key in values if not isinstance(key, str)]
        if keys:
            problem = f"{CHANGES}: has the keys {', '.join(keys)}, which are no text"
    elif isinstance(values, list):
        parts = enumerate(values)
    inner = [
        p for key, value in parts for p in json_problems(value, f"{where}[{key!r}]")
    ]
    yield from inner or [(where, problem)]


def is_finite_number(value: object) -> bool:
    """Tell whether a value is a plain number, neither NaN nor infinite; True is none.

    Parameters
    ----------
    value : object
        What a user gave, who may have no type checker.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
