"""Asks functions of users about committed results, on a node, for plain data.

Each in a process of its own, which is killed when it takes too long: nothing that a
user's function does holds up the driver, a segment or a node. Ignores what is asked.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import dask
from distributed import secede
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from climorch.engine import nursery
from climorch.engine.child import Child, ModelFailedError
from climorch.engine.services import Services
from climorch.engine.tags import ANNOTATION, make_service_tag
from climorch.engine.wire import Call, Returned
from climorch.engine.worker import children_here
from climorch.errors import BackendError, InternalError
from climorch.model.events import Cause
from climorch.storage.reading import open_segments

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EvaluationFailedError", "Evaluator", "Question", "Reading"]

AT_ONCE = 8
# For a task to begin on a node, beside the time that it may take.
START_S = 60.0
LOOK_S = 1.0
# Seconds before what was no fault of the function is tried again.
PAUSES_S = (1.0, 10.0)
# What may pass: the node, its memory, the disk.
PASSING = frozenset({Cause.NODE_LOST, Cause.MEMORY, Cause.STORAGE})


class EvaluationFailedError(Exception):
    """A function raised, died, or took too long; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Committed results that a function is given.

    Attributes
    ----------
    path : Path
        As of `ResultStore.path`.
    segments : int
        How many of them.
    """

    path: Path
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A function and what it is asked about.

    Attributes
    ----------
    subject : str
        What it is, for messages.
    simulation : str
        On whose nodes, if it has any.
    function : callable
        ``function(results)``: results by stage, lazy; returns plain data. Pickled on
        its way to the node and nowhere kept.
    results : mapping of str to Reading
        By stage.
    limit_s : float
        Seconds that it may take, > 0.
    """

    subject: str
    simulation: str
    function: Callable[[Mapping[str, xr.Dataset]], Any]
    results: Mapping[str, Reading] = field(default_factory=dict)
    limit_s: float = 600.0

    def call(self) -> Call:
        """Return what is sent to the process that answers.

        Raises
        ------
        EvaluationFailedError
            If it cannot be pickled.
        """
        answer = functools.partial(_answer, self.function, dict(self.results))
        try:
            code = cloudpickle.dumps(answer)
        # Whatever an object's own reduce raises.
        except Exception as error:
            raise EvaluationFailedError(
                f"{self.subject} cannot be sent to a node: {error}"
            ) from error
        return Call(code=code, path=tuple(sys.path), owner=self.subject)


class Evaluator:
    """Asks questions, some beside each other.

    Parameters
    ----------
    services : Services
        The world.
    at_once : int
        How many are asked beside each other, >= 1.
    pauses_s : tuple of float
        Seconds before a question is asked again that nobody could answer; not empty.
    patient : bool
        Whether it is asked as often as it takes where nodes or the way to them are to
        blame, and given up for reasons of its own only.
    """

    def __init__(
        self,
        services: Services,
        *,
        at_once: int = AT_ONCE,
        pauses_s: tuple[float, ...] = PAUSES_S,
        patient: bool = False,
    ) -> None:
        self._services = services
        self._free = asyncio.Semaphore(at_once)
        self._pauses_s = pauses_s
        self._patient = patient

    def close(self) -> None:
        """Begin nothing any more; what runs on this machine is killed."""
        nursery.leave(self)

    async def ask(self, question: Question) -> Any:
        """Return what a function answers.

        Parameters
        ----------
        question : Question
            Which function.

        Raises
        ------
        EvaluationFailedError
            If it raised, died or took too long; or if nobody could ask it, several
            times.
        """
        async with self._free:
            pauses = iter(self._pauses_s)
            counted = 0
            while True:
                try:
                    return await self._once(question)
                except (BackendError, CommClosedError, KilledWorker, OSError) as error:
                    # A function that fills the memory kills its process each time.
                    own = isinstance(error.__cause__, ModelFailedError)
                    counted += own or not self._patient
                    if counted > len(self._pauses_s):
                        raise EvaluationFailedError(
                            f"{question.subject}: {type(error).__name__}: {error}"
                        ) from error
                    await asyncio.sleep(next(pauses, self._pauses_s[-1]))

    async def _once(self, question: Question) -> Any:
        node = self._node(question.simulation)
        try:
            if node is None:
                run = functools.partial(
                    called, self, question.call(), question.subject, question.limit_s
                )
                return await self._services.disk.run(run)
            return await self._on(node, question)
        except ModelFailedError as error:
            if error.cause in PASSING:
                raise BackendError(error.message) from error
            raise EvaluationFailedError(error.message) from error

    def _node(self, simulation: str) -> str | None:
        """Return the address of a node: its own first, then free ones, then any."""
        services, nodes = self._services, self._services.nodes
        own = set(services.lease(simulation))
        held = {n for s in services.state.simulations.values() for n in s.lease}
        ranked = sorted(
            (name not in own, name in held, name, address)
            for address, name in nodes.items()
        )
        return ranked[0][3] if ranked else None

    async def _on(self, address: str, question: Question) -> Any:
        client = self._services.client
        with dask.annotate(**{ANNOTATION: make_service_tag(address)}):
            future = client.submit(
                call_here,
                question.call(),
                question.subject,
                question.limit_s,
                key=f"evaluate-{uuid.uuid4().hex}",
                pure=False,
            )
        asked = asyncio.ensure_future(client.gather(future))
        until_s = time.monotonic() + question.limit_s + START_S
        try:
            while not asked.done():
                await asyncio.wait([asked], timeout=LOOK_S)
                # Looked at before: an answer may have come with its last breath.
                if asked.done():
                    break
                if address not in self._services.nodes:
                    raise BackendError(f"node {address} went while it was asked")
                if time.monotonic() > until_s:
                    raise BackendError(f"node {address} has not begun to answer")
            return _given(asked.result())
        except FutureCancelledError as error:
            # Its node went, or all of the session's do, as after a Ctrl-C.
            raise BackendError(f"node {address} went while it was asked") from error
        except asyncio.CancelledError as error:
            if asked.cancelled() or asked.done():
                # Dask's own: the session with its scheduler is over.
                raise BackendError("the Dask scheduler went") from error
            raise
        finally:
            asked.cancel()
            future.release()


def _given(answer: Any) -> Any:
    """Return an answer of `call_here`, or raise what came in its place."""
    if isinstance(answer, ModelFailedError):
        raise answer
    return answer


def call_here(call: Call, place: str, limit_s: float) -> Any:
    """Call a function in a process of its own; runs on a node."""
    # It waits: segments keep all of the node's threads.
    secede()
    try:
        return called(children_here(), call, place, limit_s)
    except ModelFailedError as error:
        # Raised, Dask would log it on the node; who asked tells it.
        return error


def called(user: object, call: Call, place: str, limit_s: float) -> Any:
    """Call a function in a process of its own and wait for the answer.

    Parameters
    ----------
    user : object
        Who answers for the nursery; see `nursery.join`.
    call : Call
        What is called.
    place : str
        What it is, for messages.
    limit_s : float
        Seconds that it may take.

    Returns
    -------
    object
        What it returned.

    Raises
    ------
    ModelFailedError
        If it raised, died or took too long; its process is gone then.
    BackendError
        If no process can be started.
    """
    home = nursery.join(user)
    child = Child(home=home, process=home.start())
    try:
        answer = child.exchange(place, call, limit_s)
    finally:
        child.end()
    if not isinstance(answer, Returned):
        raise InternalError(f"a {type(answer).__name__} came for a call")
    return answer.value


def _answer(
    function: Callable[[Mapping[str, xr.Dataset]], Any],
    results: Mapping[str, Reading],
) -> Any:
    """Open what a function is asked about, and ask it; runs in its process."""
    # In this process alone: no client of Dask is there, and one thread is enough.
    with dask.config.set(scheduler="synchronous"):
        return function(
            {
                stage: open_segments(reading.path, reading.segments)
                for stage, reading in results.items()
            }
        )
