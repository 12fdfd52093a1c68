"""What LSFs of other centres have printed, as their users have shown it.

Layout, words and kinds of values are theirs; names, numbers and times are ours, in the
order of our fields. Where each is from:

- times without year and often without seconds, ``-`` for what is not there, a letter
  behind an end: https://github.com/gc3pie/gc3pie/issues/514 and
  https://github.com/aiidateam/aiida-core/blob/main/tests/schedulers/test_lsf.py
- a limit as ``00:10:00``, a host once for each slot:
  https://github.com/TheRoddyWMS/BatchEuphoria
- a limit in minutes, slots before a host:
  https://github.com/cooperative-computing-lab/cctools/issues/2479
- states that are no end, and ends without an exit code, of LSF 10.1.0.15:
  https://github.com/ibm-granite/granite.build/pull/248
- reasons to wait: https://github.com/IBMSpectrumComputing/lsf-python-api/pull/60 and
  https://github.com/arvados/arvados/blob/main/lib/lsf/dispatch_test.go
- what is said where a job is forgotten, or nobody answers:
  https://github.com/galaxyproject/galaxy/pull/7007 and
  https://github.com/DataBiosphere/toil/issues/3097
"""

from __future__ import annotations

import math

import pytest

from climorch.sites.batch.jobs import JobState
from climorch.sites.batch.lsf_commands import Lsf

# 2026-01-02 00:10:00 UTC.
NOW_S = 1767312600.0
LSF = Lsf(now=lambda: NOW_S)

ANSWER = """\
7642|EXIT|Jan  1 22:44|Jan  1 22:45|Jan  1 22:56|00:10:00|140|TERM_RUNLIMIT: job kille\
d after reaching LSF run time limit|-|n1:n1|camp
7643|RUN|Dec 31 23:40|Dec 31 23:48|Jan  1 23:48 L|1440.0|-|-|-|12*n2.hpc.local|camp
7644|RUN|Jan  1 23:59|Jan  2 00:05|Jan  2 00:15 L|00:10:00|-|-|-|n3:n3|camp
7645|PEND|Jan  2 00:06|-|Jan  2 01:53 L|1440.0|-|-|New job is waiting for scheduling;\
|-|camp
7646|DONE|Dec 30 14:54|Dec 30 14:54|Dec 30 14:56 L|1440.0|-|-|-|n4|camp
"""


def test_a_time_without_a_year_is_the_nearest() -> None:
    """Across New Year too; a limit is minutes or a clock, a host is named once."""
    ended, long, short, waits, done = LSF.jobs(ANSWER, "camp")

    assert (ended.state, ended.hosts) == (JobState.WALLTIME, ("n1",))
    assert NOW_S - ended.ends_s == 74 * 60.0
    assert (long.state, long.hosts) == (JobState.RUNNING, ("n2",))
    assert NOW_S - long.started_s == 22 * 60.0 + 86_400.0
    assert long.ends_s - long.started_s == 86_400.0
    assert short.hosts == ("n3",)
    assert short.ends_s - NOW_S == 5 * 60.0
    assert NOW_S - waits.submitted_s == 4 * 60.0
    assert math.isnan(waits.ends_s)
    assert done.state is JobState.DONE
    assert done.ends_s - done.started_s == 120.0


@pytest.mark.parametrize(
    ("told", "now_s", "started_s"),
    [
        ("Dec 31 23:48", 1767312600.0, 1767224880.0),
        ("Jan  1 00:30", 1767225600.0 - 60.0, 1767227400.0),
        # A year that has it, though the present one has not.
        ("Feb 29 12:00", 1709208000.0 + 60.0, 1709208000.0),
        ("Feb 29 12:00", 1709208000.0 + 320 * 86_400.0, 1709208000.0),
        ("Feb 30 12:00", 1709208000.0, math.nan),
        ("-", 1709208000.0, math.nan),
    ],
)
def test_years_are_told_apart(told: str, now_s: float, started_s: float) -> None:
    """By the driver's own."""
    lsf = Lsf(now=lambda: now_s)
    (job,) = lsf.jobs(f"1|RUN|-|{told}|-|60.0|-|-|-|n|camp\n", "camp")
    assert job.started_s == pytest.approx(started_s, nan_ok=True)


@pytest.mark.parametrize(
    ("told", "limit_s"),
    [
        ("00:10:00", 600.0),
        ("36:00:05", 129_605.0),
        ("24:00/host1", 86_400.0),
        ("1440.0", 86_400.0),
        ("60.0/host1", 3600.0),
        ("-", math.nan),
        ("soon", math.nan),
    ],
)
def test_a_limit_is_minutes_or_a_clock(told: str, limit_s: float) -> None:
    """As the centre has configured it."""
    line = f"1|RUN|-|Jan  2 00:05|-|{told}|-|-|-|n|camp\n"
    (job,) = LSF.jobs(line, "camp")
    assert job.ends_s - job.started_s == pytest.approx(limit_s, nan_ok=True)


@pytest.mark.parametrize(
    ("stat", "code", "reason", "state"),
    [
        ("PSUSP", "-", "-", JobState.HELD),
        ("SSUSP", "-", "-", JobState.RUNNING),
        ("USUSP", "-", "-", JobState.RUNNING),
        ("UNKWN", "-", "-", JobState.UNKNOWN),
        ("EXIT", "-", "TERM_OWNER: job killed by owner", JobState.CANCELLED),
        ("EXIT", "127", "-", JobState.FAILED),
        ("DONE", "-", "-", JobState.DONE),
    ],
)
def test_the_state_decides_and_not_the_code(
    stat: str, code: str, reason: str, state: JobState
) -> None:
    """A third of all that failed has none, and all that is suspended."""
    line = f"1|{stat}|Jan  2 00:05|-|-|60.0|{code}|{reason}|-|n|camp\n"
    (job,) = LSF.jobs(line, "camp")
    assert job.state is state


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [
        ("New job is waiting for scheduling;", False),
        ("Job's resource requirements not satisfied: 1 host;", False),
        (
            "Job's requirements for resource reservation not satisfied (Resource: mem)"
            ": 4 hosts;",
            False,
        ),
        ("Closed by LSF administrator: 1 host;", False),
        ("There are no suitable hosts for the job;", True),
    ],
)
def test_what_some_hosts_lack_does_not_make_it_hopeless(
    reason: str, hopeless: bool
) -> None:
    """It is said of any job that waits for others to end."""
    assert bool(LSF.hopeless(reason)) is hopeless


def test_a_forgotten_job_is_told_beside_the_answer() -> None:
    """That nobody answers is no such thing, wherever it is said."""
    assert LSF.nothing(255, "Job <7642> is not found\n")
    please = "Cannot connect to LSF. Please wait ...\n"
    assert not LSF.nothing(255, please)
    with pytest.raises(ValueError, match="bjobs printed"):
        LSF.jobs(please, "camp")


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("New job is waiting for scheduling;", "not looked at it"),
        ("Job's resource requirements not satisfied: 1 host;", "in use or down"),
        (
            "Job's requirements for resource reservation not satisfied (Resource: mem)"
            ": 4 hosts;",
            "in use or down",
        ),
        ("Closed by LSF administrator: 1 host;", "hosts are closed"),
        ("Something else: 1 host;", ""),
    ],
)
def test_what_goes_away_has_a_meaning(reason: str, meaning: str) -> None:
    """For who waits for it; other words speak for themselves."""
    assert meaning in LSF.passing(reason)
    assert bool(LSF.passing(reason)) is bool(meaning)
