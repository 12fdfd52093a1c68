"""Messages between a node and the process of a model.

Small things are pickled; large arrays travel through memory that both sides
map, so that they are copied once. What a model receives is a private copy,
made page by page where it writes; what a node receives is read-only.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cloudpickle

from climorch.model.advance import Advance, Segment
from climorch.model.events import Cause
from climorch.model.programs import RunPlace

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Build",
    "Built",
    "Call",
    "Done",
    "Failed",
    "HungUpError",
    "Returned",
    "Work",
    "receive",
    "send",
]

# Bytes of the pickle, of the lengths before it, of the memory beside it.
HEADER = struct.Struct("<QQQ")
# Below, a mapping of its own costs more than a copy.
SMALL_BYTES = 64 * 1024
ALIGN_BYTES = 64


class HungUpError(Exception):
    """The other side is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Make the step ready.

    Attributes
    ----------
    code : bytes
        The declaration, pickled by cloudpickle.
    path : tuple of str
        Where the node finds modules.
    segment : Segment
        The one that comes first.
    owner : str
        Simulation, set and stage, joined by ``/``.
    """

    code: bytes
    path: tuple[str, ...]
    segment: Segment
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call a function.

    Attributes
    ----------
    code : bytes
        It, without parameters, pickled by cloudpickle.
    path, owner
        As of `Build`; what it is called for.
    """

    code: bytes
    path: tuple[str, ...]
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a function that was called returned."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Advance by a segment.

    Attributes
    ----------
    state : xarray.Dataset or None
        None where it is held already.
    inputs, segment
        What the step is given.
    place : RunPlace or None
        Where it runs, if it is a program.
    """

    state: xr.Dataset | None
    inputs: Mapping[str, xr.Dataset]
    segment: Segment
    place: RunPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The step is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A segment is computed.

    Attributes
    ----------
    advance : Advance
        In memory.
    cpu_s : float
        CPU seconds of the process and of what it started meanwhile.
    memory_bytes : int
        The most memory that it had, with the largest process that it started.
    program_s : float
        Seconds of it that a program ran.
    """

    advance: Advance
    cpu_s: float = 0.0
    memory_bytes: int = 0
    program_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The step raised; ``message`` ends with its traceback."""

    cause: Cause
    message: str


def send(sock: socket.socket, message: object) -> None:
    """Send a message; nothing is sent if it cannot be pickled.

    Raises
    ------
    HungUpError
        If nobody is there to take it.
    """
    found: list[pickle.PickleBuffer] = []
    body = cloudpickle.dumps(message, protocol=5, buffer_callback=found.append)
    parts = [buffer.raw() for buffer in found]
    if sum(part.nbytes for part in parts) < SMALL_BYTES:
        body = cloudpickle.dumps(message, protocol=5)
        parts = []
    lengths = struct.pack(f"<{len(parts)}Q", *(part.nbytes for part in parts))
    total = sum(map(_aligned, (part.nbytes for part in parts)))
    header = HEADER.pack(len(body), len(lengths), total)
    try:
        if total:
            memory = os.memfd_create("climorch")
            try:
                _fill(memory, parts, total)
                socket.send_fds(sock, [header], [memory])
            finally:
                os.close(memory)
        else:
            sock.sendall(header)
        sock.sendall(lengths)
        sock.sendall(body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise HungUpError("the other process is gone") from error


def receive(sock: socket.socket, *, writable: bool) -> Any:
    """Wait for a message.

    Parameters
    ----------
    sock : socket
        Connected to the other side.
    writable : bool
        Whether its arrays are private copies instead of read-only.

    Raises
    ------
    HungUpError
        If the other side is gone.
    """
    try:
        header, descriptors, _, _ = socket.recv_fds(
            sock, HEADER.size, 1, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError as error:
        raise HungUpError("the other process is gone") from error
    try:
        if not header:
            raise HungUpError("the other process is gone")
        header += _exactly(sock, HEADER.size - len(header))
        body_bytes, lengths_bytes, total = HEADER.unpack(header)
        packed = _exactly(sock, lengths_bytes)
        body = _exactly(sock, body_bytes)
        if not total:
            return pickle.loads(body)
        memory = mmap.mmap(
            descriptors[0],
            total,
            flags=mmap.MAP_PRIVATE if writable else mmap.MAP_SHARED,
            prot=mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0),
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    lengths = struct.unpack(f"<{lengths_bytes // 8}Q", packed)
    return pickle.loads(body, buffers=_slices(memory, lengths))


def _exactly(sock: socket.socket, size: int) -> bytes:
    found = bytearray(size)
    view = memoryview(found)
    while view:
        try:
            got = sock.recv_into(view)
        except ConnectionResetError:
            got = 0
        if not got:
            raise HungUpError("the other process is gone")
        view = view[got:]
    return bytes(found)


def _aligned(size: int) -> int:
    return -(-size // ALIGN_BYTES) * ALIGN_BYTES


def _fill(memory: int, parts: Sequence[memoryview], total: int) -> None:
    os.ftruncate(memory, total)
    offset = 0
    for part in parts:
        done = 0
        # One call writes at most 2 GiB.
        while done < part.nbytes:
            done += os.pwrite(memory, part[done:], offset + done)
        offset += _aligned(part.nbytes)


def _slices(memory: mmap.mmap, lengths: Sequence[int]) -> list[memoryview]:
    whole = memoryview(memory)
    slices, offset = [], 0
    for length in lengths:
        slices.append(whole[offset : offset + length])
        offset += _aligned(length)
    return slices
