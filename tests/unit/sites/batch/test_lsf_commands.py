"""What is said to LSF, and what it answers.

Written after the documentation of LSF 10.1; nothing here was printed by an LSF that we
could ask. What LSFs of others have printed is in `test_captured_lsf`.
"""

from __future__ import annotations

import math

import pytest

from climorch.sites.batch.jobs import JobRequest, JobState
from climorch.sites.batch.lsf_commands import Lsf

LSF = Lsf()


def test_a_job_is_submitted_with_all_that_was_asked_for() -> None:
    """Slots of all nodes, so many on each; whole minutes, memory with its unit."""
    call = LSF.submit(
        JobRequest(
            tag="cmip",
            nodes=2,
            cores=4,
            memory_bytes=3 * 2**30 + 1,
            walltime_s=86_370.0,
            warn_s=290.0,
            partition="long",
            account="climate",
            qos="gold",
            constraint="ib",
            extra=("-x",),
            log="/data/%j.log",
            command=("python", "agent.py", "/data/with space"),
        )
    )
    assert call.argv == (
        *("bsub", "-J", "cmip", "-n", "8", "-R", "span[ptile=4]"),
        *("-W", "1440", "-rn", "-o", "/dev/null"),
        *("-R", "rusage[mem=3073MB/host]", "-wa", "USR1", "-wt", "5"),
        *("-q", "long", "-P", "climate", "-sla", "gold", "-R", "select[ib]", "-x"),
    )
    assert call.stdin == (
        "#!/bin/sh\n"
        "exec >>/data/'\"${LSB_JOBID:-$$}\"'.log 2>&1\n"
        "exec blaunch -z \"$(printf '%s\\n' $LSB_HOSTS | sort -u | tr '\\n' ' ')\" "
        "python agent.py '/data/with space'\n"
    )


def test_what_was_not_asked_for_is_left_to_lsf() -> None:
    """A test asks whether there is such a queue."""
    call = LSF.submit(JobRequest(tag="t", walltime_s=60.0, command=("a", "b")))
    assert call.argv == (
        *("bsub", "-J", "t", "-n", "1", "-R", "span[ptile=1]"),
        *("-W", "1", "-rn", "-o", "/dev/null"),
    )
    assert call.stdin == "#!/bin/sh\nexec a b\n"
    assert LSF.submit(JobRequest(tag="t"), test=True).argv == ("bqueues",)
    asked = LSF.submit(JobRequest(tag="t", partition="long"), test=True)
    assert asked.argv == ("bqueues", "long")


@pytest.mark.parametrize(
    "printed",
    [
        "Job <12> is submitted to queue <normal>.\n",
        "Job <12> is submitted to default queue <normal>.\n",
        "Info: project is charged\nJob <12> is submitted to queue <long>.\n",
    ],
)
def test_the_number_of_a_job_is_read(printed: str) -> None:
    """Whatever a wrapper has said before."""
    assert LSF.submitted(printed) == "12"


@pytest.mark.parametrize("printed", ["", "12", "Request aborted by esub"])
def test_anything_else_is_no_number(printed: str) -> None:
    """It must not be taken for a job."""
    with pytest.raises(ValueError, match="no job number"):
        LSF.submitted(printed)


def test_one_question_tells_of_all_jobs() -> None:
    """By name, those that are over too, times with their year."""
    call = LSF.query("cmip")
    assert call.argv == (
        *("bjobs", "-a", "-noheader", "-J", "cmip", "-o"),
        "jobid stat submit_time start_time finish_time runtimelimit exit_code "
        "exit_reason pend_reason exec_host job_name delimiter='|'",
    )
    assert call.env == {"TZ": "UTC0", "LC_ALL": "C", "LSB_DISPLAY_YEAR": "Y"}
    assert LSF.find("cmip") is None


ANSWER = """\
1|RUN|Nov 26 18:17:30 2026|Nov 26 18:17:38 2026|Nov 26 19:17:38 2026 L|60.0|-|-|-|\
4*n1:4*n2.cluster|cmip
2|PEND|Nov 26 18:17 2026|-|-|60.0/host|-|-|New job | is waiting;|-|cmip
3|RUN|Nov 26 18:17:30 2026|Nov 26 18:17:38 2026|-|-|-|-|-|n3|other
"""


def test_jobs_are_read_and_those_of_others_are_left_out() -> None:
    """Hosts once; a reason may contain what separates."""
    busy, waits = LSF.jobs(ANSWER, "cmip")
    assert (busy.id, busy.state, busy.hosts) == ("1", JobState.RUNNING, ("n1", "n2"))
    assert (busy.submitted_s, busy.started_s) == (1795717050.0, 1795717058.0)
    assert busy.ends_s == busy.started_s + 3600.0
    assert (waits.state, waits.hosts) == (JobState.QUEUED, ())
    assert waits.reason == "New job | is waiting;"
    assert waits.submitted_s == 1795717020.0
    assert math.isnan(waits.ends_s)


@pytest.mark.parametrize(
    ("stat", "reason", "state"),
    [
        ("PSUSP", "-", JobState.HELD),
        ("SSUSP", "-", JobState.RUNNING),
        ("UNKWN", "-", JobState.UNKNOWN),
        ("ZOMBI", "-", JobState.NODE_FAILED),
        ("DONE", "-", JobState.DONE),
        ("EXIT", "-", JobState.FAILED),
        ("EXIT", "TERM_RUNLIMIT: job killed after reaching", JobState.WALLTIME),
        ("EXIT", "TERM_MEMLIMIT: job killed after reaching", JobState.MEMORY),
        ("EXIT", "TERM_OWNER: job killed by owner", JobState.CANCELLED),
        ("EXIT", "TERM_FORCE_ADMIN: job killed by root", JobState.CANCELLED),
        ("EXIT", "TERM_PREEMPT: job killed after preemption", JobState.PREEMPTED),
        ("EXIT", "TERM_REMOVE_HUNG_JOB: removed", JobState.NODE_FAILED),
        ("EXIT", "TERM_UNKNOWN", JobState.FAILED),
    ],
)
def test_every_end_has_its_cause(stat: str, reason: str, state: JobState) -> None:
    """By LSF's word for it."""
    (job,) = LSF.jobs(f"1|{stat}|-|-|-|60|1|{reason}|-|-|t\n", "t")
    assert job.state is state


def test_an_end_is_when_it_was_or_when_it_will_be() -> None:
    """Without a limit nobody knows."""
    start = "Nov 26 18:00:00 2026"
    (over,) = LSF.jobs(f"1|DONE|-|{start}|Nov 26 18:00:09 2026 L|60|0|-|-|n|t\n", "t")
    assert over.ends_s - over.started_s == 9.0
    (busy,) = LSF.jobs(f"1|RUN|-|{start}|-|-|-|-|-|n|t\n", "t")
    assert math.isnan(busy.ends_s)


def test_what_is_no_answer_is_refused() -> None:
    """It must not be taken for an empty queue."""
    with pytest.raises(ValueError, match="bjobs printed"):
        LSF.jobs("LSF is down. Please wait ...\n", "t")
    with pytest.raises(ValueError, match="more than"):
        LSF.jobs(f"1|RUN|-|-|-|-|-|-|-|{':'.join('ab' * 100_001)}|t\n", "t")
    assert LSF.jobs("\nJob <t> is not found\n", "t") == []


@pytest.mark.parametrize(
    ("code", "stderr", "nothing"),
    [
        (255, "Job <t> is not found\n", True),
        (255, "No unfinished job found\n", True),
        (255, "No matching job found\n", True),
        (255, "LSF is down. Please wait ...\n", False),
        (0, "No job found\n", False),
    ],
)
def test_where_there_is_no_job_that_is_told_as_a_failure(
    code: int, stderr: str, nothing: bool
) -> None:
    """Anything else says nothing about them."""
    assert LSF.nothing(code, stderr) is nothing


def test_jobs_are_ended_and_let_go() -> None:
    """Maintenance and its clock are not asked for."""
    assert LSF.cancel(["1", "2"]).argv == ("bkill", "1", "2")
    release = LSF.release(["1"])
    assert release is not None
    assert release.argv == ("bresume", "1")
    assert LSF.closures() is None
    assert LSF.closed("") == []
    assert LSF.clock() is None
    with pytest.raises(ValueError, match="no time"):
        LSF.clock_s("")
    assert LSF.programs == ("bsub", "bjobs", "bkill", "bresume")
    assert "another queue" in LSF.hopeless("There are no suitable hosts for the job;")
    assert LSF.hopeless("New job is waiting for scheduling;") == ""
    assert "bqueues" in LSF.barred("night: No such queue. Job not submitted.")
    assert "lower walltime" in LSF.barred("RUNLIMIT: Cannot exceed queue's hard limit")
    assert LSF.barred("Failed in an LSF library call: LIM is down") == ""
