"""Backfill as the literature writes it: counts of processors that are all alike.

Independent of the package, slow and short: what the bitmasks must agree with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Job", "easy_starts", "replay_starts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job.

    Attributes
    ----------
    submit_s, run_s, estimate_s : int
        Arrival, true run time, and what was asked for, in seconds.
    processors : int
        How many.
    """

    submit_s: int
    run_s: int
    estimate_s: int
    processors: int


def easy_starts(
    machine: int,
    running: Sequence[tuple[float, int]],
    queue: Sequence[tuple[int, float]],
    now_s: float,
    *,
    overtake: bool = True,
    shortest_first: bool = False,
) -> list[int]:
    """Return which of a queue start now.

    Parameters
    ----------
    machine : int
        Processors.
    running : sequence of (float, int)
        When each running job ends by its estimate, and its processors.
    queue : sequence of (int, float)
        Processors and estimate of each that waits, in order; none above the machine.
    now_s : float
        Now.
    overtake : bool
        Whether anybody may.
    shortest_first : bool
        In which order they may.

    Returns
    -------
    list of int
        Places in the queue, ascending.
    """
    held = [(stop_s, count) for stop_s, count in running if stop_s > now_s]
    free = machine - sum(count for _, count in held)
    started = []
    waiting = list(range(len(queue)))
    while waiting and queue[waiting[0]][0] <= free:
        place = waiting.pop(0)
        count, estimate_s = queue[place]
        free -= count
        held.append((now_s + estimate_s, count))
        started.append(place)
    if not waiting or not overtake:
        return started
    needed = queue[waiting.pop(0)][0]
    available, shadow_s = free, now_s
    for stop_s, count in sorted(held):
        if available >= needed and stop_s > shadow_s:
            break
        available, shadow_s = available + count, stop_s
    extra = available - needed
    if shortest_first:
        waiting.sort(key=lambda place: queue[place][1])
    for place in waiting:
        count, estimate_s = queue[place]
        short = now_s + estimate_s <= shadow_s
        if count <= free and (short or count <= extra):
            free -= count
            extra -= 0 if short else count
            started.append(place)
    return sorted(started)


def replay_starts(jobs: Sequence[Job], machine: int, policy: str) -> list[int]:
    """Return when each job starts: a whole pass at every single event."""
    starts = [-1] * len(jobs)
    queue: list[int] = []
    running: list[int] = []

    def decide(now_s: int) -> None:
        chosen = easy_starts(
            machine,
            [(starts[j] + jobs[j].estimate_s, jobs[j].processors) for j in running],
            [(jobs[j].processors, jobs[j].estimate_s) for j in queue],
            now_s,
            overtake=policy != "fcfs",
            shortest_first=policy == "sjbf",
        )
        for job in [queue[place] for place in chosen]:
            queue.remove(job)
            running.append(job)
            starts[job] = now_s

    arriving = list(range(len(jobs)))
    while arriving or running:
        ends = [starts[j] + jobs[j].run_s for j in running]
        arrival = jobs[arriving[0]].submit_s if arriving else math.inf
        now_s = int(min(arrival, *ends)) if ends else int(arrival)
        if arrival == now_s:
            queue.append(arriving.pop(0))
        else:
            running.pop(ends.index(now_s))
        decide(now_s)
    return starts
