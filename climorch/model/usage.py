"""What the computing of one segment used, as it was measured."""

from __future__ import annotations

import msgspec

__all__ = ["Usage"]


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a segment used on the nodes of its lease.

    What is 0 was nothing, or could not be measured there.

    Attributes
    ----------
    task_s : float
        Seconds of tasks, those of all threads added up.
    transfer_s : float
        Seconds in which blocks were fetched from other nodes, likewise.
    io_s : float
        Seconds in which I/O threads wrote for its simulation meanwhile; divided
        among stages that ran side by side as ``task_s``.
    cpu_s : float
        CPU seconds of the processes: of the node's, and of a model of its own
        with all that it started. Those of nodes come with their heartbeats, so
        what a segment used in its last second may be told with the next one.
    memory_bytes : int
        Most that the processes of one node had in memory since the simulation came
        there; pages that processes share count in each.
    output_bytes : int
        Diagnostics, as they are in memory.
    """

    task_s: float = 0.0
    transfer_s: float = 0.0
    io_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    output_bytes: int = 0
