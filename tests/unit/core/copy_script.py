"""Copies in partners' memory in the words of `script`."""

from __future__ import annotations

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.policy.checkpointing import CheckpointStrategy, EverySegments
from climorch.policy.partnering import PartnerCopy
from tests.unit.core.script import Script, stage, submitted

RARELY = EverySegments(count=99)
UNHURT: dict[str, object] = {
    "states came from": None,
    "lost by the newest failure, s": 0.0,
    "partners": {"n0": "n1", "n1": "n0"},
    "copy held by partners": None,
    "copy on its way": None,
    "copy being written": None,
    "last written from a copy": None,
}
"""What is said of copies where nothing was lost or copied yet."""


def copying(
    *, every: int = 1, disk: CheckpointStrategy = RARELY, most_overhead: float = 1.0
) -> Policies:
    """Make rules that copy often and write rarely."""
    return Policies(
        checkpointing=PartnerCopy(disk=disk, every=every, most_overhead=most_overhead)
    )


def started(*stages: StagePlan, policies: Policies | None = None) -> Script:
    """Begin a simulation on four nodes that has its states."""
    script = Script(policies or copying())
    script.tell(submitted(*(stages or (stage(nodes=4),))))
    script.nodes("k", "l", "m", "n")
    script.restored()
    return script


def held(s: Script, boundary: int, *, cost_s: float = 0.5) -> e.CopyHeld:
    """Make the fact that the present attempt's state is held twice."""
    return e.CopyHeld(
        simulation="s",
        set="a",
        boundary=boundary,
        attempt=s.set().attempt,
        seconds=1.0,
        cost_s=cost_s,
        bytes_copied=8,
    )


def not_held(s: Script, boundary: int) -> e.CopyFailed:
    """Make the fact that a copy was not made."""
    return e.CopyFailed(
        simulation="s",
        set="a",
        boundary=boundary,
        attempt=s.set().attempt,
        message="made to fail",
    )


def not_saved(s: Script, boundary: int) -> e.SalvageFailed:
    """Make the fact that a copy was not written."""
    return e.SalvageFailed(
        simulation="s",
        set="a",
        boundary=boundary,
        attempt=s.set().attempt,
        message="two partners were lost",
    )


def with_copy(boundary: int = 2, *, policies: Policies | None = None) -> Script:
    """Compute up to a boundary and one segment further, with a copy there."""
    s = started(policies=policies)
    for k in range(boundary):
        s.finished(k)
        s.tell(held(s, k + 1))
    return s
