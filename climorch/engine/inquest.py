"""What the processes of a node are doing, and their end; asked of its nanny.

A nanny runs beside its worker and answers whatever that does. Without one, nobody
on that machine can be asked: the node is fenced and left to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed.core import rpc
from distributed.protocol import pickle

from climorch.engine import stacks

if TYPE_CHECKING:
    from distributed import Nanny, Scheduler
    from distributed.scheduler import WorkerState

__all__ = [
    "ASK_S",
    "LONGEST",
    "Seen",
    "kill",
    "look_at",
    "survey",
    "told",
    "worth_telling",
]

# Longer than a process may take to answer; many are asked side by side.
ASK_S = 10.0
KILL_S = 5.0
LONGEST = 2 * stacks.LONGEST_STACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A process that listens.

    Attributes
    ----------
    name : str
        Simulation, set and stage of a model, joined by ``/``; empty: the worker.
    condition : str
        What it does, in words.
    stack : str
        The user's frames in it; empty: it does not answer, or runs none.
    """

    name: str
    condition: str
    stack: str


def told(seen: Mapping[str, list[Seen]]) -> str:
    """Return what was seen on some nodes as text, the first node first.

    Parameters
    ----------
    seen : mapping of str to list of Seen
        By node.

    Returns
    -------
    str
        A heading and a stack for each process that runs something of a user.
    """
    parts = [
        f"{node}, {s.name or 'tasks'}, {s.condition}:\n{s.stack}"
        for node, found in seen.items()
        for s in found
        if s.stack
    ]
    return "\n\n".join(parts)[:LONGEST]


def worth_telling(stack: str) -> str:
    """Say where a stack stands, for the end of a message; empty: it says nothing."""
    place = stacks.innermost(stack)
    return f"; stands at {place}" if place else ""


async def survey(
    scheduler: Scheduler, workers: Mapping[str, WorkerState]
) -> dict[str, list[Seen]]:
    """Look at the processes of nodes, models included.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose nodes.
    workers : mapping of str to WorkerState
        By node.

    Returns
    -------
    dict of str to list of Seen
        Empty for those that have no nanny, or one that does not answer.
    """
    found = await asyncio.gather(
        *(_ask(scheduler, worker, _look, worker.pid) for worker in workers.values())
    )
    return {node: seen or [] for node, seen in zip(workers, found, strict=True)}


async def kill(scheduler: Scheduler, worker: WorkerState) -> bool:
    """Kill the process group of a worker at once; its nanny starts another.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose worker.
    worker : WorkerState
        Which.

    Returns
    -------
    bool
        Whether it has ended; False too where nobody could be asked.
    """
    return bool(await _ask(scheduler, worker, _kill, worker.pid))


async def _ask(
    scheduler: Scheduler, worker: WorkerState, function: Callable[..., Any], pid: int
) -> Any:
    """Let the nanny of a worker run a function; None: it does not answer."""
    if worker.nanny is None:
        return None
    try:
        async with asyncio.timeout(ASK_S):
            async with rpc(
                worker.nanny, connection_args=scheduler.connection_args
            ) as nanny:
                answer = await nanny.run(
                    function=pickle.dumps(function), args=pickle.dumps((pid,))
                )
    except (OSError, TimeoutError):
        return None
    return answer["result"] if answer["status"] == "OK" else None


async def _look(pid: int, dask_worker: Nanny) -> list[Seen]:
    """Look at a worker and all below it; runs in its nanny, on its loop."""
    if dask_worker.pid != pid:
        return []
    return await asyncio.to_thread(lambda: look_at([pid, *stacks.below(pid)]))


async def _kill(pid: int, dask_worker: Nanny) -> bool:
    """Kill a worker's group; runs in its nanny, on its loop."""
    if dask_worker.pid != pid:
        # It has started another one already.
        return True
    return await asyncio.to_thread(stacks.kill_group, pid, wait_s=KILL_S)


def look_at(pids: Sequence[int]) -> list[Seen]:
    """Look at processes of this machine.

    Parameters
    ----------
    pids : sequence of int
        Which.

    Returns
    -------
    list of Seen
        Those that listen.
    """
    return [
        Seen(
            name=name,
            condition=stacks.condition(pid),
            stack=stacks.relevant(stacks.stack_of(pid)),
        )
        for pid in pids
        if (name := stacks.name_of(pid)) is not None
    ]
