"""Faults of steps that are programs, and where these come from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import xxhash

from climorch.errors import Fault
from climorch.model.plan import Provenance
from climorch.model.programs import Command
from climorch.model.stages import Stage

__all__ = ["program_faults", "program_provenance"]


def program_faults(stage: Stage, place: str) -> Iterator[Fault]:
    """Say what of a stage does not fit the program that is its step.

    Parameters
    ----------
    stage : Stage
        One of a workflow.
    place : str
        What it is, for messages.

    Yields
    ------
    Fault
        None where its step is no program.
    """
    step = stage.step
    if not isinstance(step, Command):
        return
    given = {*stage.reads, *stage.after}
    for name in sorted({*step.inputs} - given):
        yield Fault(
            place=f"{place}, step, inputs[{name!r}]",
            problem="the stage neither reads it nor comes after it",
            remedy=f"name one of {sorted(given)}, or leave it out",
        )
    for name in sorted({*stage.reads} - {*step.inputs}):
        yield Fault(
            place=f"{place}, reads {name!r}",
            problem="the program is not told of it",
            remedy="name the file for it in Command.inputs",
        )
    if stage.scope is not None:
        yield Fault(
            place=f"{place}, scope",
            problem="a program needs all of what it has written",
            remedy="leave the scope out",
        )
    if stage.parts > 1 and not any("${part" in word for word in _texts(step)):
        yield Fault(
            place=f"{place}, parts",
            problem="the program is not told which part begins",
            remedy="use ${part} in its arguments or files",
        )


def program_provenance(step: Command) -> Provenance:
    """Return which program it is, with a hash of its call and of itself.

    Parameters
    ----------
    step : Command
        One that is found by its path here is read; a name on the path of the
        nodes may mean another one there.
    """
    told = repr([(f.name, repr(getattr(step, f.name))) for f in fields(step)])
    digest = xxhash.xxh3_128(told.encode())
    if step.argv[0].startswith("/"):
        with contextlib.suppress(OSError), Path(step.argv[0]).open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return Provenance(qualname=step.argv[0], source_digest=digest.hexdigest())


def _texts(step: Command) -> list[str]:
    return [*step.argv, *step.files.values(), *step.env.values()]
