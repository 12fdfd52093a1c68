"""Variables that another codec would make smaller, or store in less time.

What codecs make of them was tried on pieces beside storing them. A codec is better if
it gains in one and loses next to nothing in the other: nobody knows here what a byte is
worth in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.forecast.timings import SetTimes, Stored, Tried
from climorch.model.codec import Codec

__all__ = ["codecs"]

# Pieces that must have been tried, and checkpoints; ours, as all of these.
LEAST_PIECES = 2
LEAST_CHECKPOINTS = 3
# Shares of a set's time, and of the bytes of its checkpoints, below which nothing is
# said; of a variable's bytes, below which it is left as it is.
LEAST_TIME = 0.01
LEAST_BYTES = 0.1
LEAST_OF_VARIABLE = 0.05
# What a gain in time may cost of a variable's bytes; a gain in bytes, of a set's time.
MOST_BYTES = 0.05
MOST_TIME = 0.005
# Variables that are named in a sentence.
NAMED = 4

Name = tuple[str, str]
"""Stage and variable."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """Another codec of a variable.

    Attributes
    ----------
    name : tuple of str
        Which variable.
    codec : Codec
        Which one.
    time : float
        Of the set's time, the share that it spares.
    stored_bytes : float
        Of each checkpoint, those that it spares.
    """

    name: Name
    codec: Codec
    time: float
    stored_bytes: float


def codecs(study: Study) -> Iterator[Finding]:
    """Find sets whose checkpoints would be cheaper, or smaller, with other codecs."""
    for about, group in study.groups():
        sets = [s for _, s in group]
        cpu_s = study.node_cores * sum(s.whole_node_s for s in sets)
        if sum(s.checkpoints for s in sets) < LEAST_CHECKPOINTS or not cpu_s:
            continue
        stored = _merged(sets)
        # Of all CPU seconds of the leases, what one per checkpoint is.
        weight = sum(s.checkpoints for s in sets) * _written(sets) / cpu_s
        whole = sum(x.whole_bytes * _ratio(x.tried[x.codec]) for x in stored.values())
        faster = [
            choice
            for name, x in stored.items()
            for choice in _best(_faster(name, x, weight))
        ]
        time = sum(choice.time for choice in faster)
        if time >= LEAST_TIME:
            yield _finding(about, faster, time, Gain.TIME, whole)
        settled = {choice.name for choice in faster} if time >= LEAST_TIME else set()
        smaller = _affordable(
            choice
            for name, x in stored.items()
            if name not in settled
            for choice in _best(_smaller(name, x, weight))
        )
        spared = sum(choice.stored_bytes for choice in smaller) / whole if whole else 0
        if spared >= LEAST_BYTES:
            yield _finding(about, smaller, spared, Gain.BYTES, whole)


def _merged(sets: Iterable[SetTimes]) -> dict[Name, Stored]:
    """Add up what was tried in sets that are alike; the last one says what is used."""
    found: dict[Name, Stored] = {}
    for s in sets:
        for name, stored in s.stored.items():
            one = found.setdefault(name, Stored(stored.codec, stored.whole_bytes))
            one.codec, one.whole_bytes = stored.codec, stored.whole_bytes
            for codec, tried in stored.tried.items():
                one.tried.setdefault(codec, Tried()).add(tried)
    return {
        name: x
        for name, x in found.items()
        if x.codec in x.tried and x.tried[x.codec].pieces >= LEAST_PIECES
    }


def _written(sets: Iterable[SetTimes]) -> float:
    """Return the share of checkpoints that is not linked from those before."""
    written = linked = 0
    for s in sets:
        written, linked = written + s.bytes_written, linked + s.bytes_linked
    return written / (written + linked) if written + linked else 1.0


def _ratio(tried: Tried) -> float:
    return tried.stored_bytes / tried.raw_bytes


def _choices(name: Name, x: Stored, weight: float) -> Iterator[_Choice]:
    """Compare all codecs that were tried with the one in use."""
    used = x.tried[x.codec]
    for codec, other in x.tried.items():
        if codec != x.codec and other.pieces >= LEAST_PIECES:
            slower = other.cpu_s / other.raw_bytes - used.cpu_s / used.raw_bytes
            yield _Choice(
                name,
                codec,
                -slower * x.whole_bytes * weight,
                x.whole_bytes * (_ratio(used) - _ratio(other)),
            )


def _faster(name: Name, x: Stored, weight: float) -> list[_Choice]:
    """Return codecs that take less time and hardly more bytes, the best one last."""
    most = MOST_BYTES * x.whole_bytes * _ratio(x.tried[x.codec])
    found = [
        choice
        for choice in _choices(name, x, weight)
        if choice.time > 0 and -choice.stored_bytes <= most
    ]
    return sorted(found, key=lambda choice: choice.time)


def _smaller(name: Name, x: Stored, weight: float) -> list[_Choice]:
    """Return codecs that leave fewer bytes in hardly more time, the best one last."""
    least = LEAST_OF_VARIABLE * x.whole_bytes * _ratio(x.tried[x.codec])
    found = [
        choice
        for choice in _choices(name, x, weight)
        if choice.stored_bytes > least and -choice.time <= MOST_TIME
    ]
    return sorted(found, key=lambda choice: choice.stored_bytes)


def _best(choices: list[_Choice]) -> list[_Choice]:
    return choices[-1:]


def _affordable(choices: Iterable[_Choice]) -> list[_Choice]:
    """Return those that gain most bytes for their time, as long as there is some."""
    left, found = MOST_TIME, []
    for choice in sorted(choices, key=lambda x: x.time / x.stored_bytes, reverse=True):
        if -choice.time <= left:
            found.append(choice)
            left += min(choice.time, 0.0)
    return found


def _finding(
    about: str, choices: list[_Choice], gain: float, of: Gain, whole: float
) -> Finding:
    time = sum(choice.time for choice in choices)
    spared = sum(choice.stored_bytes for choice in choices) / whole
    what = "cost more time" if of is Gain.TIME else "leave more bytes"
    return Finding(
        kind=Kind.CODEC,
        about=about,
        message=f"codecs of {len(choices)} variables {what} than others would, by "
        f"pieces on which these were tried",
        evidence={
            "time_share": time,
            "bytes_share": spared,
            "stored_bytes": whole,
            "variables": float(len(choices)),
        },
        gain=gain,
        of=of,
        change=_words(choices),
        codecs={choice.name: choice.codec for choice in choices},
    )


def _words(choices: list[_Choice]) -> str:
    """Say what belongs into the scopes of stages."""
    stages: dict[str, list[str]] = {}
    for choice in choices:
        stage, variable = choice.name
        level = f", {choice.codec.level}" if choice.codec.name != "none" else ""
        stages.setdefault(stage, []).append(
            f'"{variable}": Codec("{choice.codec.name}"{level})'
        )
    return "; ".join(
        f"stage {stage!r}: Scope(codecs={{{', '.join(lines[:NAMED])}"
        f"{', ...' if len(lines) > NAMED else ''}}})"
        for stage, lines in stages.items()
    )
