"""What the process of a model does: build it once, advance it on demand.

Runs on the main thread, where the user's code may install signal handlers,
hold the interpreter's lock or call `sys.exit`: the node waits elsewhere.
"""

from __future__ import annotations

import faulthandler
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from socket import socket
from typing import Any

import cloudpickle
import numpy as np
import xarray as xr

from climorch.engine.metering import children_bytes, cpu_s, peak_bytes
from climorch.engine.programs.running import run_program
from climorch.engine.stacks import listen
from climorch.engine.steps import cause_of
from climorch.engine.wire import (
    Build,
    Built,
    Call,
    Done,
    Failed,
    HungUpError,
    Returned,
    Work,
    receive,
    send,
)
from climorch.errors import Fault, InternalError, InvalidInputError
from climorch.intake.contract import type_faults
from climorch.model.advance import Advance
from climorch.model.programs import Command
from climorch.model.steps import Isolated, LiveModel, Model, taken

__all__ = ["serve"]

Advancing = Callable[[Work], Done]

# Of a traceback: its end says where.
LONGEST_TEXT = 4000
RETURNED = frozenset({"exports", "output", "metrics"})


def serve(sock: socket) -> None:
    """Answer every message until the node hangs up."""
    # Says on stderr where a model crashed.
    faulthandler.enable()
    listen()
    advancing: Advancing | None = None
    while True:
        try:
            message = receive(sock, writable=True)
            if isinstance(message, Build):
                sys.path[:] = message.path
                listen(message.owner)
                advancing = _built(message)
                send(sock, Built())
            elif isinstance(message, Call):
                sys.path[:] = message.path
                listen(message.owner)
                send(sock, Returned(value=cloudpickle.loads(message.code)()))
            else:
                send(sock, _done(advancing, message))
        except HungUpError:
            return
        # SystemExit among them: a model that exits has failed, not ended.
        except BaseException as error:
            send(sock, _failed(error))
        # What the message holds is large.
        message = None
        sys.stdout.flush()


def _built(message: Build) -> Advancing:
    step = cloudpickle.loads(message.code)
    match step:
        case LiveModel():
            model = _made(step, message)
            return lambda work: Done(advance=_live(model, work))
        case Isolated():
            return lambda work: Done(advance=_isolated(step, work))
        case Command():
            return lambda work: _program(step, work)
        case _:
            raise InternalError(f"a {type(step).__name__} came as a step")


def _made(step: LiveModel, message: Build) -> Model:
    """Call the factory, with the segment only if it cannot do without."""
    try:
        inspect.signature(step.build).bind()
    except TypeError:
        return step.build(message.segment)
    # Builtins have no signature.
    except ValueError:
        pass
    return step.build()


def _live(model: Model, work: Work) -> Advance:
    if work.state is not None:
        model.load(work.state)
    # Users without a type checker may return anything.
    returned: object = model.run(work.inputs, work.segment)
    parts = _parts(returned)
    # They may be views into what the model overwrites when it dumps.
    kept: dict[str, Any] = {
        name: part.copy(deep=True) if isinstance(part, xr.Dataset) else part
        for name, part in parts.items()
    }
    return _in_memory(Advance(state=model.dump(), **kept), "LiveModel")


def _parts(returned: object) -> dict[str, Any]:
    if returned is None:
        return {}
    wrong = (
        sorted(map(str, set(returned) - RETURNED))
        if isinstance(returned, Mapping)
        else [type(returned).__name__]
    )
    if wrong or not isinstance(returned, Mapping):
        raise InvalidInputError(
            "a model breaks the contract",
            faults=[
                Fault(
                    place="LiveModel, run",
                    problem=f"returned {', '.join(wrong)}",
                    remedy="return None or a mapping with 'exports', 'output' or "
                    "'metrics'; the state comes from dump()",
                )
            ],
        )
    return dict(returned)


def _isolated(step: Isolated, work: Work) -> Advance:
    if work.state is None:
        raise InternalError("an isolated step came without a state")
    returned = taken(step.step(work.state, work.inputs, work.segment), work.segment)
    return _in_memory(returned, "Isolated")


def _program(step: Command, work: Work) -> Done:
    if work.state is None or work.place is None:
        raise InternalError("a program came without a state or a place")
    ran = run_program(step, work.state, work.inputs, work.segment, work.place)
    advance = _in_memory(ran.advance, "Command")
    return Done(advance=advance, program_s=ran.program_s)


def _in_memory(returned: object, place: str) -> Advance:
    faults = [*type_faults(place, returned)]
    if faults:
        raise InvalidInputError("a step breaks the contract", faults=faults)
    advance = returned
    if isinstance(advance, xr.Dataset):
        advance = Advance(state=advance)
    if not isinstance(advance, Advance):
        raise InternalError(f"{place} returned a {type(returned).__name__}")
    exports, output = advance.exports, advance.output
    return Advance(
        state=advance.state.compute(),
        # One object: pickled once, and the exports are the state.
        exports=None
        if exports is None or exports is advance.state
        else exports.compute(),
        output=None if output is None else output.compute(),
        metrics={
            str(name): float(np.asarray(value).item())
            for name, value in (advance.metrics or {}).items()
        },
    )


def _done(advancing: Advancing | None, message: object) -> Done:
    if advancing is None or not isinstance(message, Work):
        raise InternalError(f"a {type(message).__name__} came before its build")
    before_s = cpu_s()
    done = advancing(message)
    return replace(
        done,
        cpu_s=cpu_s() - before_s,
        memory_bytes=peak_bytes() + children_bytes(),
    )


def _failed(error: BaseException) -> Failed:
    told = "".join(traceback.format_exception(error)).rstrip()
    return Failed(
        cause=cause_of(error),
        message=f"{type(error).__name__}: {error}\n{told[-LONGEST_TEXT:]}",
    )
