"""Whether values come back from the journal as they were."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["CHANGES", "json_problem"]

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
