"""A step that is a program: what it is called with, reads, writes and means.

Declares; the engine starts it. Nothing here ever becomes a shell's line: the
arguments are a list, and a value fills a place within one of them.
"""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.templates import KNOWN, PARAMS, names_in

__all__ = [
    "CHECKPOINTED",
    "DONE",
    "FAIL",
    "LOG",
    "RETRY",
    "Command",
    "Host",
    "RunPlace",
    "kind_of",
    "stays_in_job",
]

DONE = "done"
"""It has reached the end of the segment and written its restart files."""
CHECKPOINTED = "checkpointed"
"""It has left before the end and written restart files to go on from."""
RETRY = "retry"
"""It has failed for a reason that may pass."""
FAIL = "fail"
"""It has failed by itself."""

LOG = "log.txt"
"""What a program prints, within its run folder."""

LAUNCHERS = ("mpiexec", "mpirun", "srun", "jsrun", "none")
# These start programs on the nodes of one job only.
_WITHIN_JOBS = ("srun", "jsrun")
NETCDF, ZARR, BYTES = "netcdf", "zarr", "bytes"
_KINDS = {".nc": NETCDF, ".nc4": NETCDF, ".zarr": ZARR}


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A machine of a lease.

    Attributes
    ----------
    node : str
        Name of its node.
    address : str
        Under which it is reached; empty: the machine that asks.
    job : str
        Within which the launcher of the site stays; empty: it reaches all.
    """

    node: str
    address: str = ""
    job: str = ""


class RunPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a program runs.

    Attributes
    ----------
    folder : str
        Its own, of this attempt at this segment; made when it is prepared.
    hosts : tuple of Host
        Of the lease, in its order.
    launcher : str
        The one of the site.
    """

    folder: str
    hosts: tuple[Host, ...] = ()
    launcher: str = "mpiexec"


def stays_in_job(launcher: str) -> bool:
    """Whether a launcher starts programs within one job only, by its name or path."""
    return PurePosixPath(launcher).name.startswith(_WITHIN_JOBS)


def kind_of(name: str) -> str:
    """Say how a file is read by its name: fields of NetCDF or Zarr, or bytes."""
    return _KINDS.get(PurePosixPath(name).suffix, BYTES)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Command:
    """A step that is an external program, with MPI, OpenMP, both or neither.

    Runs over the nodes of the lease, in a folder of its own for each attempt at a
    segment. Texts may have places such as ``${end}``, ``${end:%Y%m%d}``,
    ``${index}``, ``${seed}``, ``${ranks}`` or ``${params.co2}``.

    Parameters
    ----------
    argv : sequence of str
        Program and arguments, with places. The program is an absolute path or a
        name on the path; never a shell's line.
    restart : mapping of str to str
        Name of each restart file as the program writes it, with places, to the
        name under which it reads it the next time. One ``.nc`` or ``.zarr``: its
        variables are the state, as they are. Else each file is a variable of
        bytes, and its size must stay the same.
    ranks : int
        Processes in all, >= 1: the same on every lease, so that sums are.
    threads : int
        Threads of each, >= 1.
    bind : bool
        Whether each thread is kept to a core of its own; only where nobody else
        computes on the nodes.
    launcher : str
        Starts the ranks: ``mpiexec``, ``srun``, ``jsrun``, a path of one of them,
        or ``none`` for one rank. Empty: the one of the site.
    options : sequence of str
        More words for the launcher.
    inputs : mapping of str to str
        Stage that it reads or comes after, to the ``.nc`` or ``.zarr`` that is
        made of what that gives.
    outputs : str
        Pattern of ``.nc`` files of diagnostics with a ``time`` axis; empty: none.
    metrics : str
        JSON file of numbers by name; empty: none.
    files : mapping of str to str
        More files to be made, with places, such as a namelist.
    env : mapping of str to str
        More environment.
    codes : mapping of int to str
        What exit codes mean: `DONE`, `CHECKPOINTED`, `RETRY` or `FAIL`. 0 is done
        and every other one a failure where nothing else is said.
    progress : str
        Regular expression of a line that says that it goes on; empty: none.
    progress_file : str
        File with these lines; empty: what it prints.
    stall_s : float or None
        Longest time without such a line, in seconds, > 0; None: no limit.
    stop_signal : str
        Asks it to write its restart files and to leave.
    grace_s : float
        Seconds that it gets for that, >= 0; 0: it is killed at once.
    timeout_s : float or None
        Longest time for one segment, in seconds, > 0; None: no limit.
    keep_failed : int
        Folders of failed runs of a stage that are kept, >= 0.

    Raises
    ------
    InvalidInputError
        With everything that is wrong.

    Examples
    --------
    >>> step = Command(argv=["heat", "${params.k}"], restart={"new.nc": "old.nc"})
    >>> step.ranks, step.fields
    (1, True)
    """

    argv: Sequence[str]
    restart: Mapping[str, str]
    ranks: int = 1
    threads: int = 1
    bind: bool = False
    launcher: str = ""
    options: Sequence[str] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: str = ""
    metrics: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[int, str] = field(default_factory=dict)
    progress: str = ""
    progress_file: str = ""
    stall_s: float | None = None
    stop_signal: str = "SIGUSR1"
    grace_s: float = 0.0
    timeout_s: float | None = None
    keep_failed: int = 3

    def __post_init__(self) -> None:
        faults = [*_value_faults(self), *_file_faults(self), *_place_faults(self)]
        if faults:
            raise InvalidInputError("this Command cannot be made", faults=faults)
        # It is sent to other processes, which a view of a mapping is not.
        for name in ("restart", "inputs", "files", "env", "codes"):
            object.__setattr__(self, name, dict(getattr(self, name)))

    @property
    def fields(self) -> bool:
        """Whether its state is the variables of one file, not files of bytes."""
        return len(self.restart) == 1 and kind_of(*self.restart.values()) != BYTES

    @property
    def together(self) -> bool:
        """Whether what starts it may reach the nodes of one job only, as sites go."""
        return not self.launcher or stays_in_job(self.launcher)

    def meaning(self, code: int) -> str:
        """Say what an exit code means."""
        return self.codes.get(code, DONE if code == 0 else FAIL)


def _fault(where: str, problem: str, remedy: str) -> Fault:
    return Fault(place=f"Command.{where}", problem=problem, remedy=remedy)


def _value_faults(step: Command) -> Iterator[Fault]:
    if isinstance(step.argv, str) or not step.argv or not _texts(step.argv):
        yield _fault("argv", f"got {step.argv!r}", "pass a list: program, arguments")
    elif "/" in step.argv[0] and not step.argv[0].startswith(("/", "${")):
        remedy = "name it by an absolute path: it runs in a folder of its own"
        yield _fault("argv", f"{step.argv[0]!r} is a relative path", remedy)
    whole = {"ranks": 1, "threads": 1, "keep_failed": 0}
    for name, least in whole.items():
        got: object = getattr(step, name)
        if isinstance(got, bool) or not isinstance(got, int) or got < least:
            yield _fault(name, f"got {got!r}", f"give a whole number >= {least}")
    for name in ("stall_s", "timeout_s"):
        limit = getattr(step, name)
        if limit is not None and not limit > 0:
            yield _fault(name, f"got {limit!r}, expected seconds > 0", "leave it out")
    if not 0 <= step.grace_s < math.inf:
        yield _fault("grace_s", f"got {step.grace_s!r}", "give seconds >= 0")
    if step.stop_signal not in signal.Signals.__members__:
        yield _fault("stop_signal", f"got {step.stop_signal!r}", "name one: SIGTERM")
    kind = PurePosixPath(step.launcher).name
    if step.launcher and not kind.startswith(LAUNCHERS):
        remedy = f"use one of {', '.join(LAUNCHERS)} or its path"
        yield _fault("launcher", f"got {step.launcher!r}", remedy)
    if kind == "none" and step.ranks != 1:
        yield _fault("launcher", f"none starts {step.ranks} ranks", "name a launcher")
    for code, meaning in step.codes.items():
        if meaning not in (DONE, CHECKPOINTED, RETRY, FAIL):
            remedy = f"use {DONE!r}, {CHECKPOINTED!r}, {RETRY!r} or {FAIL!r}"
            yield _fault(f"codes[{code!r}]", f"got {meaning!r}", remedy)
    try:
        re.compile(step.progress)
    except re.error as error:
        yield _fault("progress", f"is no regular expression: {error}", "correct it")
    if step.stall_s is not None and not step.progress:
        yield _fault("stall_s", "nothing says that it goes on", "give progress too")


def _file_faults(step: Command) -> Iterator[Fault]:
    if not step.restart:
        yield _fault("restart", "is empty", "name what it writes and reads again")
    named = [
        *(("restart", name) for pair in step.restart.items() for name in pair),
        *(("inputs", name) for name in step.inputs.values()),
        *(("files", name) for name in step.files),
        *(("outputs", name) for name in [step.outputs] if name),
        *(("metrics", name) for name in [step.metrics] if name),
        *(("progress_file", name) for name in [step.progress_file] if name),
    ]
    for where, name in named:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
            yield _fault(
                f"{where}, {name!r}", "leaves the run folder", "name a file within it"
            )
    given = [*step.restart.values(), *step.inputs.values(), *step.files, LOG]
    for name in sorted({name for name in given if given.count(name) > 1}):
        yield _fault(f"files, {name!r}", "is made twice", "give each its own name")
    for stage, name in step.inputs.items():
        if kind_of(name) == BYTES:
            remedy = "let it end with .nc or .zarr"
            yield _fault(f"inputs[{stage!r}]", f"got {name!r}", remedy)
    if step.outputs and kind_of(step.outputs) != NETCDF:
        yield _fault("outputs", f"got {step.outputs!r}", "let it end with .nc")


def _place_faults(step: Command) -> Iterator[Fault]:
    texts: dict[str, object] = {f"argv[{i}]": w for i, w in enumerate(step.argv)}
    texts |= {f"restart, {name!r}": name for name in step.restart}
    texts |= {f"files[{name!r}]": text for name, text in step.files.items()}
    texts |= {f"env[{name!r}]": text for name, text in step.env.items()}
    for where, text in texts.items():
        if not isinstance(text, str):
            yield _fault(where, f"got {type(text).__name__}", "pass a text")
            continue
        for name in names_in(text):
            # Which parameters there are the scenario says.
            if name not in KNOWN and not name.startswith(PARAMS):
                remedy = f"use one of {', '.join(sorted(KNOWN))}, {PARAMS}NAME"
                yield _fault(f"{where}, ${{{name}}}", "is not known", remedy)


def _texts(words: Sequence[object]) -> bool:
    return all(isinstance(word, str) and "\0" not in word for word in words)
