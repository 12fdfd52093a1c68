"""A program as one segment calls it: all places filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from climorch.errors import Fault, InvalidInputError
from climorch.model.advance import Segment
from climorch.model.programs import Command, Host
from climorch.model.templates import render, segment_values

__all__ = ["Rendered", "rendered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Texts without places.

    Attributes
    ----------
    argv : tuple of str
        Program and arguments.
    files, env : dict of str to str
        As of `Command`.
    restart : dict of str to str
        Name of a restart file as it is written, to that as it is read.
    """

    argv: tuple[str, ...]
    files: dict[str, str]
    env: dict[str, str]
    restart: dict[str, str]


def rendered(step: Command, segment: Segment, hosts: Sequence[Host] = ()) -> Rendered:
    """Fill all places of a program.

    Parameters
    ----------
    step : Command
        Which.
    segment : Segment
        What it is to advance.
    hosts : sequence of Host
        Of the lease; ``${hosts}`` has commas between them.

    Raises
    ------
    InvalidInputError
        With every place that cannot be filled, and every name of a restart file
        that leaves the run folder.
    """
    values: Mapping[str, object] = {
        **segment_values(segment),
        "ranks": step.ranks,
        "threads": step.threads,
        "hosts": ",".join(host.address or "localhost" for host in hosts),
    }
    faults: list[Fault] = []

    def filled(text: str, place: str) -> str:
        try:
            return render(text, values, place=place)
        except InvalidInputError as error:
            faults.extend(error.faults)
            return text

    found = Rendered(
        argv=tuple(filled(word, f"argv[{i}]") for i, word in enumerate(step.argv)),
        files={n: filled(text, f"files[{n!r}]") for n, text in step.files.items()},
        env={n: filled(text, f"env[{n!r}]") for n, text in step.env.items()},
        restart={
            filled(written, f"restart, {written!r}"): read
            for written, read in step.restart.items()
        },
    )
    # What a parameter puts there was not looked at when it was declared.
    for name in found.restart:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            faults.append(
                Fault(
                    place=f"restart, {name!r}",
                    problem="leaves the run folder",
                    remedy="let no parameter name a file elsewhere",
                )
            )
    if faults:
        raise InvalidInputError("this Command cannot be called", faults=faults)
    return found
