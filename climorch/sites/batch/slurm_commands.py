"""The commands of Slurm and what they print.

Pure. Text with fields of our choice, which is the same in all versions since
17.11, where its JSON has changed with most; times as epoch seconds, so that no time
zone has to be known. Compared with what Slurm 22.05 prints.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence

from climorch.sites.batch.dialects import meaning_of
from climorch.sites.batch.hosts import expand
from climorch.sites.batch.jobs import Call, Closure, Job, JobRequest, JobState
from climorch.sites.batch.slurm_reasons import BARRED, HOPELESS, PASSING

__all__ = ["Slurm"]

# Epoch seconds instead of local times; see the man pages of squeue and scontrol.
ENVIRONMENT: Mapping[str, str] = {"SLURM_TIME_FORMAT": "%s"}

SEPARATOR = "|"
FIELDS = (
    "JobID",
    "State",
    "Reason",
    "RestartCnt",
    "SubmitTime",
    "StartTime",
    "EndTime",
    "NodeList",
    "Name",
)

STATES: Mapping[str, JobState] = {
    "PENDING": JobState.QUEUED,
    "CONFIGURING": JobState.QUEUED,
    "REQUEUED": JobState.QUEUED,
    "REQUEUE_FED": JobState.QUEUED,
    "REQUEUE_HOLD": JobState.HELD,
    "SPECIAL_EXIT": JobState.HELD,
    "RESV_DEL_HOLD": JobState.HELD,
    "RUNNING": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "STOPPED": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "COMPLETING": JobState.ENDING,
    "STAGE_OUT": JobState.ENDING,
    "COMPLETED": JobState.DONE,
    "FAILED": JobState.FAILED,
    "BOOT_FAIL": JobState.NODE_FAILED,
    "LAUNCH_FAILED": JobState.NODE_FAILED,
    "NODE_FAIL": JobState.NODE_FAILED,
    "RECONFIG_FAIL": JobState.NODE_FAILED,
    "CANCELLED": JobState.CANCELLED,
    "REVOKED": JobState.CANCELLED,
    "TIMEOUT": JobState.WALLTIME,
    "DEADLINE": JobState.WALLTIME,
    "PREEMPTED": JobState.PREEMPTED,
    "OUT_OF_MEMORY": JobState.MEMORY,
}

# A job that is held waits, as far as its state tells.
HELD = re.compile(r"JobHeld|launch failed requeued held", re.IGNORECASE)


class Slurm:
    """Calls of Slurm's commands; a `Dialect`.

    Parameters
    ----------
    user : str
        Whose jobs are asked for: another user may have a campaign of the same
        name. Empty: everybody's.
    """

    def __init__(self, user: str = "") -> None:
        self.user = user

    @property
    def name(self) -> str:
        """Slurm."""
        return "Slurm"

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that must be on the path."""
        return ("sbatch", "squeue", "scancel", "scontrol")

    @property
    def launcher(self) -> str:
        """A step within the job."""
        return "srun"

    def submit(self, request: JobRequest, *, test: bool = False) -> Call:
        """Return the call that submits a job, with its script as input.

        Parameters
        ----------
        request : JobRequest
            The job.
        test : bool
            Whether only to ask if it would be accepted.
        """
        argv = [
            "sbatch",
            *(["--test-only"] if test else ["--parsable"]),
            f"--job-name={request.tag}",
            f"--comment={request.tag}.{request.serial}",
            f"--nodes={request.nodes}",
            "--ntasks-per-node=1",
            # The I/O thread needs no core of its own.
            f"--cpus-per-task={request.cores}",
            f"--time={_minutes(request.walltime_s)}",
            "--open-mode=append",
            # Slurm lets a job that it puts back wait for two minutes; another one is
            # there sooner, and tells why the first has ended.
            "--no-requeue",
        ]
        if request.memory_bytes:
            argv.append(f"--mem={math.ceil(request.memory_bytes / 2**20)}M")
        if request.least_walltime_s:
            argv.append(f"--time-min={_minutes(request.least_walltime_s)}")
        if request.warn_s:
            # To the steps, not to the script: the agents are steps.
            argv.append(f"--signal=USR1@{math.ceil(request.warn_s)}")
        argv += [
            f"--{name}={value}"
            for name, value in (
                ("partition", request.partition),
                ("account", request.account),
                ("qos", request.qos),
                ("constraint", request.constraint),
                ("output", request.log),
            )
            if value
        ]
        return Call(argv=(*argv, *request.extra), stdin=_script(request))

    def submitted(self, stdout: str) -> str:
        """Return the number of the job: ``1234``, or ``1234;cluster``."""
        number = stdout.strip().partition(";")[0]
        if not number.isdecimal():
            raise ValueError(f"sbatch printed no job number: {stdout[:200]!r}")
        return number

    def find(self, tag: str) -> Call | None:
        """None: the query finds them."""
        return None

    def nothing(self, code: int, stderr: str) -> bool:
        """Return False: where there is no job squeue tells so by telling nothing."""
        return False

    def query(self, tag: str, ids: Sequence[str] = ()) -> Call:
        """Return the one call that tells of all jobs with a tag."""
        fields = ",".join(f"{field}:{SEPARATOR}" for field in FIELDS)
        return Call(
            argv=(
                "squeue",
                "--noheader",
                "--states=all",
                f"--name={tag}",
                *([f"--user={self.user}"] if self.user else []),
                f"--Format={fields}",
            ),
            env=ENVIRONMENT,
        )

    def jobs(self, stdout: str, tag: str) -> list[Job]:
        """Read what squeue printed; lines of other jobs are left out."""
        found = []
        for line in stdout.splitlines():
            values = line.strip().removesuffix(SEPARATOR).split(SEPARATOR)
            if len(values) != len(FIELDS):
                raise ValueError(f"squeue printed {line[:200]!r}")
            told = dict(zip(FIELDS, map(str.strip, values), strict=True))
            if told["Name"] != tag:
                continue
            state = STATES.get(told["State"].split(" ")[0], JobState.UNKNOWN)
            if state is JobState.QUEUED and HELD.search(told["Reason"]):
                state = JobState.HELD
            found.append(
                Job(
                    id=told["JobID"],
                    state=state,
                    reason=_plain(told["Reason"]),
                    hosts=expand(_plain(told["NodeList"])),
                    submitted_s=_time_s(told["SubmitTime"]),
                    # Of a job that waits these are guesses of Slurm's.
                    started_s=math.nan if state.waits else _time_s(told["StartTime"]),
                    ends_s=math.nan if state.waits else _time_s(told["EndTime"]),
                    restarts=int(_plain(told["RestartCnt"]) or 0),
                )
            )
        return found

    def cancel(self, ids: Sequence[str]) -> Call:
        """Return the call that ends jobs."""
        return Call(argv=("scancel", *ids))

    def release(self, ids: Sequence[str]) -> Call | None:
        """Return the call that lets held jobs go."""
        return Call(argv=("scontrol", "release", ",".join(ids)))

    def closures(self) -> Call | None:
        """Return the call that tells of reservations."""
        return Call(
            argv=("scontrol", "--oneliner", "show", "reservation"), env=ENVIRONMENT
        )

    def closed(self, stdout: str) -> list[Closure]:
        """Read which reservations are for maintenance."""
        found = []
        for line in stdout.splitlines():
            told = dict(part.split("=", 1) for part in line.split() if "=" in part)
            flags = told.get("Flags", "").split(",")
            if "ReservationName" not in told or "MAINT" not in flags:
                continue
            found.append(
                Closure(
                    name=told["ReservationName"],
                    hosts=expand(_plain(told.get("Nodes", ""))),
                    start_s=_time_s(told.get("StartTime", "")),
                    stop_s=_time_s(told.get("EndTime", "")),
                )
            )
        return found

    def clock(self) -> Call | None:
        """Return a call whose answer begins with the controller's time."""
        return Call(argv=("scontrol", "show", "config"), env=ENVIRONMENT)

    def clock_s(self, stdout: str) -> float:
        """Read ``Configuration data as of 1795701844``, and no more of it."""
        word = stdout.partition("\n")[0].rpartition(" ")[2]
        return float(int(word))

    def hopeless(self, reason: str) -> str:
        """Say what a reason to wait means that does not go away by waiting."""
        return meaning_of(reason, HOPELESS, flags=re.NOFLAG)

    def passing(self, reason: str) -> str:
        """Say what another reason to wait means, and what is done about it."""
        return meaning_of(reason, PASSING, flags=re.NOFLAG)

    def barred(self, stderr: str) -> str:
        """Say what to change where Slurm refuses what will not pass."""
        return meaning_of(stderr, BARRED, flags=re.NOFLAG)


def _script(request: JobRequest) -> str:
    """Return the script of a job: its command as one step on all nodes.

    A step is told at the start of its time to leave, the script only at its end.
    """
    step = [
        "srun",
        "--ntasks-per-node=1",
        # Since 22.05 a step does not take this from its job.
        f"--cpus-per-task={request.cores}",
        "--cpu-bind=none",
        "--kill-on-bad-exit=0",
        *request.command,
    ]
    return f"#!/bin/sh\nexec {shlex.join(step)}\n"


def _minutes(seconds: float) -> int:
    """Return whole minutes; Slurm counts no smaller ones."""
    return max(1, math.ceil(seconds / 60))


def _plain(value: str) -> str:
    return "" if value in ("(null)", "N/A", "None", "n/a") else value


def _time_s(value: str) -> float:
    return float(value) if value.isdecimal() else math.nan
