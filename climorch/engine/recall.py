"""Take back tasks that a worker was given and has not started.

The scheduler does not know what a worker has started since its last heartbeat.
So it asks: Dask's worker answers a ``steal-request`` with the state in which it
found the task, and gives it up only if it has not begun. What runs is never
disturbed, and nothing runs twice. Stealing itself is off (`sites.settings`), so
nobody else listens to the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed.comm import CommClosedError

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

__all__ = ["Recaller", "can_run", "decide_anew"]

ANSWER = "steal-response"

# States of Dask's worker in which a task has not begun.
NOT_BEGUN = frozenset({"ready", "constrained", "waiting"})


@dataclass(slots=True, kw_only=True)
class _Round:
    """Tasks that one worker was asked for together."""

    worker: str
    asked: dict[Any, tuple[TaskState, int | None]]
    given_up: list[TaskState] = field(default_factory=list)


class Recaller:
    """Asks workers for tasks and sends those anew that they give up.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers.
    failed : callable
        Told of an exception of ours: Dask would drop the worker for it.
    """

    def __init__(
        self, scheduler: Scheduler, failed: Callable[[str, Exception], None]
    ) -> None:
        self._scheduler = scheduler
        self._failed = failed
        self._rounds: dict[str, _Round] = {}
        self._count = 0
        self._before = scheduler.stream_handlers.get(ANSWER)
        scheduler.stream_handlers[ANSWER] = self._answered

    @property
    def pending(self) -> int:
        """How many tasks are asked for and not answered."""
        return sum(len(r.asked) for r in self._rounds.values())

    def close(self) -> None:
        """Stop listening."""
        self._scheduler.stream_handlers.pop(ANSWER, None)
        if self._before is not None:
            self._scheduler.stream_handlers[ANSWER] = self._before
        self._rounds.clear()

    def recall(self, tasks: Iterable[TaskState]) -> None:
        """Ask for tasks; what is given up goes where and when it now belongs.

        Parameters
        ----------
        tasks : iterable of TaskState
            Those that are assigned to a worker; others are left alone.
        """
        # One round per worker: a frozen one keeps nobody else waiting.
        pending = {key for r in self._rounds.values() for key in r.asked}
        by_worker: dict[str, dict[Any, tuple[TaskState, int | None]]] = {}
        for state in tasks:
            worker = state.processing_on
            if worker is not None and state.key not in pending:
                asked = by_worker.setdefault(worker.address, {})
                asked[state.key] = (state, state.run_id)
        for address, asked in by_worker.items():
            comm = self._scheduler.stream_comms.get(address)
            if comm is None:
                continue
            self._count += 1
            stimulus = f"climorch-recall-{self._count}"
            self._rounds[stimulus] = _Round(worker=address, asked=asked)
            try:
                comm.send(
                    *(
                        {"op": "steal-request", "key": key, "stimulus_id": stimulus}
                        for key in asked
                    )
                )
            except CommClosedError:
                # Dask is about to remove the worker, and takes its tasks back.
                del self._rounds[stimulus]

    def gone(self, worker: str) -> None:
        """Stop waiting for a worker; Dask has taken back what it had."""
        self._rounds = {s: r for s, r in self._rounds.items() if r.worker != worker}

    def _answered(self, **answer: Any) -> None:
        try:
            self._take(**answer)
        except Exception as error:
            self._failed("recall", error)

    def _take(
        self, *, key: Any, state: str | None, stimulus_id: str, **kwargs: Any
    ) -> None:
        found = self._rounds.get(stimulus_id)
        asked = found.asked.pop(key, None) if found is not None else None
        if found is None or asked is None:
            return
        task, run_id = asked
        if (
            state in NOT_BEGUN
            and self._scheduler.tasks.get(key) is task
            and task.state == "processing"
            and task.run_id == run_id
        ):
            found.given_up.append(task)
        if not found.asked:
            del self._rounds[stimulus_id]
            self._send_anew(found.given_up, stimulus_id)

    def _send_anew(self, tasks: list[TaskState], stimulus_id: str) -> None:
        # Together, so that an idle worker does not begin the least important
        # first.
        still = [task for task in tasks if task.state == "processing"]
        decide_anew(self._scheduler, still, stimulus_id)


def can_run(scheduler: Scheduler, state: TaskState) -> bool:
    """Tell whether there is a worker for a task.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose.
    state : TaskState
        One that waits for a worker.
    """
    allowed = state.worker_restrictions
    # Most wait for a lease: the cheap question first.
    if allowed and scheduler.workers.keys().isdisjoint(allowed):
        return False
    return scheduler.valid_workers(state) != set()


def decide_anew(scheduler: Scheduler, tasks: Iterable[TaskState], why: str) -> None:
    """Let Dask decide anew where tasks run, the most important first.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose.
    tasks : iterable of TaskState
        Queued, assigned or waiting for a worker.
    why : str
        For Dask's own log.
    """
    # It takes the last recommendation first.
    ordered = sorted(tasks, key=lambda task: task.priority or (), reverse=True)
    if ordered:
        scheduler.transitions({task.key: "released" for task in ordered}, why)
