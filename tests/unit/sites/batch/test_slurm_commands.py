"""What is said to Slurm, and what it answers.

The answers were printed by Slurm 22.05.8; those marked so are written after the
documentation of other versions.
"""

from __future__ import annotations

import math

import pytest

from climorch.sites.batch.jobs import Closure, Job, JobRequest, JobState
from climorch.sites.batch.slurm_commands import Slurm

SLURM = Slurm()


def test_a_job_is_submitted_with_all_that_was_asked_for() -> None:
    """Options as arguments, the script as input; whole minutes, MiB rounded up."""
    call = SLURM.submit(
        JobRequest(
            tag="cmip",
            serial=7,
            nodes=2,
            cores=4,
            memory_bytes=3 * 2**30 + 1,
            walltime_s=86_370.0,
            least_walltime_s=3600.0,
            warn_s=300.0,
            partition="long",
            account="climate",
            qos="high",
            constraint="ib",
            extra=("--exclusive",),
            log="/data/it's/%j.log",
            command=("python", "agent.py", "/data/with space"),
        )
    )

    assert call.argv == (
        "sbatch",
        "--parsable",
        "--job-name=cmip",
        "--comment=cmip.7",
        "--nodes=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=4",
        "--time=1440",
        "--open-mode=append",
        "--no-requeue",
        "--mem=3073M",
        "--time-min=60",
        "--signal=USR1@300",
        "--partition=long",
        "--account=climate",
        "--qos=high",
        "--constraint=ib",
        "--output=/data/it's/%j.log",
        "--exclusive",
    )
    assert call.stdin == (
        "#!/bin/sh\n"
        "exec srun --ntasks-per-node=1 --cpus-per-task=4 --cpu-bind=none "
        "--kill-on-bad-exit=0 python agent.py '/data/with space'\n"
    )


def test_what_was_not_asked_for_is_left_to_slurm() -> None:
    """A test asks whether the same job would be taken."""
    call = SLURM.submit(JobRequest(tag="t", walltime_s=1.0), test=True)

    assert call.argv == (
        "sbatch",
        "--test-only",
        "--job-name=t",
        "--comment=t.1",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=1",
        "--time=1",
        "--open-mode=append",
        "--no-requeue",
    )


@pytest.mark.parametrize(("printed", "number"), [("12\n", "12"), ("12;mini\n", "12")])
def test_the_number_of_a_job_is_read(printed: str, number: str) -> None:
    """With or without the cluster's name."""
    assert SLURM.submitted(printed) == number


@pytest.mark.parametrize("printed", ["", "Submitted batch job 12", "x;12"])
def test_anything_else_is_no_number(printed: str) -> None:
    """It must not be taken for a job."""
    with pytest.raises(ValueError, match="no job number"):
        SLURM.submitted(printed)


def test_only_jobs_of_one_user_are_asked_for() -> None:
    """Another user may have a campaign of the same name."""
    argv = Slurm("ann").query("cmip").argv
    assert argv[:5] == (
        *("squeue", "--noheader", "--states=all", "--name=cmip"),
        "--user=ann",
    )
    assert (*argv[:4], *argv[5:]) == SLURM.query("cmip").argv


def test_one_question_tells_of_all_jobs() -> None:
    """By name, in all states, times as seconds."""
    call = SLURM.query("cmip")

    assert call.argv[:4] == ("squeue", "--noheader", "--states=all", "--name=cmip")
    assert call.argv[4] == (
        "--Format=JobID:|,State:|,Reason:|,RestartCnt:|,SubmitTime:|,StartTime:|,"
        "EndTime:|,NodeList:|,Name:|"
    )
    assert call.env == {"SLURM_TIME_FORMAT": "%s"}


ANSWER = """\
3|PENDING|JobHeldUser|0|1795701842|N/A|N/A||cmip|
1|RUNNING|None|0|1795701842|1795701843|1795702023|n[1-2]|cmip|
2|PENDING|PartitionNodeLimit|0|1795701842|N/A|N/A||other|
"""


def test_jobs_are_read_and_those_of_others_are_left_out() -> None:
    """Slurm's words for nothing are nothing."""
    held, busy = SLURM.jobs(ANSWER, "cmip")

    assert (held.id, held.state, held.reason) == ("3", JobState.HELD, "JobHeldUser")
    assert held.hosts == ()
    assert math.isnan(held.ends_s)
    assert busy == Job(
        id="1",
        state=JobState.RUNNING,
        hosts=("n1", "n2"),
        submitted_s=1795701842.0,
        started_s=1795701843.0,
        ends_s=1795702023.0,
    )
    assert busy.nodes == ("n1.1", "n2.1")


def test_when_slurm_guesses_a_start_it_is_no_start() -> None:
    """A job that waits has a start and an end as the backfill plans it."""
    line = "4|PENDING|Resources|0|1795701842|1795702204|1795702384|(null)|t|\n"

    (job,) = SLURM.jobs(line, "t")
    assert math.isnan(job.started_s)
    assert math.isnan(job.ends_s)


@pytest.mark.parametrize(
    ("word", "reason", "state"),
    [
        ("PENDING", "Priority", JobState.QUEUED),
        ("PENDING", "BeginTime", JobState.QUEUED),
        ("PENDING", "launch failed requeued held", JobState.HELD),
        ("CONFIGURING", "None", JobState.QUEUED),
        ("RUNNING", "None", JobState.RUNNING),
        ("SUSPENDED", "None", JobState.RUNNING),
        ("COMPLETING", "None", JobState.ENDING),
        ("COMPLETED", "None", JobState.DONE),
        ("FAILED", "NonZeroExitCode", JobState.FAILED),
        ("CANCELLED", "None", JobState.CANCELLED),
        # Written after the documentation: who cancelled may stand behind it.
        ("CANCELLED by 0", "None", JobState.CANCELLED),
        ("TIMEOUT", "TimeLimit", JobState.WALLTIME),
        ("PREEMPTED", "None", JobState.PREEMPTED),
        ("NODE_FAIL", "None", JobState.NODE_FAILED),
        ("OUT_OF_MEMORY", "OutOfMemory", JobState.MEMORY),
        # Of a version to come.
        ("EVAPORATED", "None", JobState.UNKNOWN),
    ],
)
def test_words_for_states_are_told_apart(
    word: str, reason: str, state: JobState
) -> None:
    """What is not known is not taken for an end."""
    (job,) = SLURM.jobs(f"9|{word}|{reason}|1|10|20|30|n1|t|\n", "t")

    assert job.state is state
    assert job.restarts == 1


@pytest.mark.parametrize(
    "printed",
    ["slurm_load_jobs error: Unable to contact slurm controller", "1|RUNNING|\n"],
)
def test_an_answer_that_is_none_is_refused(printed: str) -> None:
    """It must not mean that all jobs are gone."""
    with pytest.raises(ValueError, match="squeue printed"):
        SLURM.jobs(printed, "t")


def test_no_jobs_is_an_answer() -> None:
    """Nothing printed, and no error: there are none."""
    assert SLURM.jobs("", "t") == []


def test_jobs_are_ended_and_released_by_number() -> None:
    """Several in one call."""
    assert SLURM.cancel(["1", "2"]).argv == ("scancel", "1", "2")
    call = SLURM.release(["1", "2"])
    assert call is not None
    assert call.argv == ("scontrol", "release", "1,2")


RESERVATIONS = (
    "ReservationName=m1 StartTime=1795702444 EndTime=1795703044 Duration=00:10:00 "
    "Nodes=n[1-2] NodeCnt=2 CoreCnt=4 Features=(null) PartitionName=(null) "
    "Flags=MAINT,IGNORE_JOBS,SPEC_NODES TRES=cpu=4 Users=root Groups=(null) "
    "Accounts=(null) Licenses=(null) State=INACTIVE BurstBuffer=(null) Watts=n/a "
    "MaxStartDelay=(null)\n"
    "ReservationName=course StartTime=1795702444 EndTime=1795703044 "
    "Duration=00:10:00 Nodes=n3 NodeCnt=1 Flags=SPEC_NODES TRES=cpu=4 Users=root\n"
)


def test_maintenance_is_read_from_reservations() -> None:
    """A reservation for others says nothing of when our jobs end: Slurm knows."""
    assert SLURM.closed(RESERVATIONS) == [
        Closure(
            name="m1",
            hosts=("n1", "n2"),
            start_s=1795702444.0,
            stop_s=1795703044.0,
        )
    ]
    assert SLURM.closed("No reservations in the system\n") == []
    call = SLURM.closures()
    assert call is not None
    assert call.argv == ("scontrol", "--oneliner", "show", "reservation")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("PartitionNodeLimit", "no such nodes"),
        ("PartitionTimeLimit", "lower walltime"),
        ("AssocGrpCPUMinutesLimit", "budget is used up"),
        ("QOSGrpBillingMinutes", "budget is used up"),
        ("AssocMaxNodePerJobLimit", "nodes_per_job"),
        # Told by 22.05 with limits that were set for it.
        ("PartitionConfig", "no such nodes"),
        ("AssocMaxWallDurationPerJobLimit", "lower nodes_per_job or walltime"),
        ("QOSMaxWallDurationPerJobLimit", "lower nodes_per_job or walltime"),
        ("AssocMaxJobsLimit", "no more jobs may run"),
        ("AssocGrpJobsLimit", "no more jobs may run"),
        ("QOSMaxJobsPerUserLimit", "no more jobs may run"),
        (
            "Job's account not permitted to use this partition "
            "(low allows other not climate)",
            "does not admit",
        ),
        (
            "Job's QOS not permitted to use this partition (low allows normal not few)",
            "does not admit",
        ),
        ("QOSNotAllowed", "does not admit"),
        ("InvalidAccount", "another one"),
        ("JobHeldAdmin", "administrator"),
        ("DependencyNeverSatisfied", "failed"),
        ("Priority", ""),
        ("Resources", ""),
        ("AssocGrpCpuLimit", ""),
        ("ReqNodeNotAvail, Reserved for maintenance", ""),
    ],
)
def test_reasons_that_no_waiting_ends_have_a_remedy(reason: str, remedy: str) -> None:
    """The others need patience."""
    meaning = SLURM.hopeless(reason)

    assert remedy in meaning
    assert bool(meaning) == bool(remedy)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            "sbatch: error: Batch job submission failed: Invalid account or "
            "account/partition combination specified",
            "the account is not known",
        ),
        (
            "sbatch: error: invalid partition specified: nowhere\n"
            "allocation failure: Invalid partition name specified",
            "there is no such partition",
        ),
        ("allocation failure: Invalid qos specification", "the QOS is not known"),
        ("allocation failure: Invalid feature specification", "what constraint asks"),
        (
            "allocation failure: Requested node configuration is not available",
            "the partition has no such nodes",
        ),
        (
            "sbatch: error: Memory specification can not be satisfied",
            "the partition has no such nodes",
        ),
        (
            "sbatch: error: Batch job submission failed: Requested time limit is "
            "invalid (missing or exceeds some limit)",
            "the partition allows less time",
        ),
        (
            "sbatch: Job 2 to start at 2026-11-26T21:07:26 using 1 processors on nodes "
            "n1 in partition normal",
            "",
        ),
        (
            "sbatch: error: AssocMaxSubmitJobLimit\n"
            "sbatch: error: Batch job submission failed: Job violates accounting/QOS "
            "policy (job submit limit, user's size and/or time limits)",
            "",
        ),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm "
            "controller (connect failure)",
            "",
        ),
    ],
)
def test_refusals_that_no_waiting_ends_have_a_remedy(said: str, remedy: str) -> None:
    """As 22.05 words them; the others may pass."""
    meaning = SLURM.barred(said)

    assert remedy in meaning
    assert bool(meaning) == bool(remedy)


def test_the_time_of_the_controller_is_the_first_thing_it_prints() -> None:
    """What follows are a hundred settings."""
    told = "Configuration data as of 1795701844\nAccountingStorageHost   = 9\n"

    assert SLURM.clock_s(told) == 1795701844.0
    call = SLURM.clock()
    assert call is not None
    assert call.argv == ("scontrol", "show", "config")
    with pytest.raises(ValueError, match="invalid literal"):
        SLURM.clock_s("slurm_load_ctl_conf error: Unable to contact\n")
