"""What went wrong on the way, as one line of a log."""

from __future__ import annotations

import re
from enum import Enum

from climorch.model.events import Fact

__all__ = ["line_of"]

# Who and where, as far as a fact says so, in this order.
WHERE = (
    "simulation",
    "set",
    "stage",
    "segment",
    "boundary",
    "attempt",
    "node",
    "cause",
    "damaged",
    "repaired",
    "bad",
)


def line_of(fact: Fact) -> str:
    """Return a fact as a line: what happened, to whom, where and why.

    Parameters
    ----------
    fact : Fact
        Any; of one that failed, its message comes last.

    Returns
    -------
    str
        Such as ``segment failed simulation=m01 stage=sea segment=3 attempt=1
        cause='error in the model' message=ValueError: ...``. A message of several
        lines is told as one.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(fact).__name__).lower()
    parts = [
        f"{name}={_told(value)}"
        for name in WHERE
        if _says(value := getattr(fact, name, None))
    ]
    message = getattr(fact, "message", "")
    if message:
        parts.append(f"message={' | '.join(message.splitlines())}")
    return " ".join([words, *parts])


def _says(value: object) -> bool:
    # Of segments and boundaries there is one that is 0.
    return not (value is None or value is False or value in ("", ()))


def _told(value: object) -> str:
    if isinstance(value, Enum):
        return repr(value.value)
    if isinstance(value, tuple):
        return repr(", ".join(map(str, value)))
    return str(value)
