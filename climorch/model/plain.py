"""Whether values that users gave are plain: numbers, and what the journal can hold."""

from __future__ import annotations

import math
from typing import Any

import msgspec

__all__ = ["CHANGES", "is_finite_number", "json_problem"]

CHANGES = "they change when written as JSON"


def json_problem(values: Any) -> str | None:
    """Say why values cannot be journaled; None: they can.

    Parameters
    ----------
    values : object
        What a user gave; need not be plain.
    """
    try:
        same = msgspec.json.decode(msgspec.json.encode(values)) == values
    except (TypeError, ValueError, RecursionError) as error:
        return str(error)
    return None if same else CHANGES


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
