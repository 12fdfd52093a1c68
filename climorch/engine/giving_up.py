"""What becomes of a checkpoint that failed, and of the outputs that it had taken."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from climorch.engine.outputs import Staged
from climorch.engine.services import Services
from climorch.errors import BackendError
from climorch.storage.checkpoints import InFlight
from climorch.storage.manifest import OUTPUTS

__all__ = ["give_up"]

logger = logging.getLogger(__name__)

# No space on the device, or none left of what this user may have.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def give_up(
    services: Services,
    in_flight: InFlight,
    staged: Mapping[tuple[str, int], Staged],
    error: BaseException,
) -> dict[tuple[str, int], Staged]:
    """Leave a checkpoint for the next try; return the outputs that it needs."""
    kept = {}
    for (stage, segment), output in staged.items():
        moved = in_flight.directory / OUTPUTS / stage / str(segment)
        kept[stage, segment] = taken = replace(output, taken_to=moved)
        with contextlib.suppress(OSError):
            if taken.bring_home():
                kept[stage, segment] = output
    if any(output.taken_to is not None for output in kept.values()):
        # They lie in there: it is given up when they could be brought home.
        logger.warning("in-flight checkpoint=%s stays: outputs", in_flight.directory)
        return kept
    full = isinstance(error, BackendError) and error.facts.get("errno") in _FULL
    try:
        services.checkpoints.abandon(in_flight, keep=not full)
        if full:
            services.checkpoints.purge_trash(time.time(), older_than_s=0)
    except BackendError as second:
        logger.warning("in-flight checkpoint=%s stays: %s", in_flight.directory, second)
    return kept
