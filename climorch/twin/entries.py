"""Entries of many segments at once: what `Ledger` would enter one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from climorch.twin.account import Charge, Finished
from climorch.twin.ledger import DAY_S, Ledger, Part

__all__ = ["Computed", "enter"]


class Computed(NamedTuple):
    """A segment that was computed undisturbed; seconds, and the clock at its end."""

    number: int
    compute_s: float
    base_s: float
    stall_s: float
    ends_s: float


def enter(
    ledger: Ledger,
    simulation: str,
    name: str,
    stage: str,
    segments: Sequence[Computed],
    *,
    committed: int,
    stall_s: float,
    writing: bool,
) -> None:
    """Note segments of a stage that computes alone, one right after the other.

    Parameters
    ----------
    ledger : Ledger
        The books.
    simulation, name, stage : str
        Whose; ``name`` is the set's.
    segments : sequence of Computed
        In order; the first one had begun before, and the next one runs now.
    committed : int
        Segments of the stage that are covered by a checkpoint by now.
    stall_s : float
        Seconds that the one which runs now waits for a checkpoint, or did.
    writing : bool
        Whether one is being written now.
    """
    account = ledger.accounts[simulation]
    finished = account.finished.setdefault(name, {})
    for place in [place for place in finished if place[1] < committed]:
        ledger.committed(simulation, name, *place)
    charge = account.running[stage]
    base, spent, since_s = charge.base, charge.spent, account.since_s
    idle = max(account.nodes - account.bases, 0)
    whole = account.bases + idle
    for number, compute_s, base_s, waited_s, ends_s in segments:
        total = account.held * (ends_s - since_s)
        since_s = ends_s
        share = (spent + total * base / whole) / (compute_s + waited_s)
        spent = 0.0
        useful = min(base_s * base, share * compute_s)
        done = Finished(
            useful=useful,
            wide=share * compute_s - useful,
            stall=share * waited_s,
            day=int((ends_s - ledger.begin_s) // DAY_S),
        )
        if idle:
            ledger.spend(Part.IDLE, total * idle / whole, ends_s)
        if number < committed:
            ledger.commit(account, done)
        else:
            finished[stage, number] = done
    if segments:
        # The one that runs now began when the last one ended.
        charge = account.running[stage] = Charge(base=base)
    charge.spent, charge.stall_s = spent, stall_s
    account.since_s, account.writing = since_s, int(writing)
