"""Messages between a node and the process of a model."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from climorch.engine.wire import HungUpError, receive, send

LARGE = np.arange(20_000.0)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    one, two = socket.socketpair()
    with one, two:
        yield one, two


@pytest.mark.parametrize(
    "array",
    [
        LARGE,
        LARGE[::2],
        np.asfortranarray(LARGE.reshape(100, 200)),
        np.zeros((0, 3)),
        np.array(3, "i2"),
        np.array(["west", "ost"] * 5000),
        np.array([None, "x"], object),
    ],
    ids=["large", "strided", "fortran", "empty", "scalar", "strings", "objects"],
)
@pytest.mark.parametrize("writable", [True, False])
def test_arrays_arrive_as_they_were(
    ends: tuple[socket.socket, socket.socket], array: npt.NDArray[Any], writable: bool
) -> None:
    """Values, type and shape; the sender's are not those of the receiver."""
    before = array.copy()
    # More than one, so that their places in memory matter.
    message = {"a": array, "b": [LARGE[:3], LARGE * 2]}
    sender = threading.Thread(target=send, args=(ends[0], message))
    sender.start()
    found = receive(ends[1], writable=writable)
    sender.join()

    assert found["a"].dtype == array.dtype
    assert found["a"].shape == array.shape
    assert np.array_equal(found["a"], array)
    assert np.array_equal(found["b"][1], LARGE * 2)
    if writable:
        found["b"][1][...] = 0.0
        found["a"][...] = found["a"].flat[0] if array.size else 0
        assert np.array_equal(array, before)


def test_large_arrays_arrive_read_only_unless_they_are_to_be_written(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """They lie in memory that both sides map: nobody may write for the other."""
    for writable in (False, True):
        send(ends[0], LARGE)
        found = receive(ends[1], writable=writable)
        assert found.flags.writeable is writable


def test_what_cannot_be_sent_is_not_sent_in_part(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """The next message arrives as if nothing had been tried."""
    with pytest.raises(TypeError, match="pickle"):
        send(ends[0], [LARGE, threading.Lock()])
    send(ends[0], "next")
    assert receive(ends[1], writable=False) == "next"


def test_a_side_that_hangs_up_is_noticed(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Before a message, within one, and when sending."""
    ends[0].send(b"half a hea")
    ends[0].close()
    for _ in range(2):
        with pytest.raises(HungUpError):
            receive(ends[1], writable=False)
    with pytest.raises(HungUpError):
        send(ends[1], LARGE)
