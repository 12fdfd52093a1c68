"""What dialects of batch systems share: words that they all read or write alike.

Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from climorch.sites.batch.hosts import MOST_HOSTS
from climorch.sites.batch.jobs import Call, Closure, JobRequest

__all__ = ["Silent", "each_once", "logging_script", "meaning_of"]


class Silent:
    """Part of a `Dialect` whose system tells neither its time nor its maintenance."""

    __slots__ = ()

    def closures(self) -> Call | None:
        """None: reservations for maintenance are not read."""
        return None

    def closed(self, stdout: str) -> list[Closure]:
        """Return none."""
        return []

    def clock(self) -> Call | None:
        """None: no command tells the time of the system."""
        return None

    def clock_s(self, stdout: str) -> float:
        """Refuse: there is nothing to read."""
        raise ValueError(f"{type(self).__name__} tells no time")


def meaning_of(
    reason: str, hopeless: Iterable[tuple[str, str]], *, flags: re.RegexFlag
) -> str:
    """Say what a reason to wait means that does not go away by waiting.

    Parameters
    ----------
    reason : str
        In the words of the batch system.
    hopeless : iterable of (str, str)
        Patterns and what they mean; the first that is found counts.
    flags : re.RegexFlag
        Of the patterns.

    Returns
    -------
    str
        Empty: it may go away.
    """
    for pattern, meaning in hopeless:
        if re.search(pattern, reason, flags):
            return meaning
    return ""


def each_once(hosts: list[str]) -> tuple[str, ...]:
    """Return hosts in their order, each once, without empty names.

    Parameters
    ----------
    hosts : list of str
        A name may come for each core.

    Raises
    ------
    ValueError
        If there are more than `MOST_HOSTS`.
    """
    if len(hosts) > MOST_HOSTS:
        raise ValueError(f"more than {MOST_HOSTS} hosts")
    return tuple(dict.fromkeys(host for host in hosts if host))


def logging_script(request: JobRequest, command: str, *, number: str) -> str:
    """Return a script that writes into the job's log, and becomes its command.

    Parameters
    ----------
    request : JobRequest
        The job.
    command : str
        What it runs, as a shell reads it.
    number : str
        The variable that has the number of the job where it runs.
    """
    # The name of the file is made where its number is known.
    log = shlex.quote(request.log).replace("%j", f"'\"${{{number}:-$$}}\"'")
    redirect = f"exec >>{log} 2>&1\n" if request.log else ""
    return f"#!/bin/sh\n{redirect}exec {command}\n"
