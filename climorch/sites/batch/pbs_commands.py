"""The commands of PBS and what they print: OpenPBS, and what speaks like Torque.

Pure. Full text of ``qstat -f``, whose attributes both print in the same way: as JSON,
versions of OpenPBS leave jobs out and do not escape what users export. Its times are
those of the one who asks, so he asks in UTC.
"""

from __future__ import annotations

import calendar
import math
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from climorch.sites.batch.dialects import (
    Silent,
    each_once,
    logging_script,
    meaning_of,
)
from climorch.sites.batch.jobs import Call, Job, JobRequest, JobState

__all__ = ["OPEN_PBS", "TORQUE", "Pbs"]

OPEN_PBS, TORQUE = "openpbs", "torque"

ENVIRONMENT: Mapping[str, str] = {"TZ": "UTC0", "LC_ALL": "C"}

STATES: Mapping[str, JobState] = {
    "Q": JobState.QUEUED,
    "W": JobState.QUEUED,
    "T": JobState.QUEUED,
    "M": JobState.QUEUED,
    "H": JobState.HELD,
    "R": JobState.RUNNING,
    "S": JobState.RUNNING,
    "U": JobState.RUNNING,
    "B": JobState.RUNNING,
    "E": JobState.ENDING,
}
OVER = ("F", "C", "X")

# Of the server itself, see job.h of OpenPBS: it was ended for more memory, for more
# time, also of CPU, or for more CPUs than were asked for. Others below zero: it could
# not begin.
MEMORY, WALLTIME, GREEDY = (-26, -27), (-28, -29), (-24, -25)
# What a signal ended has its number above 256, by some versions above 128.
TERM, KILL = 15, 9

# Codes of qstat that tell of jobs which are not known any more, not of a failure.
UNKNOWN_JOB = 153
NOT_KNOWN = re.compile(r"Unknown Job Id|^\s*$", re.IGNORECASE)

HOPELESS = (
    (
        r"Can Never Run",
        "the queue has no such nodes; ask for fewer or other ones",
    ),
    (
        r"would exceed .* limit|exceeds .* limit",
        "the limit of the queue or project is reached; lower nodes, or ask for more",
    ),
    (
        r"too many failed attempts",
        "its nodes cannot start it; ask the centre why, then let it go or delete it",
    ),
)

# Other reasons, which end by waiting.
PASSING = (
    (
        r"Insufficient amount of|node is in use|No available resources",
        "nodes that it may have are in use",
    ),
    (r"ineligible state", "nodes that it may have are down or taken from the queue"),
    (
        r"reached .*limit",
        "no more may run at once; lower nodes, end other jobs, or name another queue",
    ),
    (
        r"conflict with reservation",
        "others are before it, or its nodes are kept for somebody; a shorter walltime "
        "may fit before that",
    ),
    (
        r"Queue (is )?not started",
        "the queue starts no jobs now; name another one, or ask the centre until when",
    ),
)

# Refusals that no waiting ends, in the words of OpenPBS's own table of errors.
BARRED = (
    (r"Unknown queue", "there is no such queue; name one that qstat -Q tells"),
    (r"Unknown resource", "the server knows no such resource; change extra"),
    (
        r"violates queue and/or server resource limits",
        "the queue allows less; lower walltime or nodes_per_job, or name another one",
    ),
)

_ATTRIBUTE = re.compile(r"(\s+)([A-Za-z_][\w.]*) = ?(.*)")


@dataclass(frozen=True, slots=True)
class Pbs(Silent):
    """Calls of PBS's commands; a `Dialect`.

    Attributes
    ----------
    flavour : str
        `OPEN_PBS`, also for PBS Professional, or `TORQUE`.
    user : str
        Whose jobs; empty: of all, which only tests can want.
    """

    flavour: str = OPEN_PBS
    user: str = ""

    @property
    def name(self) -> str:
        """PBS, whatever its flavour."""
        return "PBS"

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that must be on the path."""
        find = ("qselect",) if self.flavour == OPEN_PBS else ()
        return ("qsub", "qstat", "qdel", "qrls", *find)

    @property
    def launcher(self) -> str:
        """What MPI brings; most are built to find the nodes of a job by PBS."""
        return "mpiexec"

    def submit(self, request: JobRequest, *, test: bool = False) -> Call:
        """Return the call that submits a job, with its script as input.

        Parameters
        ----------
        request : JobRequest
            The job.
        test : bool
            Whether only to ask if it would be accepted. PBS does not say that
            beforehand: asked is whether its server answers.
        """
        if test:
            return Call(argv=("qstat", "-B"), env=ENVIRONMENT)
        argv = ["qsub", "-N", request.tag]
        for resource in self._resources(request):
            argv += ["-l", resource]
        argv += ["-l", f"walltime={_clock(request.walltime_s)}"]
        # Its script writes into a file of its own; another job is there sooner than
        # one that is put back, and tells why the first has ended.
        argv += ["-o", "/dev/null", "-e", "/dev/null", "-r", "n"]
        for option, value in (("-q", request.partition), ("-A", request.account)):
            argv += [option, value] if value else []
        if request.qos:
            argv += ["-W", f"x=QOS:{request.qos}"]
        return Call(argv=(*argv, *request.extra), stdin=self._script(request))

    def submitted(self, stdout: str) -> str:
        """Return the number of the job: ``1234.server``."""
        lines = stdout.split()
        if not lines or not re.fullmatch(r"\d+[\w.-]*", lines[-1]):
            raise ValueError(f"qsub printed no job number: {stdout[:200]!r}")
        return lines[-1]

    def find(self, tag: str) -> Call | None:
        """Return the call that finds the numbers of all jobs with a tag.

        Torque cannot look for jobs that are over.
        """
        if self.flavour == TORQUE:
            return None
        user = ("-u", self.user) if self.user else ()
        return Call(argv=("qselect", "-x", "-N", tag, *user), env=ENVIRONMENT)

    def query(self, tag: str, ids: Sequence[str] = ()) -> Call:
        """Return the call that tells of jobs; `jobs` picks those of a tag."""
        history = ("-x",) if self.flavour == OPEN_PBS else ()
        return Call(argv=("qstat", *history, "-f", *ids), env=ENVIRONMENT)

    def nothing(self, code: int, stderr: str) -> bool:
        """Whether a query that failed says that there is no job to tell of."""
        return code == UNKNOWN_JOB and all(
            NOT_KNOWN.search(line) for line in stderr.splitlines()
        )

    def jobs(self, stdout: str, tag: str) -> list[Job]:
        """Read what qstat printed; jobs of other names are left out."""
        found = []
        for number, told in _blocks(stdout):
            owner = told.get("Job_Owner", "").partition("@")[0]
            if told.get("Job_Name") != tag or self.user not in ("", owner):
                continue
            state = _state(told)
            if state is None:
                # As one that is not told of: over, for a reason that nobody knows.
                continue
            started_s = math.nan
            if not state.waits:
                # Slurm's imitation of Torque has neither of the first two.
                times = ("stime", "start_time", "mtime")
                started_s = _first_s(told, times)
            limit_s = _seconds(told.get("Resource_List.walltime", ""))
            found.append(
                Job(
                    id=number,
                    state=state,
                    reason=told.get("comment", ""),
                    hosts=_hosts(told.get("exec_host", "")),
                    submitted_s=_time_s(told.get("qtime", told.get("ctime", ""))),
                    started_s=started_s,
                    ends_s=_end_s(told, state, started_s + limit_s),
                )
            )
        return found

    def cancel(self, ids: Sequence[str]) -> Call:
        """Return the call that ends jobs."""
        return Call(argv=("qdel", *ids))

    def release(self, ids: Sequence[str]) -> Call | None:
        """Return the call that lets held jobs go."""
        return Call(argv=("qrls", *ids))

    def hopeless(self, reason: str) -> str:
        """Say what a reason to wait means that does not go away by waiting."""
        return meaning_of(reason, HOPELESS, flags=re.IGNORECASE)

    def passing(self, reason: str) -> str:
        """Say what another reason to wait means, and what is done about it."""
        return meaning_of(reason, PASSING, flags=re.IGNORECASE)

    def barred(self, stderr: str) -> str:
        """Say what to change where PBS refuses what will not pass."""
        return meaning_of(stderr, BARRED, flags=re.IGNORECASE)

    def _resources(self, request: JobRequest) -> Iterator[str]:
        memory = math.ceil(request.memory_bytes / 2**20)
        more = f":{request.constraint}" if request.constraint else ""
        if self.flavour == TORQUE:
            yield f"nodes={request.nodes}:ppn={request.cores}{more}"
            if memory:
                # Of all nodes together.
                yield f"mem={memory * request.nodes}mb"
            return
        size = f":mem={memory}mb" if memory else ""
        yield f"select={request.nodes}:ncpus={request.cores}:mpiprocs=1{size}{more}"
        if request.nodes > 1:
            yield "place=scatter"

    def _script(self, request: JobRequest) -> str:
        command = shlex.join(request.command)
        if request.nodes > 1:
            start = "pbsdsh -u" if self.flavour == TORQUE else "pbsdsh --"
            command = f"{start} {command}"
        return logging_script(request, command, number="PBS_JOBID")


def _blocks(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield number and attributes of each job; long lines are put together."""
    number, last, indent = "", "", ""
    told: dict[str, str] = {}
    # Not `splitlines`: a name may have what that takes for an end.
    for line in text.split("\n"):
        match = _ATTRIBUTE.fullmatch(line)
        if line.startswith("Job Id:"):
            if number:
                yield number, told
            number = line.partition(":")[2].strip()
            told, last, indent = {}, "", ""
        # All stand as far in as the first one of the job: what a user exports may look
        # like one, and long lines go on behind a tab.
        elif match and match[1] == (indent or match[1]):
            indent, last = match[1], match[2]
            told[last] = match[3]
        elif line.strip() and last:
            told[last] += line[1:] if line.startswith("\t") else f"\n{line}"
        elif line.strip():
            raise ValueError(f"qstat printed {line[:200]!r}")
    if number:
        yield number, told


def _state(told: Mapping[str, str]) -> JobState | None:
    letter = told.get("job_state", "")
    if letter not in OVER:
        return STATES.get(letter, JobState.UNKNOWN)
    try:
        code = int(told["Exit_status"])
    except (KeyError, ValueError):
        # Deleted before it began, or a system that does not say.
        return JobState.CANCELLED if letter == "F" else None
    if code in WALLTIME:
        return JobState.WALLTIME
    if code in MEMORY:
        return JobState.MEMORY
    if code in GREEDY:
        return JobState.FAILED
    if code < 0:
        return JobState.NODE_FAILED
    number = code - 256 if code > 256 else code - 128
    if number not in (TERM, KILL):
        return JobState.DONE if code == 0 else JobState.FAILED
    used_s = _seconds(told.get("resources_used.walltime", ""))
    limit_s = _seconds(told.get("Resource_List.walltime", ""))
    return JobState.WALLTIME if used_s >= limit_s else JobState.CANCELLED


def _end_s(told: Mapping[str, str], state: JobState, limit_s: float) -> float:
    """Return when it ended or will; NaN while it waits."""
    if state.waits:
        return math.nan
    if state.over:
        times = ("obittime", "comp_time", "mtime")
        ends_s = _first_s(told, times)
        return limit_s if math.isnan(ends_s) else ends_s
    return limit_s


def _first_s(told: Mapping[str, str], names: Sequence[str]) -> float:
    """Return the first of some times that is told; NaN: none is."""
    return next((_time_s(told[name]) for name in names if name in told), math.nan)


def _hosts(text: str) -> tuple[str, ...]:
    """Return the hosts of ``n1/0*4+n2/1``, each once."""
    parts = text.split("+")
    return each_once([part.partition("/")[0].partition(".")[0] for part in parts])


def _clock(seconds: float) -> str:
    whole = math.ceil(seconds)
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def _seconds(clock: str) -> float:
    """Read ``HH:MM:SS``, or plain seconds; NaN: neither."""
    parts = clock.split(":")
    if len(parts) > 4 or not all(part.isdecimal() for part in parts):
        return math.nan
    return float(
        sum(
            int(part) * unit
            for part, unit in zip(reversed(parts), (1, 60, 3600, 86_400), strict=False)
        )
    )


def _time_s(text: str) -> float:
    """Read ``Thu Nov 26 18:17:38 2026``, UTC; NaN: it is no time.

    Some centres have seconds since 1970 before it, and what follows is in brackets.
    """
    if since := re.match(r"(\d{9,11}) \(", text):
        return float(since[1])
    try:
        return float(calendar.timegm(time.strptime(text, "%a %b %d %H:%M:%S %Y")))
    except ValueError:
        return math.nan
