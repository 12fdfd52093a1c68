"""Texts with places for what a segment is: ``${name}`` or ``${name:format}``.

Decides nothing else: a value becomes text within its place, never a command, a word
more or another place. ``$${`` is ``${`` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from climorch.errors import Fault, InvalidInputError
from climorch.model.advance import Segment

__all__ = ["KNOWN", "PARAMS", "names_in", "render", "segment_values"]

Value = "str | int | float | cftime.datetime"

PARAMS = "params."
"""Beginning of the names of a scenario's parameters."""

KNOWN = frozenset(
    {"start", "end", "index", "part", "parts", "seed", "ranks", "threads", "hosts"}
)
"""Names that every segment has."""

_PLACE = re.compile(r"\$\$\{|\$\{([^{}:]*)(?::([^{}]*))?\}")


def names_in(text: str) -> Iterator[str]:
    """Yield the names of a text's places, in order."""
    for match in _PLACE.finditer(text):
        if match.group(1) is not None:
            yield match.group(1)


def segment_values(segment: Segment) -> dict[str, object]:
    """Return what a segment is, by name.

    Parameters
    ----------
    segment : Segment
        Its parameters are called ``params.NAME``.
    """
    return {
        "start": segment.start,
        "end": segment.end,
        "index": segment.index,
        "part": segment.part,
        "parts": segment.parts,
        "seed": segment.seed,
        **{f"{PARAMS}{name}": value for name, value in segment.params.items()},
    }


def render(text: str, values: Mapping[str, object], *, place: str = "text") -> str:
    """Fill the places of a text.

    Parameters
    ----------
    text : str
        With any number of places.
    values : mapping of str to object
        By name. A date without a format is written as ISO 8601.
    place : str
        What the text is, for the error.

    Returns
    -------
    str
        What a value contains is not looked at again.

    Raises
    ------
    InvalidInputError
        With every name that is not known and every format that does not fit.

    Examples
    --------
    >>> render("co2=${params.co2:.1f} $${HOME}", {"params.co2": 280})
    'co2=280.0 ${HOME}'
    """
    faults: list[Fault] = []

    def filled(match: re.Match[str]) -> str:
        name, form = match.group(1), match.group(2) or ""
        if name is None:
            return "${"
        try:
            return _text(values[name], form)
        except KeyError:
            problem, remedy = "is not known", f"use one of {', '.join(sorted(values))}"
        except (TypeError, ValueError) as error:
            problem, remedy = f"format {form!r}: {error}", "use one that fits the value"
        where = f"{place}, ${{{name}}}"
        faults.append(Fault(place=where, problem=problem, remedy=remedy))
        return ""

    found = _PLACE.sub(filled, text)
    if faults:
        raise InvalidInputError(f"{place} cannot be filled", faults=faults)
    return found


def _text(value: object, form: str) -> str:
    if hasattr(value, "isoformat"):
        # Of cftime, whose format() ignores what it is asked for.
        return str(value.strftime(form) if form else value.isoformat())  # type: ignore[attr-defined]
    return format(value, form)
