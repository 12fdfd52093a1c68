"""Reads real workloads in the Standard Workload Format.

Decides which lines are jobs that ran, and takes nothing on trust: what is no job is a
fault with its line. Ignores queues, waits and memory.

References
----------
Chapin et al. (1999), JSSPP, LNCS 1659, 67-90: the format. Feitelson, Tsafrir and Krakov
(2014), J. Parallel Distrib. Comput. 74(10), 2967-2982: the archive.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from climorch.errors import BackendError, Fault, InvalidInputError, NotFoundError

__all__ = ["Jobs", "read_swf"]

_FIELDS = 18
_LONGEST_LINE = 4096
_LARGEST = 10**15
_FAULTS_SHOWN = 20

Seconds = npt.NDArray[np.int64]


def _nobody() -> npt.NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jobs:
    """Jobs of a trace, by their arrival.

    Attributes
    ----------
    number : ndarray, shape (job,)
        Their numbers in the trace.
    submit_s : ndarray, shape (job,), s
        Arrival since the start of the trace, ascending.
    run_s : ndarray, shape (job,), s
        How long they ran, cut at ``request_s``; >= 0.
    request_s : ndarray, shape (job,), s
        How long they asked for; >= 1.
    processors : ndarray, shape (job,)
        How many they asked for, or were given where they did not say; >= 1.
    user : ndarray, shape (job,)
        Who, by number; -1: not known.
    machine : int
        Processors of the machine, from the header; 0 where it does not say.
    dropped : mapping of str to int
        Jobs of the trace that are not here, by reason.
    """

    number: npt.NDArray[np.int64]
    submit_s: Seconds
    run_s: Seconds
    request_s: Seconds
    processors: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64] = field(default_factory=_nobody)
    machine: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.number)


def read_swf(path: str | Path) -> Jobs:
    """Read a trace.

    Parameters
    ----------
    path : str or Path
        A file in the Standard Workload Format, plain or compressed by gzip.

    Returns
    -------
    Jobs
        Those that ran: without a run time or a number of processors a job is
        dropped. An unknown request is the run time.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidInputError
        With every fault and its line; the first twenty are shown.
    """
    path = Path(path)
    reading = _Reading(path.name)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            reading.read(gzip.GzipFile(fileobj=raw) if packed else raw)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no trace {path}", path=str(path)) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        reading.fault("", f"the compressed file is damaged: {error}", "fetch it again")
    except OSError as error:
        raise BackendError(f"cannot read the trace {path}: {error}") from error
    return reading.jobs()


class _Reading:
    """A trace as it is read, and all that is wrong with it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[tuple[int, int, int, int, int, int]] = []
        self._dropped: dict[str, int] = {}
        self._faults: list[Fault] = []
        self._more = 0
        self._machine = 0

    def read(self, lines: IO[bytes] | gzip.GzipFile) -> None:
        """Read line by line; a line without an end does not fill the memory."""
        number = 0
        while line := lines.readline(_LONGEST_LINE):
            number += 1
            fields = line.split()
            if line.startswith(b";"):
                self._header(line)
            elif fields:
                self._job(number, fields)

    def fault(self, where: str, problem: str, remedy: str) -> None:
        """Note one thing that is wrong; of very many the first ones are shown."""
        if len(self._faults) < _FAULTS_SHOWN:
            place = self._name + where
            self._faults.append(Fault(place=place, problem=problem, remedy=remedy))
        else:
            self._more += 1

    def jobs(self) -> Jobs:
        """Return what was read, by arrival; equal ones in the order of the file."""
        if not self._faults and not self._rows:
            self.fault("", "it holds no job that ran", "give a trace of jobs")
        if self._faults:
            more = f" ({self._more} more faults are not shown)" if self._more else ""
            raise InvalidInputError(
                f"this trace cannot be read{more}", faults=self._faults
            )
        table = np.asarray(self._rows, dtype=np.int64)
        number, submit_s, run_s, request_s, processors, user = table[
            np.argsort(table[:, 1], kind="stable")
        ].T
        return Jobs(
            number=number,
            submit_s=submit_s,
            run_s=run_s,
            request_s=request_s,
            processors=processors,
            user=user,
            machine=self._machine,
            dropped=self._dropped,
        )

    def _header(self, line: bytes) -> None:
        name, _, value = (
            line.decode("utf-8", "replace").strip("; \t\r\n").partition(":")
        )
        if name.strip() == "MaxProcs" and value.strip().isdecimal():
            self._machine = int(value)

    def _job(self, number: int, fields: list[bytes]) -> None:
        where = f", line {number}"
        if len(fields) != _FIELDS:
            problem = f"{len(fields)} fields, expected {_FIELDS}"
            self.fault(where, problem, "comments begin with ';'")
            return
        try:
            job, submit, run, given, asked, request, user = (
                _whole(fields[at]) for at in (0, 1, 3, 4, 7, 8, 11)
            )
        except (ValueError, OverflowError) as error:
            self.fault(where, str(error), "fields are numbers below 1e15, -1: unknown")
            return
        processors = asked if asked > 0 else given
        reason = ""
        if run < 0:
            reason = "no run time"
        elif processors <= 0:
            reason = "no processors"
        elif submit < 0:
            reason = "no arrival"
        if reason:
            self._dropped[reason] = self._dropped.get(reason, 0) + 1
            return
        request = max(request if request > 0 else run, 1)
        self._rows.append((job, submit, min(run, request), request, processors, user))


def _whole(field: bytes) -> int:
    """Read a number; parts of a second are cut off."""
    try:
        value = int(field)
    except ValueError:
        value = int(float(field))
    if abs(value) > _LARGEST:
        raise ValueError(f"{value} is too large")
    return value
