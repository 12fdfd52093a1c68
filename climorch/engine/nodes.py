"""What a Dask worker is as a node: its name, and what it offers at once.

Pure. Workers that a site made have both already; those of a cluster that was
there before may be called anything and offer nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from climorch.engine.tags import COMPUTE, IO
from climorch.model.names import PATTERN

__all__ = ["loss_reason", "missing_resources", "node_name"]

# Longest part of a foreign name that is kept, so that the hash still fits.
KEPT = 48

# Dask's names of what removes a worker, each followed by a time.
REASONS = {
    "retire-workers": "retired by whoever runs the cluster",
    "worker-close-gracefully": "it was closed",
    "nanny-close": "it was closed",
    "handle-worker-cleanup": "its connection ended",
    "worker-send-comm-fail": "its connection failed",
    "send-all-comm-fail": "its connection failed",
    "check-worker-ttl": "no heartbeat",
}


def loss_reason(stimulus: str) -> str:
    """Say in words why Dask removed a worker.

    Parameters
    ----------
    stimulus : str
        Dask's word for it.

    Returns
    -------
    str
        The word itself, without its time, where it is none that is known.
    """
    cause = re.sub(r"-[0-9.]+(e[+-]?[0-9]+)?$", "", stimulus)
    return REASONS.get(cause, cause)


def node_name(worker: object) -> str:
    """Return the name of the node that a worker is.

    Parameters
    ----------
    worker : object
        The worker's name on the Dask scheduler: text, a number, an address.

    Returns
    -------
    str
        The same where it is a name, else what is left of it and a hash: nodes
        name files.
    """
    given = str(worker)
    if PATTERN.fullmatch(given):
        return given
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", given).strip("._-")[:KEPT] or "node"
    digest = hashlib.blake2b(given.encode(), digest_size=4).hexdigest()
    return f"{kept}-{digest}"


def missing_resources(threads: int, offered: Mapping[str, float]) -> dict[str, float]:
    """Return the resources that a worker needs and does not offer.

    Parameters
    ----------
    threads : int
        Of the worker, >= 1.
    offered : mapping of str to float
        Its resources.

    Returns
    -------
    dict of str to float
        One thread is for I/O and the rest computes; a single one does both.
    """
    wanted = {COMPUTE: float(max(threads - 1, 1)), IO: 1.0}
    return {name: value for name, value in wanted.items() if name not in offered}
