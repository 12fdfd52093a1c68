"""The label that every task of a campaign carries on the Dask scheduler.

A plain dict, since Dask sends annotations as msgpack: it says whose lease the
task may use, which of a node's resources it takes, and where its blocks go.
Anybody can write one, so it is read with distrust: what says no lease and kind
is foreign work; a hint that makes no sense is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from climorch.errors import Fault, InvalidInputError

__all__ = [
    "ANNOTATION",
    "COMPUTE",
    "IO",
    "LIGHT",
    "PACED",
    "TOPIC",
    "Tag",
    "Watched",
    "annotating",
    "make_guest_tag",
    "make_service_tag",
    "make_tag",
    "read_guest",
    "read_service",
    "read_tag",
]

ANNOTATION = "climorch"
# Under this a label names the stage whose segment a task belongs to.
PACED = "paced"
TOPIC = "climorch"
COMPUTE = "cpu"
IO = "io"
# Takes no time, so it need not wait for a core.
LIGHT = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The segment that a task belongs to, for who watches how long it takes.

    Attributes
    ----------
    stage : str
        Whose.
    segment, attempt : int
        Which.
    limit_s : float
        Seconds of execution after which the task is stuck.
    reads : bool
        Whether it reads a checkpoint before that segment, and computes nothing.
    """

    stage: str
    segment: int
    attempt: int
    limit_s: float
    reads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A label that could be read.

    Attributes
    ----------
    lease, kind, node, blocks, watched
        As in `make_tag`.
    """

    lease: str
    kind: str
    node: str | None = None
    blocks: Mapping[str, tuple[Sequence[int], Sequence[str]]] = field(
        default_factory=dict
    )
    watched: Watched | None = None

    def place(self, key: Any) -> str | None:
        """Return the node that a task prefers, if it prefers one.

        Parameters
        ----------
        key : object
            Of the task.

        Returns
        -------
        str or None
            None too for a block that the label does not know of.
        """
        if isinstance(key, tuple) and key and key[0] in self.blocks:
            counts, nodes = self.blocks[key[0]]
            indices = key[1:]
            if len(indices) != len(counts):
                return None
            flat = 0
            for index, count in zip(indices, counts, strict=True):
                if not isinstance(index, int) or not 0 <= index < count:
                    return None
                flat = flat * count + index
            return nodes[flat]
        return self.node


def annotating(tag: Mapping[str, Any]) -> dict[str, Any]:
    """Return all annotations that tasks with a label need.

    Parameters
    ----------
    tag : mapping
        From `make_tag`.

    Returns
    -------
    dict
        The label, and one span of Dask per simulation for ever: else Dask makes
        a new one now and then, and nodes keep counters for each.
    """
    lease = str(tag["lease"])
    span = {"name": (lease,), "ids": (f"{ANNOTATION}-{lease}",)}
    return {ANNOTATION: dict(tag), "span": span}


def make_tag(
    lease: str,
    *,
    kind: str = COMPUTE,
    node: str | None = None,
    blocks: Mapping[str, tuple[Sequence[int], Sequence[str]]] | None = None,
    watched: Watched | None = None,
    paced: str = "",
) -> dict[str, Any]:
    """Return the annotation of some tasks.

    Parameters
    ----------
    lease : str
        Simulation on whose nodes they run.
    kind : str
        `COMPUTE` or `IO`: the resource that each takes one of; `LIGHT`: none.
    node : str or None
        Node that all of them prefer.
    blocks : mapping of str to (block counts, nodes) or None
        For keys ``(name, i, j, ...)``: number of blocks per dimension and the
        preferred node of each block in C order.
    watched : Watched or None
        Segment that they compute; None: nobody looks whether they are stuck.
    paced : str
        Stage whose segment they compute, so that nodes are compared by what they
        take for it; empty: they are not.

    Returns
    -------
    dict
        Plain data.
    """
    tag: dict[str, Any] = {"lease": lease, "kind": kind}
    if node is not None:
        tag["node"] = node
    if blocks is not None:
        tag["blocks"] = {
            name: [list(counts), list(nodes)]
            for name, (counts, nodes) in blocks.items()
        }
    if watched is not None:
        tag["watched"] = {
            "stage": watched.stage,
            "segment": watched.segment,
            "attempt": watched.attempt,
            "limit_s": watched.limit_s,
        }
        if watched.reads:
            tag["watched"]["reads"] = True
    if paced:
        tag[PACED] = paced
    return tag


def make_guest_tag(name: str) -> dict[str, Any]:
    """Return the annotation of foreign work that has a name of its own.

    Parameters
    ----------
    name : str
        What its priority is given under; it runs where nobody has a lease.

    Returns
    -------
    dict
        Plain data.
    """
    return {"guest": name}


def make_service_tag(address: str) -> dict[str, Any]:
    """Return the annotation of a task that is to run on one worker, leased or not.

    Parameters
    ----------
    address : str
        Of the worker.

    Returns
    -------
    dict
        Plain data.
    """
    return {"service": address}


def read_service(annotation: object) -> str | None:
    """Return the worker that a task is to run on, whoever leases it."""
    if isinstance(annotation, Mapping) and annotation.keys() == {"service"}:
        address = annotation["service"]
        return address if isinstance(address, str) else None
    return None


def read_guest(annotation: object) -> str | None:
    """Return the name of foreign work that gave itself one."""
    if isinstance(annotation, Mapping) and "lease" not in annotation:
        name = annotation.get("guest")
        if isinstance(name, str):
            return name
    return None


def read_tag(annotation: object) -> Tag:
    """Read a label that anybody may have written.

    Parameters
    ----------
    annotation : object
        What a task carries under `ANNOTATION`.

    Returns
    -------
    Tag
        Without the hints that make no sense.

    Raises
    ------
    InvalidInputError
        If it does not say whose lease and which resource.
    """
    if not isinstance(annotation, Mapping):
        raise _mistagged("", f"is a {type(annotation).__name__}, expected a dict")
    lease, kind = annotation.get("lease"), annotation.get("kind")
    if not isinstance(lease, str) or not lease:
        raise _mistagged("['lease']", f"is {lease!r}, expected a simulation's name")
    if kind not in (COMPUTE, IO, LIGHT):
        raise _mistagged("['kind']", f"is {kind!r}, expected {COMPUTE!r} or {IO!r}")
    node = annotation.get("node")
    return Tag(
        lease=lease,
        kind=kind,
        node=node if isinstance(node, str) else None,
        blocks=_read_blocks(annotation.get("blocks")),
        watched=_read_watched(annotation.get("watched")),
    )


def _mistagged(where: str, problem: str) -> InvalidInputError:
    return InvalidInputError(
        "this label is not ours: its tasks are foreign work",
        faults=[
            Fault(
                place=f"annotation {ANNOTATION!r}{where}",
                problem=problem,
                remedy=f"leave {ANNOTATION!r} to the library",
            )
        ],
    )


def _read_blocks(
    blocks: object,
) -> Mapping[str, tuple[Sequence[int], Sequence[str]]]:
    if not isinstance(blocks, Mapping):
        return {}
    found = {}
    for name, entry in blocks.items():
        match entry:
            case [[*counts], [*nodes]] if (
                all(isinstance(count, int) and count >= 0 for count in counts)
                and all(isinstance(node, str) for node in nodes)
                and prod(counts) == len(nodes)
            ):
                found[name] = (counts, nodes)
            case _:
                pass
    return found


def _read_watched(watched: object) -> Watched | None:
    match watched:
        case {
            "stage": str(stage),
            "segment": int(segment),
            "attempt": int(attempt),
            "limit_s": float(limit_s) | int(limit_s),
            **more,
        } if limit_s > 0:
            return Watched(
                stage=stage,
                segment=segment,
                attempt=attempt,
                limit_s=float(limit_s),
                reads=more.get("reads") is True,
            )
        case _:
            return None
