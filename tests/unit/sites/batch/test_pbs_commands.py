"""What is said to PBS, and what it answers.

The answers marked so were printed by Debian's Torque commands over Slurm 22.05.8; the
others are written by hand after what OpenPBS 23 and Torque 6 are documented to print,
shortened; see docs/guide-pbs-and-lsf.md. What other centres have shown is in
`test_captured_pbs`.
"""

from __future__ import annotations

import math

import pytest

from climorch.sites.batch.jobs import JobRequest, JobState
from climorch.sites.batch.pbs_commands import OPEN_PBS, TORQUE, Pbs

PBS = Pbs(user="me")
OTHER = Pbs(TORQUE, user="me")


def test_a_job_is_submitted_with_all_that_was_asked_for() -> None:
    """Options as arguments, the script as input; seconds, MiB rounded up."""
    call = PBS.submit(
        JobRequest(
            tag="cmip",
            nodes=2,
            cores=4,
            memory_bytes=3 * 2**30 + 1,
            walltime_s=86_370.5,
            partition="long",
            account="climate",
            qos="high",
            constraint="model=icelake",
            extra=("-m", "n"),
            log="/data/it's/%j.log",
            command=("python", "agent.py", "/data/with space"),
        )
    )

    assert call.argv == (
        *("qsub", "-N", "cmip"),
        *("-l", "select=2:ncpus=4:mpiprocs=1:mem=3073mb:model=icelake"),
        *("-l", "place=scatter", "-l", "walltime=23:59:31"),
        *("-o", "/dev/null", "-e", "/dev/null", "-r", "n"),
        *("-q", "long", "-A", "climate", "-W", "x=QOS:high", "-m", "n"),
    )
    assert call.stdin == (
        "#!/bin/sh\n"
        "exec >>'/data/it'\"'\"'s/'\"${PBS_JOBID:-$$}\"'.log' 2>&1\n"
        "exec pbsdsh -- python agent.py '/data/with space'\n"
    )


def test_torque_is_asked_in_its_own_words() -> None:
    """Memory of all nodes together; each host once."""
    call = OTHER.submit(
        JobRequest(tag="t", nodes=2, cores=3, memory_bytes=2**30, command=("a",))
    )
    assert call.argv[:7] == (
        *("qsub", "-N", "t", "-l", "nodes=2:ppn=3", "-l"),
        "mem=2048mb",
    )
    assert call.stdin == "#!/bin/sh\nexec pbsdsh -u a\n"


def test_one_node_needs_nobody_to_start_its_agent() -> None:
    """What was not asked for is left to PBS."""
    call = PBS.submit(JobRequest(tag="t", walltime_s=60.0, command=("a", "b")))
    assert call.argv == (
        *("qsub", "-N", "t", "-l", "select=1:ncpus=1:mpiprocs=1"),
        *("-l", "walltime=00:01:00"),
        *("-o", "/dev/null", "-e", "/dev/null", "-r", "n"),
    )
    assert call.stdin == "#!/bin/sh\nexec a b\n"


def test_pbs_does_not_say_beforehand_whether_it_would_take_a_job() -> None:
    """Asked is whether it answers."""
    assert PBS.submit(JobRequest(tag="t"), test=True).argv == ("qstat", "-B")


@pytest.mark.parametrize(
    ("printed", "number"),
    [("1234.pbs1\n", "1234.pbs1"), ("7\n", "7"), ("warning: x\n8.s\n", "8.s")],
)
def test_the_number_of_a_job_is_read(printed: str, number: str) -> None:
    """With the server's name, after whatever a hook has said."""
    assert PBS.submitted(printed) == number


@pytest.mark.parametrize("printed", ["", "qsub: Unknown queue", "x.1\n"])
def test_anything_else_is_no_number(printed: str) -> None:
    """It must not be taken for a job."""
    with pytest.raises(ValueError, match="no job number"):
        PBS.submitted(printed)


def test_jobs_are_found_by_name_and_then_asked_for() -> None:
    """Torque has no history to be looked through."""
    find = PBS.find("cmip")
    assert find is not None
    assert find.argv == ("qselect", "-x", "-N", "cmip", "-u", "me")
    call = PBS.query("cmip", ["1.s", "2.s"])
    assert call.argv == ("qstat", "-x", "-f", "1.s", "2.s")
    assert call.env == {"TZ": "UTC0", "LC_ALL": "C"}
    assert OTHER.find("cmip") is None
    assert OTHER.query("cmip").argv == ("qstat", "-f")


OPEN = """\
Job Id: 12.pbs1
    Job_Name = cmip
    Job_Owner = me@login1
    resources_used.walltime = 00:00:31
    job_state = R
    queue = workq
    ctime = Thu Nov 26 18:17:30 2026
    exec_host = n1/0*4+n2.cluster/1*4
    exec_vnode = (n1:ncpus=4:mem=3145728kb)+(n2:ncpus=4:mem=3145
	728kb)
    qtime = Thu Nov 26 18:17:30 2026
    Resource_List.walltime = 01:00:00
    stime = Thu Nov 26 18:17:38 2026
    Variable_List = PBS_O_HOME=/home/me,PBS_O_LANG=C,
	PBS_O_PATH=/usr/bin
    comment = Job run at Thu Nov 26 at 18:17 on (n1:ncpus=4)

Job Id: 13.pbs1
    Job_Name = cmip
    Job_Owner = me@login1
    job_state = Q
    qtime = Thu Nov 26 18:17:31 2026
    Resource_List.walltime = 01:00:00
    comment = Can Never Run: Insufficient amount of resource: ncpus (R: 99
	A: 4 T: 4)

Job Id: 14.pbs1
    Job_Name = cmip
    Job_Owner = you@login1
    job_state = R

Job Id: 15.pbs1
    Job_Name = other
    Job_Owner = me@login1
    job_state = R

"""


def test_jobs_are_read_and_those_of_others_are_left_out() -> None:
    """Long lines are put together; hosts are named once; times are in UTC."""
    busy, waits = PBS.jobs(OPEN, "cmip")

    assert (busy.id, busy.state, busy.hosts) == (
        "12.pbs1",
        JobState.RUNNING,
        ("n1", "n2"),
    )
    assert busy.nodes == ("n1.12.pbs1", "n2.12.pbs1")
    assert (busy.submitted_s, busy.started_s) == (1795717050.0, 1795717058.0)
    assert busy.ends_s == busy.started_s + 3600.0
    assert (waits.state, waits.hosts) == (JobState.QUEUED, ())
    assert math.isnan(waits.started_s)
    assert math.isnan(waits.ends_s)
    assert waits.reason.endswith("ncpus (R: 99A: 4 T: 4)")
    assert PBS.hopeless(waits.reason).startswith("the queue has no such nodes")


# Printed by Debian's qstat over Slurm.
SLURM = """\
Job Id:\t1
\tJob_Name = camp
\tJob_Owner = root@localhost
\tjob_state = R
\tqueue = normal
\tqtime = Thu Nov 26 18:17:38 2026
\tmtime = Thu Nov 26 18:17:39 2026
\tctime = Thu Nov 26 18:19:39 2026
\texec_host = n1/2
\tPriority = 4294901759
\teuser = root(0)
\tegroup = root(0)
\tResource_List.walltime = 00:02:00
\tResource_List.nodect = 1
\tResource_List.ncpus = 2

Job Id:\t3
\tJob_Name = camp
\tJob_Owner = root@localhost
\tjob_state = C
\tqtime = Thu Nov 26 18:17:40 2026
\tmtime = Thu Nov 26 18:17:40 2026
\texec_host = n1/2
\tResource_List.walltime = 00:02:00

"""


def test_the_torque_of_slurm_is_read() -> None:
    """It says when a job was changed instead of when it began.

    Of one that is over it tells no exit code: it counts as one that is not told of.
    """
    (busy,) = Pbs(TORQUE, user="root").jobs(SLURM, "camp")
    assert (busy.id, busy.state, busy.hosts) == ("1", JobState.RUNNING, ("n1",))
    assert busy.ends_s - busy.started_s == 120.0


@pytest.mark.parametrize(
    ("letter", "told", "state"),
    [
        ("H", "", JobState.HELD),
        ("W", "", JobState.QUEUED),
        ("S", "", JobState.RUNNING),
        ("E", "", JobState.ENDING),
        ("?", "", JobState.UNKNOWN),
        ("F", "Exit_status = 0", JobState.DONE),
        ("F", "Exit_status = 3", JobState.FAILED),
        ("F", "Exit_status = -29", JobState.WALLTIME),
        ("F", "Exit_status = -27", JobState.MEMORY),
        ("F", "Exit_status = -28", JobState.WALLTIME),
        ("F", "Exit_status = -25", JobState.FAILED),
        ("F", "Exit_status = -3", JobState.NODE_FAILED),
        ("F", "Exit_status = 271", JobState.CANCELLED),
        ("F", "Exit_status = 265", JobState.CANCELLED),
        ("F", "Exit_status = 143", JobState.CANCELLED),
        ("F", "", JobState.CANCELLED),
        ("C", "Exit_status = 271", JobState.CANCELLED),
        # Older ones end it with a signal.
        (
            "C",
            "Exit_status = 271\n    resources_used.walltime = 01:00:05",
            JobState.WALLTIME,
        ),
    ],
)
def test_every_end_has_its_cause(letter: str, told: str, state: JobState) -> None:
    """By the exit status; a signal after all of the time was the time's."""
    text = (
        f"Job Id: 1.s\n    Job_Name = t\n    Job_Owner = me@h\n"
        f"    job_state = {letter}\n    Resource_List.walltime = 01:00:00\n    {told}\n"
    )
    (job,) = PBS.jobs(text, "t")
    assert job.state is state


def test_an_end_is_when_it_was_or_when_it_will_be() -> None:
    """As far as that is told."""
    front = "Job Id: 1.s\n    Job_Name = t\n    Job_Owner = me@h\n    job_state = F\n"
    began = "    stime = Thu Nov 26 18:00:00 2026\n    Resource_List.walltime = 60\n"
    over = "    obittime = Thu Nov 26 18:00:09 2026\n"
    (told,) = PBS.jobs(front + began + over, "t")
    assert told.ends_s - told.started_s == 9.0
    (silent,) = PBS.jobs(front + began, "t")
    assert silent.ends_s - silent.started_s == 60.0
    (wrong,) = PBS.jobs(front + began.replace("60", "soon"), "t")
    assert math.isnan(wrong.ends_s)


def test_what_is_no_answer_is_refused() -> None:
    """It must not be taken for an empty queue."""
    with pytest.raises(ValueError, match="qstat printed"):
        PBS.jobs("Connection refused\n", "t")
    hosts = "+".join(f"n{i}/0" for i in range(100_001))
    told = f"Job_Name = t\n    Job_Owner = me@h\n    exec_host = {hosts}"
    with pytest.raises(ValueError, match="more than"):
        PBS.jobs(f"Job Id: 1\n    {told}\n", "t")
    assert PBS.jobs("", "t") == []


@pytest.mark.parametrize(
    ("code", "stderr", "nothing"),
    [
        (153, "", True),
        (153, "qstat: Unknown Job Id 12.pbs1\n", True),
        (153, "qstat: Unknown Job Id 1.s\nConnection refused\n", False),
        (1, "qstat: cannot connect to server pbs1 (errno=111)\n", False),
    ],
)
def test_jobs_that_were_forgotten_are_no_failure(
    code: int, stderr: str, nothing: bool
) -> None:
    """Anything else says nothing about them."""
    assert PBS.nothing(code, stderr) is nothing


def test_jobs_are_ended_and_let_go() -> None:
    """Maintenance and its clock PBS does not tell."""
    assert PBS.cancel(["1.s", "2.s"]).argv == ("qdel", "1.s", "2.s")
    release = PBS.release(["1.s"])
    assert release is not None
    assert release.argv == ("qrls", "1.s")
    assert PBS.closures() is None
    assert PBS.closed("") == []
    assert PBS.clock() is None
    with pytest.raises(ValueError, match="no time"):
        PBS.clock_s("")
    assert PBS.hopeless("Not Running: Insufficient amount of resource") == ""
    assert PBS.flavour == OPEN_PBS
    assert "qselect" in PBS.programs
    assert "qselect" not in OTHER.programs


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("qsub: Unknown queue", "qstat -Q"),
        ("qsub: Unknown resource: gpus", "change extra"),
        ("qsub: Job violates queue and/or server resource limits", "allows less"),
        ("qsub: cannot connect to server (errno=111)", ""),
    ],
)
def test_refusals_that_no_waiting_ends_have_a_remedy(said: str, remedy: str) -> None:
    """In the words of OpenPBS's ``pbs_messages.c``; the others may pass."""
    meaning = PBS.barred(said)

    assert remedy in meaning
    assert bool(meaning) == bool(remedy)
