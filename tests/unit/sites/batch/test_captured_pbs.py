"""What PBSs of other centres have printed, as their users have shown it.

Layout, words and kinds of values are theirs; names, numbers and times are ours,
shortened. Where each is from:

- lines that are broken by a tab anywhere, also within words, and functions of a shell
  that `qsub -V` exports, of OpenPBS 19 and later:
  https://github.com/openpbs/openpbs/issues/2541 and
  https://github.com/aiidateam/aiida-core/tree/main/tests/schedulers/fixtures
- seconds since 1970 before a time, a reason that is broken before a space:
  https://github.com/nasa/pbs4py
- reasons of jobs that wait or have ended: https://github.com/argonne-lcf/user-guides/pull/340
- exit codes of the server itself: https://github.com/idaholab/moose/pull/22735 and
  https://github.com/CESNET/metacentrum-user-docs
- jobs that it has forgotten: https://github.com/payu-org/payu/issues/865, one of
  several
  among them: https://github.com/Matgenix/qtoolkit/pull/57
- why it is not read as JSON, which loses jobs and is not always JSON:
  https://github.com/openpbs/openpbs/issues/2672 and issue 2541 there
"""

from __future__ import annotations

import pytest

from climorch.sites.batch.jobs import JobState
from climorch.sites.batch.pbs_commands import TORQUE, Pbs

PBS = Pbs(user="me")

EXPORTED = """\
Job Id: 171.pbs1
    Job_Name = camp
    Job_Owner = me@login.internal.net
    resources_used.cpupercent = 0
    resources_used.walltime = 00:00:10
    job_state = R
    queue = workq
    server = pbs1
    Checkpoint = u
    ctime = Wed Jun 17 04:50:46 2026
    exec_host = node-2/0*40+node-3/0*40
    exec_vnode = (node-2:ncpus=40)+(node-3:ncpus=40)
    Hold_Types = n
    interactive = True
    mtime = Wed Jun 17 04:50:56 2026
    qtime = Wed Jun 17 04:50:46 2026
    Rerunable = False
    Resource_List.ncpus = 80
    Resource_List.nodect = 2
    Resource_List.select = 2:ncpus=40:mpiprocs=1:mem=524288000:job_tags=normal:j
\tobfs=104857600
    Resource_List.walltime = 10:00:00
    stime = Wed Jun 17 04:50:50 2026
    substate = 42
    Variable_List = PBS_O_HOME=/,
\tPBS_O_PATH=/path/to/scripts:/opt/pbs/default/b
\tin:/bin,USER=me,
\tBASH_FUNC_module%%=() {  if true; then
 job_state = F; else
 ech
\to exec_host = other; fi
\tjob_state = F
},BASH_FUNC_which%%=() {  (alias;
 eval ${which_declare}) | /usr/bin/which --tty-only
},_=/opt/pbs/bin/qsub,
\tPBS_O_QUEUE=workq
    comment = Job run at Wed Jun 17 at 04:50 on (node-2:ncpus=40)+(node-3:ncpus=
\t40)
    etime = Wed Jun 17 04:50:46 2026
    run_count = 1
    Submit_arguments = -V script.sh
    project = _pbs_project_default
    Submit_Host = login.internal.net

"""


def test_what_a_user_exports_is_not_taken_for_the_job_s() -> None:
    """Though it has ends of lines, and words as PBS has them."""
    (job,) = PBS.jobs(EXPORTED, "camp")

    assert (job.id, job.state) == ("171.pbs1", JobState.RUNNING)
    assert job.hosts == ("node-2", "node-3")
    assert job.started_s - job.submitted_s == 4.0
    assert job.ends_s - job.started_s == 36_000.0
    assert job.reason.endswith("(node-3:ncpus=40)")


WAITS = """\
Job Id: 24.pbssrv2
    Job_Name = camp
    Job_Owner = me@li1-ib0
    job_state = Q
    ctime = 1649348639 (Thu Apr 07 12:23:59 EDT 2022)
    qtime = 1649348639 (Thu Apr 07 12:23:59 EDT 2022)
    Resource_List.walltime = 72:00:00
    comment = Not Running: Queue standard per-user limit reached on resource
\t ncpus
    etime = 1649348639 (Thu Apr 07 12:23:59 EDT 2022)
    eligible_time = 00:00:01
"""


def test_a_time_may_be_told_in_seconds() -> None:
    """Whatever zone stands behind it; a space at a break is kept."""
    (job,) = PBS.jobs(WAITS, "camp")

    assert job.submitted_s == 1649348639.0
    assert job.reason.endswith("limit reached on resource ncpus")


@pytest.mark.parametrize(
    ("comment", "hopeless"),
    [
        ("Not Running: Job is requesting an exclusive node and node is in use", False),
        ("Not Running: Node is in an ineligible state: down", False),
        ("Not Running: Job would conflict with reservation or top job", False),
        ("Not Running: User has reached queue LustreApps running job limit.", False),
        ("Not Running: Insufficient amount of resource: ncpus ", False),
        ("job held, too many failed attempts to run", True),
        ("Can Never Run: Insufficient amount of resource: ncpus", True),
    ],
)
def test_most_reasons_to_wait_go_away(comment: str, hopeless: bool) -> None:
    """Others end, nodes come back."""
    assert bool(PBS.hopeless(comment)) is hopeless


@pytest.mark.parametrize(
    ("comment", "meaning"),
    [
        ("Not Running: Job is requesting an exclusive node and node is in use", "use"),
        ("Not Running: Node is in an ineligible state: down", "are down"),
        ("Not Running: Job would conflict with reservation or top job", "before it"),
        ("Not Running: User has reached queue LustreApps running job limit.", "lower"),
        ("Not Running: Insufficient amount of resource: ncpus ", "are in use"),
        ("Not Running: PBS Error: something else", ""),
    ],
)
def test_what_goes_away_has_a_meaning(comment: str, meaning: str) -> None:
    """For who waits for it; other words speak for themselves."""
    assert meaning in PBS.passing(comment)
    assert bool(PBS.passing(comment)) is bool(meaning)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("-29", JobState.WALLTIME),
        ("-28", JobState.WALLTIME),
        ("-27", JobState.MEMORY),
        ("-26", JobState.MEMORY),
        ("-25", JobState.FAILED),
        ("-24", JobState.FAILED),
        # It could not be started, for whatever reason.
        ("-3", JobState.NODE_FAILED),
        ("271", JobState.CANCELLED),
        ("0", JobState.DONE),
    ],
)
def test_the_server_says_what_it_ended_a_job_for(status: str, state: JobState) -> None:
    """In codes below zero; what it says beside them is no more."""
    (job,) = PBS.jobs(
        "Job Id: 300.pbs-01.hsn.cm.centre.gov\n"
        "    Job_Name = camp\n"
        "    Job_Owner = me@login\n"
        "    resources_used.walltime = 00:00:09\n"
        "    job_state = F\n"
        "    exec_host = k242/3\n"
        "    Resource_List.walltime = 01:00:00\n"
        "    stime = Thu Aug 10 16:10:55 2023\n"
        "    obittime = Thu Aug 10 16:11:09 2023\n"
        "    substate = 92\n"
        "    comment = Job run at Thu Aug 10 at 16:10 on (k242:ncpus=1:mem=1048576kb:n"
        "gp\n\tus=0) and finished\n"
        f"    Exit_status = {status}\n"
        "    history_timestamp = 1691647869\n",
        "camp",
    )

    assert job.state is state
    assert job.ends_s - job.started_s == 14.0
    assert job.id == "300.pbs-01.hsn.cm.centre.gov"


def test_one_forgotten_job_says_nothing_against_the_others() -> None:
    """Its failure is one of that job alone; the answer tells of the rest."""
    assert PBS.nothing(153, "qstat: Unknown Job Id 99.pbs1\n")
    assert [job.id for job in PBS.jobs(WAITS, "camp")] == ["24.pbssrv2"]
    assert not PBS.nothing(162, "Connection refused\nqstat: cannot connect to server\n")


def test_torque_s_lines_stand_behind_a_tab_in_slurm() -> None:
    """How far in is what the first one of a job says."""
    text = EXPORTED + "\n".join(
        [
            "Job Id:\t172",
            "\tJob_Name = camp",
            "\tJob_Owner = me@localhost",
            "\tjob_state = R",
            "\tmtime = Thu Nov 26 18:17:39 2026",
            "\texec_host = n1/2",
        ]
    )
    first, second = Pbs(TORQUE, user="me").jobs(text, "camp")
    assert first.hosts == ("node-2", "node-3")
    assert (second.id, second.hosts) == ("172", ("n1",))
