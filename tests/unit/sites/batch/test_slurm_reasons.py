"""What reasons of Slurm to let a job wait mean to who waits."""

from __future__ import annotations

import pytest

from climorch.sites.batch.slurm_commands import Slurm

SLURM = Slurm()


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("Priority", "others are before it"),
        ("Resources", "nodes that it may have are in use"),
        ("QOSMaxNodePerUserLimit", "no more of that may be held at once; lower nodes"),
        ("QOSGrpNodeLimit", "no more of that may be held at once; lower nodes"),
        ("QOSMaxCpuPerUserLimit", "no more of that may be held at once; lower nodes"),
        ("AssocGrpCpuLimit", "name another QOS or account"),
        ("AssocGrpNodeLimit", "name another QOS or account"),
        ("MaxNodePerAccount", "name another QOS or account"),
        ("PartitionDown", "the partition starts no jobs now"),
        ("PartitionInactive", "the partition starts no jobs now"),
        ("ReqNodeNotAvail, Reserved for maintenance", "kept for maintenance"),
        ("ReqNodeNotAvail", "down, drained or kept for others"),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher "
            "priority partitions",
            "down, drained or kept for others",
        ),
        ("Reservation", "its reservation has not begun"),
        ("Dependency", "it goes after other jobs"),
        ("BeginTime", "not begin before a time"),
        ("JobHeldUser", "scontrol release"),
        ("launch failed requeued held", "ask the centre why"),
        ("Licenses", "all licences are in use"),
        ("Prolog", "made ready"),
    ],
)
def test_a_reason_that_passes_has_a_meaning(reason: str, meaning: str) -> None:
    """And no alarm: nobody need do anything."""
    assert meaning in SLURM.passing(reason)
    assert SLURM.hopeless(reason) == ""


def test_what_is_not_known_is_left_to_its_own_words() -> None:
    """Slurm has more of them with each version."""
    assert SLURM.passing("SchedDefer") == ""
    assert SLURM.passing("") == ""
