"""Which chunks of a checkpoint other codecs are tried on.

A few of those checkpoints that are written in full, as far as variables go; another
chunk each time, drawn by the number of the boundary. What that costs is counted with
what the checkpoint costs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from climorch.storage.manifest import STATE
from climorch.storage.trials import Piece

if TYPE_CHECKING:
    import xarray as xr

    from climorch.storage.inflight import InFlight

__all__ = ["MOST_PIECES", "pieces_of"]

MOST_PIECES = 32
"""At most so many variables of a checkpoint: less than a CPU second in all."""


def pieces_of(
    in_flight: InFlight, datasets: Mapping[tuple[str, str], xr.Dataset]
) -> dict[str, Piece]:
    """Choose what is tried of a checkpoint.

    Parameters
    ----------
    in_flight : InFlight
        The checkpoint.
    datasets : mapping of (str, str) to Dataset
        Its states, by tree and stage.

    Returns
    -------
    dict of str to Piece
        By the key of the chunk; empty unless the checkpoint is written in full.
    """
    if not in_flight.request.full:
        return {}
    keys: dict[tuple[str, str], list[str]] = {}
    for (tree, stage, variable, _), job in in_flight.jobs.items():
        if tree == STATE:
            keys.setdefault((stage, variable), []).append(job.key)
    chance = random.Random(in_flight.request.boundary)
    chosen = chance.sample(sorted(keys), min(len(keys), MOST_PIECES))
    return {
        chance.choice(sorted(keys[stage, variable])): Piece(
            stage=stage,
            variable=variable,
            whole_bytes=int(datasets[STATE, stage][variable].nbytes),
        )
        for stage, variable in chosen
    }
