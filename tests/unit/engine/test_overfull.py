"""Workers that their nannies end because of their memory."""

from __future__ import annotations

from climorch.engine.overfull import Overfull
from climorch.model.causes import Cause

WORKER = "tcp://10.0.0.1:40123"


def test_a_worker_that_was_too_large_is_lost_for_its_memory() -> None:
    """What its nanny told counts for the loss that follows, and for no later one."""
    overfull = Overfull()
    overfull.hear(
        "worker-restart-memory", {"worker": WORKER, "pid": 7, "rss": 3 * 2**30 + 1}
    )

    cause, why = overfull.verdict(WORKER, "its connection ended")

    assert cause is Cause.MEMORY
    assert why.startswith("it used 3072 MiB, more than its limit")
    after = overfull.verdict(WORKER, "its connection ended")
    assert after == (Cause.NODE_LOST, "its connection ended")


def test_other_events_and_other_workers_tell_nothing() -> None:
    """Dask has many topics, and others may publish what they like under any."""
    overfull = Overfull()
    overfull.hear("all", {"worker": WORKER, "rss": 1})
    overfull.hear("worker-restart-memory", "not what Dask says")
    overfull.hear("worker-restart-memory", {"worker": "tcp://10.0.0.2:1", "rss": 1})

    assert overfull.verdict(WORKER, "frozen") == (Cause.NODE_LOST, "frozen")
