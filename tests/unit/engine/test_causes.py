"""Which retry budget an error draws on."""

from __future__ import annotations

import pytest
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from climorch.engine.steps import cause_of
from climorch.engine.worker import StateNotDurableError
from climorch.errors import BackendError, CorruptDataError
from climorch.model.causes import Cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("the model is wrong"), Cause.MODEL),
        (ZeroDivisionError(), Cause.NUMERICAL),
        (MemoryError(), Cause.MEMORY),
        (ConnectionResetError("a forcing server went away"), Cause.TRANSIENT),
        (TimeoutError("it does not answer"), Cause.TRANSIENT),
        (OSError(28, "No space left on device"), Cause.STORAGE),
        (FileNotFoundError("forcing.nc"), Cause.STORAGE),
        (BackendError("storage"), Cause.STORAGE),
        (CorruptDataError("a chunk"), Cause.CORRUPT),
        (StateNotDurableError("a block"), Cause.NOT_DURABLE),
        # Python takes it for an error of a network, as if a server were away.
        (CommClosedError("a node"), Cause.NODE_LOST),
        (FutureCancelledError("task", "its node went"), Cause.NODE_LOST),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_has_one_cause(error: BaseException, cause: Cause) -> None:
    """What passes by itself is told from what a model does wrong."""
    assert cause_of(error) is cause
