"""The label that every task of a campaign carries on the Dask scheduler.

A plain dict, since Dask sends annotations as msgpack: it says whose lease the
task may use, which of a node's resources it takes, and where its blocks go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["ANNOTATION", "COMPUTE", "IO", "LIGHT", "TOPIC", "make_tag", "placed_on"]

ANNOTATION = "climorch"
TOPIC = "climorch"
COMPUTE = "cpu"
IO = "io"
# Takes no time, so it need not wait for a core.
LIGHT = ""


def make_tag(
    lease: str,
    *,
    kind: str = COMPUTE,
    node: str | None = None,
    blocks: Mapping[str, tuple[Sequence[int], Sequence[str]]] | None = None,
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
    return tag


def placed_on(tag: Mapping[str, Any], key: Any) -> str | None:
    """Return the node that a task prefers, if it prefers one."""
    if isinstance(key, tuple) and key[0] in tag.get("blocks", ()):
        counts, nodes = tag["blocks"][key[0]]
        flat = 0
        for index, count in zip(key[1:], counts, strict=True):
            flat = flat * count + index
        found: str = nodes[flat]
        return found
    node: str | None = tag.get("node")
    return node
