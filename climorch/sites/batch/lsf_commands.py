"""The commands of LSF and what they print.

Pure but for the year, which what it prints of times lacks. Fields of our choice, which
LSF 10.1 has; times in UTC.
"""

from __future__ import annotations

import calendar
import math
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from climorch.sites.batch.dialects import (
    Silent,
    each_once,
    logging_script,
    meaning_of,
)
from climorch.sites.batch.jobs import Call, Job, JobRequest, JobState

__all__ = ["Lsf"]

ENVIRONMENT: Mapping[str, str] = {
    "TZ": "UTC0",
    "LC_ALL": "C",
    "LSB_DISPLAY_YEAR": "Y",
}

SEPARATOR = "|"
FIELDS = (
    "jobid",
    "stat",
    "submit_time",
    "start_time",
    "finish_time",
    "runtimelimit",
    "exit_code",
    "exit_reason",
    "pend_reason",
    "exec_host",
    "job_name",
)

STATES: Mapping[str, JobState] = {
    "PEND": JobState.QUEUED,
    "PROV": JobState.QUEUED,
    "WAIT": JobState.QUEUED,
    "PSUSP": JobState.HELD,
    "RUN": JobState.RUNNING,
    "USUSP": JobState.RUNNING,
    "SSUSP": JobState.RUNNING,
    "DONE": JobState.DONE,
    "EXIT": JobState.FAILED,
    "ZOMBI": JobState.NODE_FAILED,
}

# Why a job ended that did not end by itself; see "Termination reasons" of LSF 10.1.
ENDS = (
    ("TERM_RUNLIMIT", JobState.WALLTIME),
    ("TERM_DEADLINE", JobState.WALLTIME),
    ("TERM_MEMLIMIT", JobState.MEMORY),
    ("TERM_SWAP", JobState.MEMORY),
    ("TERM_PREEMPT", JobState.PREEMPTED),
    ("TERM_LOAD", JobState.PREEMPTED),
    ("TERM_WINDOW", JobState.PREEMPTED),
    ("TERM_RC", JobState.PREEMPTED),
    ("TERM_REMOVE_HUNG_JOB", JobState.NODE_FAILED),
    ("TERM_ZOMBIE", JobState.NODE_FAILED),
    ("TERM_OWNER", JobState.CANCELLED),
    ("TERM_ADMIN", JobState.CANCELLED),
    ("TERM_FORCE", JobState.CANCELLED),
    ("TERM_BUCKET_KILL", JobState.CANCELLED),
    ("TERM_REQUEUE", JobState.CANCELLED),
)

# What bjobs says, and how it leaves, where there is nothing to tell of.
NOTHING = re.compile(r"No (matching |unfinished |)job found|is not found")

HOPELESS = (
    # That some hosts do not satisfy it, or not now, is said of any job that waits.
    (
        r"no suitable hosts",
        "no host is as it was asked for; lower cores or memory, or another queue",
    ),
    (
        r"queue .*closed|not accepting",
        "the queue is closed; name another one",
    ),
    (
        r"(run ?limit|RUNLIMIT).*(exceed|queue)",
        "the queue allows less time; lower walltime, or name another queue",
    ),
)

# Other reasons, which end by waiting.
PASSING = (
    (
        r"slot limit",
        "no more may be held at once; lower nodes, end other jobs, or name another "
        "queue",
    ),
    (r"dependency condition", "it goes after other jobs"),
    (r"Closed by LSF administrator", "hosts are closed; ask the centre until when"),
    (
        r"requirements .*not satisfied",
        "hosts that it may have are in use or down",
    ),
    (r"waiting for scheduling", "LSF has not looked at it yet"),
)

# Refusals that no waiting ends, in the words of bsub.
BARRED = (
    (
        r"No such queue|User cannot use the queue",
        "name a queue that bqueues -u $USER tells",
    ),
    (
        r"Cannot exceed queue's hard limit",
        "the queue allows less; lower walltime or memory, or name another one",
    ),
)

_SUBMITTED = re.compile(r"Job <(\d+)> is submitted")


# With LSB_DISPLAY_YEAR some versions print the year, in ``bjobs -l`` all; in fields of
# ``-o`` it was seen nowhere.
TIMES = ("%b %d %H:%M:%S", "%b %d %H:%M")


@dataclass(frozen=True, slots=True)
class Lsf(Silent):
    """Calls of LSF's commands; a `Dialect`.

    Attributes
    ----------
    now : callable
        UTC seconds: a time that is told without its year is the nearest such time.
    """

    now: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """LSF."""
        return "LSF"

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that must be on the path."""
        return ("bsub", "bjobs", "bkill", "bresume")

    @property
    def launcher(self) -> str:
        """The launcher of systems on which LSF is found most."""
        return "jsrun"

    def submit(self, request: JobRequest, *, test: bool = False) -> Call:
        """Return the call that submits a job, with its script as input.

        Parameters
        ----------
        request : JobRequest
            The job.
        test : bool
            Whether only to ask if it would be accepted. LSF does not say that
            beforehand: asked is whether it has the queue.
        """
        if test:
            queue = (request.partition,) if request.partition else ()
            return Call(argv=("bqueues", *queue), env=ENVIRONMENT)
        argv = ["bsub", "-J", request.tag]
        argv += ["-n", str(request.nodes * request.cores)]
        argv += ["-R", f"span[ptile={request.cores}]"]
        argv += ["-W", _minutes(request.walltime_s), "-rn"]
        # Its script writes into a file of its own; without this LSF sends mail.
        argv += ["-o", "/dev/null"]
        if request.memory_bytes:
            memory = math.ceil(request.memory_bytes / 2**20)
            # Of each host: with its unit, which else is what the cluster says.
            argv += ["-R", f"rusage[mem={memory}MB/host]"]
        if request.warn_s:
            minutes = str(max(1, math.ceil(request.warn_s / 60)))
            argv += ["-wa", "USR1", "-wt", minutes]
        for option, value in (
            ("-q", request.partition),
            ("-P", request.account),
            ("-sla", request.qos),
        ):
            argv += [option, value] if value else []
        if request.constraint:
            argv += ["-R", f"select[{request.constraint}]"]
        return Call(
            argv=(*argv, *request.extra), stdin=_script(request), env=ENVIRONMENT
        )

    def submitted(self, stdout: str) -> str:
        """Return the number in ``Job <1234> is submitted to queue <normal>``."""
        match = _SUBMITTED.search(stdout)
        if match is None:
            raise ValueError(f"bsub printed no job number: {stdout[:200]!r}")
        return match.group(1)

    def find(self, tag: str) -> Call | None:
        """None: the query finds them."""
        return None

    def query(self, tag: str, ids: Sequence[str] = ()) -> Call:
        """Return the one call that tells of all jobs with a tag."""
        fields = " ".join((*FIELDS, f"delimiter='{SEPARATOR}'"))
        return Call(
            argv=("bjobs", "-a", "-noheader", "-J", tag, "-o", fields), env=ENVIRONMENT
        )

    def nothing(self, code: int, stderr: str) -> bool:
        """Whether a query that failed says that there is no job to tell of."""
        return code != 0 and NOTHING.search(stderr) is not None

    def jobs(self, stdout: str, tag: str) -> list[Job]:
        """Read what bjobs printed; lines of other jobs are left out."""
        found, now_s = [], self.now()
        for line in stdout.splitlines():
            if not line.strip() or NOTHING.search(line):
                continue
            # A reason may contain what separates; the other fields do not.
            values = line.strip().split(SEPARATOR)
            if len(values) < len(FIELDS) or not values[0].isdecimal():
                raise ValueError(f"bjobs printed {line[:200]!r}")
            reason = SEPARATOR.join(values[8:-2])
            told = dict(zip(FIELDS, [*values[:8], reason, *values[-2:]], strict=True))
            if told["job_name"] == tag:
                plain = {name: _plain(told[name]) for name in FIELDS}
                found.append(_job(plain, now_s))
        return found

    def cancel(self, ids: Sequence[str]) -> Call:
        """Return the call that ends jobs."""
        return Call(argv=("bkill", *ids))

    def release(self, ids: Sequence[str]) -> Call | None:
        """Return the call that lets held jobs go."""
        return Call(argv=("bresume", *ids))

    def hopeless(self, reason: str) -> str:
        """Say what a reason to wait means that does not go away by waiting."""
        return meaning_of(reason, HOPELESS, flags=re.IGNORECASE)

    def passing(self, reason: str) -> str:
        """Say what another reason to wait means, and what is done about it."""
        return meaning_of(reason, PASSING, flags=re.IGNORECASE)

    def barred(self, stderr: str) -> str:
        """Say what to change where LSF refuses what will not pass."""
        return meaning_of(stderr, BARRED, flags=re.IGNORECASE)


def _job(told: Mapping[str, str], now_s: float) -> Job:
    state = STATES.get(told["stat"], JobState.UNKNOWN)
    if state is JobState.FAILED:
        named = (end for word, end in ENDS if told["exit_reason"].startswith(word))
        state = next(named, state)
    started_s = _time_s(told["start_time"], now_s)
    ends_s = _time_s(told["finish_time"], now_s)
    if not state.over:
        # What it says of a job that runs is a guess; the limit is none.
        ends_s = started_s + _limit_s(told["runtimelimit"])
    return Job(
        id=told["jobid"],
        state=state,
        reason=told["pend_reason"] if state.waits else told["exit_reason"],
        hosts=_hosts(told["exec_host"]),
        submitted_s=_time_s(told["submit_time"], now_s),
        started_s=math.nan if state.waits else started_s,
        ends_s=math.nan if state.waits else ends_s,
    )


def _script(request: JobRequest) -> str:
    command = shlex.join(request.command)
    if request.nodes > 1:
        # LSB_HOSTS names a host once for each slot.
        hosts = "$(printf '%s\\n' $LSB_HOSTS | sort -u | tr '\\n' ' ')"
        command = f'blaunch -z "{hosts}" {command}'
    return logging_script(request, command, number="LSB_JOBID")


def _hosts(text: str) -> tuple[str, ...]:
    """Return the hosts of ``4*n1:4*n2``, each once."""
    parts = text.split(":")
    return each_once([part.rpartition("*")[2].partition(".")[0] for part in parts])


def _minutes(seconds: float) -> str:
    """Return whole minutes; LSF counts no smaller ones."""
    return str(max(1, math.ceil(seconds / 60)))


def _plain(value: str) -> str:
    return "" if value.strip() == "-" else value.strip()


def _limit_s(text: str) -> float:
    """Read minutes or ``HH:MM[:SS]``, as well with a host; NaN: neither."""
    if clock := re.match(r"(\d+):(\d\d)(?::(\d\d))?", text):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return hours * 3600.0 + minutes * 60.0 + seconds
    plain = re.match(r"\d+(\.\d+)?", text)
    return float(plain[0]) * 60.0 if plain else math.nan


def _time_s(text: str, now_s: float) -> float:
    """Read ``Nov 26 18:17:38 2026``, without seconds or year too; NaN: no time."""
    # A letter behind it says whether it is estimated.
    plain = re.sub(r"\s+[A-Z]$", "", text)
    known = [_read_s(plain, f"{form} %Y") for form in TIMES]
    year = time.gmtime(now_s).tm_year
    # With the year before the rest: there is a 29th of February only in some.
    known += [
        _read_s(f"{near} {plain}", f"%Y {form}")
        for form in TIMES
        for near in (year - 1, year, year + 1)
    ]
    found = [told_s for told_s in known if not math.isnan(told_s)]
    return min(found, key=lambda told_s: abs(told_s - now_s), default=math.nan)


def _read_s(text: str, form: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text, form)))
    except ValueError:
        return math.nan
