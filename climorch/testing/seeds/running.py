"""Plays seeds, and says what became of them; makes a failing case small."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from climorch.model.commands import Record
from climorch.testing.invariants.audit import name_of
from climorch.testing.seeds.case import Case
from climorch.testing.seeds.disk import RealDisk
from climorch.testing.seeds.drawing import draw_case
from climorch.testing.seeds.features import Shares
from climorch.testing.seeds.machine import Machine
from climorch.testing.seeds.meeting import met_in
from climorch.testing.seeds.planted import Planted

__all__ = ["Verdict", "case_of", "found_within", "judge", "shrunk", "trace"]

MEMORY = Path("/dev/shm")
# One seed in so many has a real journal and real checkpoints.
REAL_EVERY = 10
# Records that a verdict keeps.
TRACED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a case.

    Attributes
    ----------
    seed : int
        Of the case.
    broken : str
        Name of the invariant that broke; empty: none did.
    evidence : str
        What was seen.
    records, lives : int
        How much was journaled, by how many drivers.
    cuts : int
        How often the power went.
    fired : Counter
        Troubles that befell an answer, by kind.
    met : Counter
        What happened, each thing once; names of `MET`.
    journal : tuple of (Record, float)
        What was journaled last, with its times.
    """

    seed: int
    broken: str = ""
    evidence: str = ""
    records: int = 0
    lives: int = 0
    cuts: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    journal: tuple[tuple[Record, float], ...] = ()


def case_of(seed: int) -> Case:
    """Draw the case of a seed; one in ten has a real disk."""
    real = seed % REAL_EVERY == REAL_EVERY - 1
    return draw_case(seed, real=real, shares=Shares())


def judge(case: Case, *, deaf: Collection[str] = ()) -> Verdict:
    """Play a case.

    Parameters
    ----------
    case : Case
        Which.
    deaf : collection of str
        Of a real disk, as in `RecordingFiles`: a planted fault.
    """
    with ExitStack() as stack:
        shelf = None
        if case.real:
            memory = MEMORY if MEMORY.is_dir() else None
            folder = stack.enter_context(TemporaryDirectory(dir=memory))
            shelf = RealDisk(Path(folder), case.seed, deaf=deaf)
            stack.callback(shelf.close)
        machine = Machine(case, shelf)
        broken = evidence = ""
        try:
            machine.play()
        # Whatever is raised, wherever, is what the seed has found.
        except Exception as error:
            broken, evidence = name_of(error), f"{type(error).__name__}: {error}"
        return Verdict(
            seed=case.seed,
            broken=broken,
            evidence=evidence,
            records=len(machine.journal),
            lives=machine.lives,
            cuts=shelf.cuts if shelf is not None else 0,
            fired=machine.relay.fired,
            met=met_in(
                machine.journal,
                machine.state,
                waited=machine.depot.waited if machine.depot is not None else 0,
            ),
            journal=tuple(machine.journal[-TRACED:]),
        )


def trace(verdict: Verdict) -> Iterator[str]:
    """Say in a line each what was journaled last."""
    dull = {"plan", "provenance", "paces", "metrics", "rules"}
    for record, now_s in verdict.journal:
        told = [
            f"{name}={value!r}"
            for name in record.__struct_fields__
            if name not in dull and (value := getattr(record, name)) not in ("", 0, ())
        ]
        yield f"{now_s:12.3f} {type(record).__name__} {' '.join(told)}"


def shrunk(case: Case, broken: str) -> Case:
    """Leave out what does not matter, one thing after the other.

    Parameters
    ----------
    case : Case
        In which an invariant breaks.
    broken : str
        Which.

    Returns
    -------
    Case
        In which it still does, and without any one thing of which it does not.
    """
    smaller = True
    while smaller:
        smaller = False
        for candidate in _without_one(case):
            if judge(candidate).broken == broken:
                case, smaller = candidate, True
                break
    return case


def _without_one(case: Case) -> Iterator[Case]:
    """Yield cases in which one thing less happens, or is there."""
    changes: list[dict[str, Any]] = []
    for name in ("events", "troubles", "poison"):
        items = getattr(case, name)
        changes += [{name: (*items[:i], *items[i + 1 :])} for i in range(len(items))]
    calm: Iterable[tuple[str, Any]] = (("failures", None), ("loads", None))
    changes += [
        {"site": dataclasses.replace(case.site, **{name: value})}
        for name, value in calm
        if getattr(case.site, name) is not value
    ]
    if case.walltime_s is not None:
        changes.append({"walltime_s": None})
    if len(case.facts) > 1:
        changes += [
            {"facts": (*case.facts[:i], *case.facts[i + 1 :])}
            for i in range(len(case.facts))
        ]
    for change in changes:
        yield dataclasses.replace(case, **change)


def found_within(planted: Planted, most: int) -> tuple[int, str]:
    """Count the seeds until a planted fault is found by an invariant that names it.

    Parameters
    ----------
    planted : Planted
        Which.
    most : int
        Seeds to try.

    Returns
    -------
    int
        How many; 0: it was not found.
    str
        What broke: in the end, or first of all if that was something else.
    """
    other = ""
    with planted.patch():
        for seed in range(most):
            broken = judge(draw_case(seed, shares=planted.shares)).broken
            if broken in planted.found_by:
                return seed + 1, broken
            other = other or broken
    return 0, other
