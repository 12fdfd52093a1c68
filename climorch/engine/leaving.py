"""What a script sees of a signal that ended its run before the work was done."""

from __future__ import annotations

import logging
import signal

__all__ = ["leave"]

logger = logging.getLogger(__name__)

# As shells tell of a process that a signal ended.
_SIGNALLED = 128


def leave(number: signal.Signals | None, campaign: str, left: int) -> None:
    """End the script as the signal does where nobody takes it, if work is left.

    Without this it would go on behind ``run`` as if all was computed, and whoever
    started it would read that it succeeded.

    Parameters
    ----------
    number : signal.Signals or None
        Which signal came; None: none did.
    campaign : str
        Its name.
    left : int
        How many simulations want to go on.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C: Python exits as killed by it, 130 in a shell.
    SystemExit
        After SIGTERM: with 143.
    """
    if number is None or not left:
        return
    told = (
        f"campaign {campaign!r} left at {number.name} with {left} simulations to go on "
        "with: run the script again"
    )
    if number is signal.SIGINT:
        raise KeyboardInterrupt(told)
    logger.warning("%s", told)
    raise SystemExit(_SIGNALLED + number)
