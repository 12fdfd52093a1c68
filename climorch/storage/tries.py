"""What was tried after blow-ups, as attributes of results.

Text only: netCDF, to which users convert, has no nested attributes. CF wants one
line in ``history`` for each thing that was done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["TRIES", "notes_on"]

TRIES = "climorch_tries"


def notes_on(tries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what was tried as attributes.

    Parameters
    ----------
    tries : sequence of mapping
        As of `tries_told`, by number.

    Returns
    -------
    dict of str to str
        ``climorch_tries``, JSON; and ``history``, the newest line first. Nothing
        where nothing was tried.
    """
    if not tries:
        return {}
    lines = [
        f"{datetime.fromtimestamp(t['at'], UTC):%Y-%m-%dT%H:%M:%SZ} climorch: try "
        f"{t['try']} from boundary {t['computed again from boundary']}, params "
        f"{json.dumps(t['params'])}, other seeds {t['other seeds']}, since "
        f"{t['found']}"
        for t in tries
    ]
    return {TRIES: json.dumps(list(tries)), "history": "\n".join(reversed(lines))}
