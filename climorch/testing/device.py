"""A device whose power may go: what it may hold then.

The model of `climorch.testing.power_loss`, which says what it assumes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from climorch.testing.recording import (
    ROOT,
    Flushed,
    Names,
    Note,
    Operation,
    Written,
)

__all__ = ["KEPT", "Device", "Loss", "Tree", "losses"]

Tree: TypeAlias = dict[str, tuple[int, bytes] | None]
"""Path to number and content of a file; None: a directory. Parents come first."""

KEPT = ("none", "zeros", "half", "torn")
"""What may be there of bytes that were not flushed, beside all of them."""

_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Loss:
    """What became of all that was not flushed.

    Attributes
    ----------
    happened : frozenset of int
        Changes of names that did happen, numbered from 0 in their order.
    kept : tuple of (int, str)
        Files whose new bytes are not all there, and which are: one of `KEPT`.
    """

    happened: frozenset[int]
    kept: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class _Bytes:
    durable: bytes = b""
    pending: list[Written] = field(default_factory=list)

    def after(self, kept: str) -> bytes:
        """Return what is there after a cut."""
        if not self.pending or kept == "none":
            return self.durable
        whole = bytearray(self.durable)
        for written in self.pending:
            whole.extend(bytes(max(written.offset - len(whole), 0)))
            end = written.offset + len(written.data)
            whole[written.offset : end] = written.data
        old, new = len(self.durable), bytes(whole)
        if kept == "zeros":
            return self.durable + bytes(len(new) - old)
        if kept == "half":
            return new[: old + (len(new) - old) // 2]
        if kept == "torn":
            # The first sector did not get there, those behind it did.
            gone = min(_SECTOR, (len(new) - old + 1) // 2)
            return self.durable + bytes(gone) + new[old + gone :]
        return new


class Device:
    """A device on which operations arrive, and what it may hold after a cut."""

    def __init__(self) -> None:
        self._base: dict[tuple[int, str], int] = {}
        # In their order; True: durable, but one before it is not.
        self._changes: list[tuple[Names, bool]] = []
        self._bytes: dict[int, _Bytes] = {}
        self._directories = {ROOT}

    @property
    def pending_names(self) -> list[str]:
        """Changes of names that may be lost, in words."""
        return [change.what for change, settled in self._changes if not settled]

    @property
    def pending_files(self) -> list[int]:
        """Files with bytes that may be lost."""
        return sorted(file for file, known in self._bytes.items() if known.pending)

    def take(self, operation: Operation) -> None:
        """Let an operation arrive."""
        match operation:
            case Names():
                if operation.directory:
                    self._directories |= {
                        node or ROOT for *_, node in operation.changes
                    }
                self._changes.append((operation, operation.settled))
                self._settle()
            case Written():
                known = self._bytes.setdefault(operation.file, _Bytes())
                known.pending.append(operation)
                if operation.settled:
                    self._flush(operation.file)
            case Flushed(node=node):
                self._flush(node)
                self._changes = [
                    (change, settled or any(d == node for d, *_ in change.changes))
                    for change, settled in self._changes
                ]
                self._settle()
            case Note():
                pass

    def _flush(self, file: int) -> None:
        if file in self._bytes:
            self._bytes[file] = _Bytes(self._bytes[file].after("all"))

    def _settle(self) -> None:
        """Forget changes that are overwritten for good; apply those that are first."""
        kept: list[tuple[Names, bool]] = []
        final: set[tuple[int, str]] = set()
        for change, settled in reversed(self._changes):
            places = {(directory, name) for directory, name, _ in change.changes}
            if not places <= final:
                kept.append((change, settled))
            if settled:
                final |= places
        kept.reverse()
        while kept and kept[0][1]:
            _apply(self._base, kept.pop(0)[0])
        self._changes = kept

    def tree(self, loss: Loss) -> Tree:
        """Return what is found after a cut.

        Parameters
        ----------
        loss : Loss
            What became of what was not flushed.

        Returns
        -------
        dict of str to (int, bytes) or None
            See `Tree`. Files that have no name any more are not found.
        """
        entries = dict(self._base)
        number = 0
        for change, settled in self._changes:
            if settled or number in loss.happened:
                _apply(entries, change)
            number += not settled
        image: dict[int, list[tuple[str, int]]] = {}
        for (directory, name), node in sorted(entries.items()):
            image.setdefault(directory, []).append((name, node))
        kept = dict(loss.kept)
        found: Tree = {}
        left = [("", ROOT)]
        while left:
            path, directory = left.pop()
            for name, node in image.get(directory, ()):
                below = f"{path}{name}"
                if node in self._directories:
                    found[below] = None
                    left.append((f"{below}/", node))
                else:
                    known = self._bytes.get(node, _Bytes())
                    found[below] = (node, known.after(kept.get(node, "all")))
        return found


def _apply(entries: dict[tuple[int, str], int], change: Names) -> None:
    for directory, name, node in change.changes:
        if node is None:
            entries.pop((directory, name), None)
        else:
            entries[directory, name] = node


def losses(
    names: int,
    files: Sequence[int],
    *,
    most: int,
    samples: int,
    rng: np.random.Generator,
) -> Iterator[Loss]:
    """List what may become of changes that were not flushed.

    Parameters
    ----------
    names : int
        Changes of names.
    files : sequence of int
        Files with new bytes.
    most : int
        Whether all losses of one (1) or of up to two (2) changes come.
    samples : int
        How many others come, at random.
    rng : numpy.random.Generator
        Chooses those.

    Yields
    ------
    Loss
        First that nothing is lost, then all cuts in order, as of a file system that
        keeps the order of its names; then losses out of order.
    """
    every = frozenset(range(names))
    for count in range(names, -1, -1):
        happened = frozenset(range(count))
        yield Loss(happened)
        for kept in KEPT if files else ():
            yield Loss(happened, tuple((file, kept) for file in files))
    for size in range(1, most + 1):
        for some in itertools.combinations(range(names), size):
            for happened in (every - set(some), frozenset(some)):
                yield Loss(happened)
                if files:
                    yield Loss(happened, tuple((file, "none") for file in files))
    for file, kept in itertools.product(files, KEPT):
        yield Loss(every, ((file, kept),))
        if most > 1:
            for lost in range(names):
                yield Loss(every - {lost}, ((file, kept),))
    choices = ("all", *KEPT)
    for _ in range(samples if names or files else 0):
        chosen = rng.random(names) < rng.random()
        bytes_kept = rng.integers(len(choices), size=len(files))
        yield Loss(
            frozenset(np.flatnonzero(chosen).tolist()),
            tuple((f, choices[k]) for f, k in zip(files, bytes_kept, strict=True)),
        )
