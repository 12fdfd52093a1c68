"""What failures and checkpoints cost in the mean, after Daly (2006).

Failures are a Poisson process; a dump stops the computation; a restart may fail
too. Closed forms only: which interval is used is decided in `checkpointing`.
"""

from __future__ import annotations

import math

from climorch.errors import Fault, InvalidInputError

__all__ = ["daly_interval", "expected_run_time_s"]


def daly_interval(*, cost_s: float, mtbf_s: float) -> float:
    """Compute the time between checkpoints that loses least.

    Parameters
    ----------
    cost_s, mtbf_s : float
        Time lost to one checkpoint; mean time between failures of the lease.
        Seconds, finite, > 0.

    Returns
    -------
    float
        Compute between two checkpoints, in seconds; ``mtbf_s`` where a
        checkpoint costs at least twice as much.

    Raises
    ------
    InvalidInputError
        If an argument is not finite and positive.

    References
    ----------
    Daly (2006), Future Gener. Comput. Syst. 22(3), 303-312, eq. 37.
    """
    # Asked at every boundary: what is wrong is looked for once it is known to be.
    if not (0 < cost_s < math.inf and 0 < mtbf_s < math.inf):
        _require("no checkpoint interval", {"cost_s": cost_s, "mtbf_s": mtbf_s})
    if cost_s >= 2 * mtbf_s:
        return mtbf_s
    ratio = cost_s / (2 * mtbf_s)
    return (
        math.sqrt(2 * cost_s * mtbf_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - cost_s
    )


def expected_run_time_s(
    *,
    work_s: float,
    interval_s: float,
    cost_s: float,
    restart_s: float,
    mtbf_s: float,
) -> float:
    """Compute how long work takes with its checkpoints, failures and restarts.

    Parameters
    ----------
    work_s, interval_s : float
        Compute in all, and between two checkpoints.
    cost_s, restart_s : float
        Time of one dump; from a failure until computing goes on where the
        newest dump was made. Either may be 0.
    mtbf_s : float
        Mean time between failures of the lease. All in seconds, finite; work,
        interval and this one > 0.

    Returns
    -------
    float
        Mean seconds from the start to the end of the last dump. Exact for
        exponential times between failures where ``work_s`` is a multiple of
        ``interval_s``; infinite where the number does not fit.

    Raises
    ------
    InvalidInputError
        If an argument is outside its range.

    References
    ----------
    Daly (2006), Future Gener. Comput. Syst. 22(3), 303-312, eq. 20.
    """
    _require(
        "no expected run time",
        {"work_s": work_s, "interval_s": interval_s, "mtbf_s": mtbf_s},
        {"cost_s": cost_s, "restart_s": restart_s},
    )
    try:
        tries = math.exp(restart_s / mtbf_s) * math.expm1(
            (interval_s + cost_s) / mtbf_s
        )
    except OverflowError:
        return math.inf
    return mtbf_s * tries * work_s / interval_s


def _require(
    message: str, above: dict[str, float], least: dict[str, float] | None = None
) -> None:
    faults = [
        Fault(
            place=name,
            problem=f"got {value}, expected finite and > 0",
            remedy="pass measured seconds",
        )
        for name, value in above.items()
        if not (math.isfinite(value) and value > 0)
    ]
    faults += [
        Fault(
            place=name,
            problem=f"got {value}, expected finite and >= 0",
            remedy="pass measured seconds",
        )
        for name, value in (least or {}).items()
        if not (math.isfinite(value) and value >= 0)
    ]
    if faults:
        raise InvalidInputError(message, faults=faults)
