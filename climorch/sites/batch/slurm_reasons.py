"""Reasons of Slurm to let a job wait or to refuse it: what they mean, what helps.

Pure tables of patterns, of which the first that is found counts. Words of Slurm 22.05,
see "Job reason codes" of its documentation.
"""

from __future__ import annotations

__all__ = ["BARRED", "HOPELESS", "PASSING"]

DOWN = "nodes that it may have are down, drained or kept for others"

# Reasons that no waiting ends, and what to do about them.
HOPELESS = (
    (
        r"PartitionNodeLimit|PartitionConfig|ReqNodeNotAvail.*UnavailableNodes|BadConstraints",
        "the partition has no such nodes; ask for fewer or other ones",
    ),
    (
        r"PartitionTimeLimit",
        "the partition allows less time; lower walltime, or name another partition",
    ),
    (
        r"Assoc(Grp|Max)\w*(Minutes|RunMinutes)\w*|QOS(Grp|Max)\w*Minutes\w*",
        "the account's budget is used up; ask for more, or name another account",
    ),
    (
        r"AssocMax\w*PerJob\w*|QOSMax\w*PerJob\w*|AssocMaxWall\w*|QOSMaxWall\w*",
        "one job asks for more than the account may have; lower nodes_per_job or "
        "walltime",
    ),
    (
        r"(Assoc|QOS)(Grp|Max)\w*Jobs\w*Limit",
        "no more jobs may run at once; lower nodes, or let a job have more of them by "
        "nodes_per_job",
    ),
    (
        r"(Account|QOS)NotAllowed|not permitted to use this partition",
        "the partition does not admit the account or QOS; name another one",
    ),
    (
        r"InvalidAccount|InvalidQOS",
        "the account or QOS is not valid; name another one",
    ),
    (r"JobHeldAdmin", "an administrator holds it; ask the centre why"),
    (r"DependencyNeverSatisfied", "what it depends on has failed; cancel it"),
)

# Other reasons, which end by waiting.
PASSING = (
    (
        r"(Assoc|QOS)(Grp|Max)\w*|MaxNodePerAccount|MaxCpuPerAccount|Max\w+PerUser",
        "no more of that may be held at once; lower nodes, end other jobs, or name "
        "another QOS or account",
    ),
    (r"Nodes_required_for_job|Nodes required for job are DOWN", DOWN),
    (
        r"ReqNodeNotAvail.*[Rr]eserved for maintenance",
        "its nodes are kept for maintenance, which it would run into; lower walltime, "
        "or wait until that is over",
    ),
    (r"ReqNodeNotAvail", DOWN),
    (
        r"PartitionDown|PartitionInactive",
        "the partition starts no jobs now; name another one, or ask the centre until "
        "when",
    ),
    (r"Reservation", "its reservation has not begun, or is full"),
    (r"Dependency", "it goes after other jobs"),
    (r"BeginTime", "it may not begin before a time that was set for it"),
    (r"JobHeldUser", "its owner holds it; let it go with scontrol release"),
    (
        r"launch failed requeued held",
        "it could not be started and is held; ask the centre why, then let it go with "
        "scontrol release",
    ),
    (r"Licenses", "all licences are in use"),
    (r"Cleaning|Prolog|BootFail|NodeDown", "its nodes are made ready"),
    (r"Resources", "nodes that it may have are in use"),
    (r"Priority", "others are before it"),
)

# Refusals that no waiting ends; other ones, such as of too many jobs, may pass.
BARRED = (
    (
        r"Invalid account",
        "the account is not known, is not yours or not admitted by the partition; name "
        "one that sacctmgr show assoc user=$USER tells",
    ),
    (
        r"[Ii]nvalid partition",
        "there is no such partition; name one that sinfo -s tells",
    ),
    (r"Invalid qos", "the QOS is not known, or not yours; name another one"),
    (r"Invalid feature", "no node has what constraint asks for; change it"),
    (
        r"Requested node configuration|Memory specification|Node count specification",
        "the partition has no such nodes; lower nodes_per_job, cores or memory",
    ),
    (
        r"Requested time limit",
        "the partition allows less time; lower walltime, or name another partition",
    ),
)
