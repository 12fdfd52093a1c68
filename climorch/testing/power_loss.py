"""What a disk may hold after a power cut, tried one by one.

The method of ALICE (Pillai et al., OSDI 2014): record what code asks of the file
system, stop after every operation, and let everything be lost, torn or reordered
that was not flushed by then. The model is harsher than the file systems in use:

- Bytes are durable once their file was flushed. Before, a file may have its old
  content, all of the new one, zeros of its length, half of it, or a torn one.
- A name is durable once its directory was flushed. Before, each change may have
  happened or not, whatever became of those before and after it, even in the same
  directory. That its file was flushed gives a file no name.
- A rename is atomic: both of its names change, or neither. Nothing else is asked of
  a file system.

Losses of one and of two changes are all tried; of more by chance, from a seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import xxhash

from climorch.storage import durable
from climorch.testing.device import Device, Loss, Tree, losses
from climorch.testing.recording import Names, Note, Operation

__all__ = ["Effort", "Findings", "explore", "write_tree"]

T = TypeVar("T")

_SHOWN = 5


def write_tree(tree: Tree, folder: Path) -> None:
    """Make a folder hold what a device held; files with several names are linked."""
    first: dict[int, str] = {}
    for path, content in tree.items():
        target = os.path.join(folder, path)
        if content is None:
            os.mkdir(target)
        elif content[0] in first:
            os.link(first[content[0]], target)
        else:
            first[content[0]] = target
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, content[1])
            finally:
                os.close(descriptor)


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was tried, and what was wrong.

    Attributes
    ----------
    operations, prefixes, tried, states : int
        Operations that were recorded, moments of a cut, losses, and how many
        different states of the disk those led to.
    violations : int
        Losses after which a promise did not hold.
    examples : list of str
        The first of them, in words.
    """

    operations: int
    prefixes: int = 0
    tried: int = 0
    states: int = 0
    violations: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Search(Generic[T]):
    """Recovers from each state once, and judges it as often as it comes about."""

    folder: Path
    recover: Callable[[Path], T]
    judge: Callable[[T, Sequence[str]], Sequence[str]]
    findings: Findings
    outcomes: dict[bytes, T] = field(default_factory=dict)

    def outcome(self, tree: Tree) -> T:
        """Return what recovery makes of a state."""
        digest = xxhash.xxh3_128()
        for path, content in tree.items():
            digest.update(path.encode())
            digest.update(b"\0/" if content is None else b"%d:" % content[0])
            if content is not None:
                digest.update(content[1])
        key = digest.digest()
        if key not in self.outcomes:
            place = self.folder / f"{len(self.outcomes):d}"
            place.mkdir()
            write_tree(tree, place)
            self.outcomes[key] = self.recover(place)
            durable.remove_tree(place)
            self.findings.states += 1
        return self.outcomes[key]

    def look(self, device: Device, loss: Loss, notes: Sequence[str], at: str) -> None:
        """Judge one loss."""
        self.findings.tried += 1
        faults = self.judge(self.outcome(device.tree(loss)), notes)
        if not faults:
            return
        self.findings.violations += 1
        if len(self.findings.examples) < _SHOWN:
            names = device.pending_names
            lost = [n for i, n in enumerate(names) if i not in loss.happened]
            self.findings.examples.append(
                f"{'; '.join(faults)}; cut after {at}, told {list(notes)}, names lost "
                f"{lost}, bytes {dict(loss.kept)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is tried.

    Attributes
    ----------
    most, samples : int
        As in `climorch.testing.device.losses`.
    every : int
        Moments are tried one in so many; those with news for users, and those after
        a rename of more than a draft, always are.
    since : str
        Note from which on the power is cut; empty: from the beginning.
    enough : int or None
        Stop at so many violations; None: try all.
    seed : int
        For losses by chance.
    """

    most: int = 1
    samples: int = 2
    every: int = 1
    since: str = ""
    enough: int | None = None
    seed: int = 0


def explore(
    operations: Sequence[Operation],
    folder: Path,
    *,
    recover: Callable[[Path], T],
    judge: Callable[[T, Sequence[str]], Sequence[str]],
    effort: Effort,
    beforehand: int = 0,
) -> Findings:
    """Cut the power at every moment of a record, and recover from what is left.

    Parameters
    ----------
    operations : sequence of Operation
        From `RecordingFiles.operations`.
    folder : Path
        Empty, where states are laid out one after the other; best in memory.
    recover : callable
        Recovers what is in a folder, with the code of the library, and says what it
        found. Called once for each state.
    judge : callable
        Told that, and what users had been told to be durable when the power went;
        says which promises do not hold.
    effort : Effort
        How much is tried.
    beforehand : int
        How many operations come before the first moment of a cut.

    Returns
    -------
    Findings
        How much was tried, and what was wrong.
    """
    findings = Findings(operations=len(operations))
    search = _Search(folder=folder, recover=recover, judge=judge, findings=findings)
    rng = np.random.default_rng(effort.seed)
    for device, notes, at in _moments(operations, effort, beforehand):
        findings.prefixes += 1
        pending = len(device.pending_names), device.pending_files
        for loss in losses(*pending, most=effort.most, samples=effort.samples, rng=rng):
            search.look(device, loss, notes, at)
            if effort.enough is not None and findings.violations >= effort.enough:
                return findings
    return findings


def _moments(
    operations: Sequence[Operation], effort: Effort, beforehand: int
) -> Iterator[tuple[Device, Sequence[str], str]]:
    """Yield the device at each moment, what users were told, and what happened last."""
    device, notes, at = Device(), list[str](), "the beginning"
    for number, operation in enumerate(operations):
        device.take(operation)
        match operation:
            case Note(text=text):
                notes.append(text)
            case Names(what=what):
                at = what
            case _:
                at = f"{type(operation).__name__.lower()} {number}"
        early = number + 1 < beforehand or (effort.since and effort.since not in notes)
        if not early and (number % effort.every == 0 or _matters(operation)):
            yield device, notes, at


def _matters(operation: Operation) -> bool:
    """Tell whether somebody was told something, or saw something change."""
    match operation:
        case Note():
            return True
        case Names(what=what):
            return what.startswith("rename ") and durable.TEMPORARY_PREFIX not in what
        case _:
            return False
