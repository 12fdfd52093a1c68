"""Batch jobs as every batch system has them, and what one must be able to say.

Values and one protocol. A job here only holds nodes: what computes on them is
started within it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

__all__ = ["Call", "Closure", "Dialect", "Job", "JobRequest", "JobState"]


class JobState(Enum):
    """Where a job stands."""

    QUEUED = "queued"
    """It waits for nodes."""
    HELD = "held"
    """It waits for somebody to let it go."""
    RUNNING = "running"
    """It has its nodes."""
    ENDING = "ending"
    """It is told to end, and still has its nodes."""
    DONE = "done"
    """It ended by itself, without an error."""
    FAILED = "failed"
    """It ended by itself, with an error."""
    CANCELLED = "cancelled"
    """Somebody ended it."""
    WALLTIME = "walltime"
    """Its time was over."""
    PREEMPTED = "preempted"
    """Others had a better right to its nodes."""
    NODE_FAILED = "node failed"
    """A node of it broke."""
    MEMORY = "memory"
    """It used more memory than it had asked for."""
    UNKNOWN = "unknown"
    """The batch system says something that is not known here."""

    @property
    def waits(self) -> bool:
        """Whether it may still get its nodes."""
        return self in (JobState.QUEUED, JobState.HELD)

    @property
    def over(self) -> bool:
        """Whether it has no nodes and will get none."""
        alive = (JobState.RUNNING, JobState.ENDING, JobState.UNKNOWN)
        return not self.waits and self not in alive


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job to be submitted.

    Attributes
    ----------
    tag : str
        Written into the job, the same for all jobs of a site: they are found
        by it again, whatever became of the answer to a submission.
    serial : int
        Which of them, from 1.
    nodes : int
        Nodes, >= 1.
    cores : int
        Cores of each node for compute, >= 1.
    memory_bytes : int
        Memory of each node; 0: what the batch system gives.
    walltime_s : float
        Seconds after which it is ended.
    least_walltime_s : float
        It may be given so little, where that lets it begin earlier; 0: not less
        than ``walltime_s``.
    warn_s : float
        Seconds before its end at which it is to be told.
    partition, account, qos, constraint : str
        As the batch system has them; empty: its default.
    extra : tuple of str
        More options, as its submit command takes them.
    log : str
        Path of a file for what it prints.
    command : tuple of str
        To be started once on each node.
    """

    tag: str
    serial: int = 1
    nodes: int = 1
    cores: int = 1
    memory_bytes: int = 0
    walltime_s: float = 86_400.0
    least_walltime_s: float = 0.0
    warn_s: float = 0.0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    extra: tuple[str, ...] = ()
    log: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the batch system told of it.

    Attributes
    ----------
    id : str
        Its number.
    state : JobState
        Where it stands.
    reason : str
        The batch system's word for why.
    hosts : tuple of str
        Its nodes, as the batch system names them.
    submitted_s, started_s, ends_s : float
        UTC seconds; NaN: not known.
    restarts : int
        How often it was put back into the queue.
    """

    id: str
    state: JobState
    reason: str = ""
    hosts: tuple[str, ...] = ()
    submitted_s: float = math.nan
    started_s: float = math.nan
    ends_s: float = math.nan
    restarts: int = 0

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names under which its nodes join: a host may serve one job after another."""
        return tuple(f"{host}.{self.id}" for host in self.hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Hosts that the batch system will not let anybody have for a while.

    Attributes
    ----------
    name : str
        The batch system's name for it.
    hosts : tuple of str
        Which; empty: all.
    start_s, stop_s : float
        UTC seconds.
    """

    name: str
    hosts: tuple[str, ...]
    start_s: float
    stop_s: float

    def covers(self, host: str) -> bool:
        """Whether a host is one of those meant."""
        return not self.hosts or host in self.hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A command of the batch system to be run.

    Attributes
    ----------
    argv : tuple of str
        Program and arguments; never a shell's line.
    stdin : str
        What it reads.
    env : mapping of str to str
        What it needs beside our own environment.
    """

    argv: tuple[str, ...]
    stdin: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """The commands of one batch system and what they print: pure functions."""

    @property
    def name(self) -> str:
        """Name of the batch system."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that must be on the path here."""

    @property
    def launcher(self) -> str:
        """What starts programs with MPI on the nodes of a job."""

    def submit(self, request: JobRequest, *, test: bool = False) -> Call:
        """Return the call that submits a job, or only asks whether it could be."""

    def submitted(self, stdout: str) -> str:
        """Return the number of the job that a submission printed.

        Raises
        ------
        ValueError
            If there is none.
        """

    def find(self, tag: str) -> Call | None:
        """Return the call that prints the numbers of all jobs with a tag.

        None: `query` needs none.
        """

    def query(self, tag: str, ids: Sequence[str] = ()) -> Call:
        """Return the one call that tells of all jobs with a tag, recent ends too.

        Parameters
        ----------
        tag : str
            Which.
        ids : sequence of str
            Their numbers, where `find` says how to find them.
        """

    def nothing(self, code: int, stderr: str) -> bool:
        """Whether a call of `find` or `query` that failed says that there is no job.

        Parameters
        ----------
        code : int
            Its exit code.
        stderr : str
            What it said.
        """

    def jobs(self, stdout: str, tag: str) -> list[Job]:
        """Read the answer to `query`.

        Raises
        ------
        ValueError
            If it is no such answer.
        """

    def cancel(self, ids: Sequence[str]) -> Call:
        """Return the call that ends jobs."""

    def release(self, ids: Sequence[str]) -> Call | None:
        """Return the call that lets held jobs go; None: there is no such thing."""

    def closures(self) -> Call | None:
        """Return the call that tells of maintenance; None: there is no such thing."""

    def closed(self, stdout: str) -> list[Closure]:
        """Read the answer to `closures`."""

    def hopeless(self, reason: str) -> str:
        """Say what a reason to wait means that does not go away by waiting.

        Empty: it does.
        """

    def passing(self, reason: str) -> str:
        """Say what another reason to wait means, and what is done about it.

        Empty: nobody knows, or its words say it.
        """

    def barred(self, stderr: str) -> str:
        """Say what to change where a submission was refused for what will not pass.

        Empty: it may be taken another time.

        Parameters
        ----------
        stderr : str
            What the submission, or the question whether it would be taken, said.
        """

    def clock(self) -> Call | None:
        """Return the call that tells the batch system's time; None: there is none."""

    def clock_s(self, stdout: str) -> float:
        """Read the answer to `clock`, UTC seconds.

        Raises
        ------
        ValueError
            If it tells no time.
        """
