"""Two levels: copies in the memory of partner nodes, checkpoints on disk.

A copy heals what most failures are, the loss of nodes that are not partners of
each other. The disk has to bear only the rest, and may be written to less often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.pace import CheckpointStrategy, Pace
from climorch.model.ranges import range_faults
from climorch.policy.checkpointing import AnyOf, Daly, either
from climorch.policy.reliability import Losses, severe_mtbf_s

__all__ = ["CopyPace", "PartnerCopy", "partner_copy_of", "partners"]

WEEK_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPace:
    """What is known about a set when it reaches a common boundary.

    Attributes
    ----------
    boundaries : int
        Common boundaries passed since the last copy was begun or the attempt
        was, the present one included.
    since_s : float
        Seconds since then.
    cost_s : float or None
        Measured time lost to one copy, in seconds; None: none yet.
    nodes : int
        Of the lease.
    """

    boundaries: int
    since_s: float
    cost_s: float | None
    nodes: int


def partners(nodes: Sequence[str]) -> dict[str, str]:
    """Return who holds the copy of what each node has.

    Parameters
    ----------
    nodes : sequence of str
        Of a lease, in order, each once.

    Returns
    -------
    dict of str to str
        Node to the next one in a ring; empty where there are fewer than two.
    """
    if len(nodes) < 2:
        return {}
    return dict(zip(nodes, [*nodes[1:], nodes[0]], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerCopy:
    """Copies in partners' memory between checkpoints on disk.

    On a lease of one node nobody could hold a copy: the disk alone is used.

    Attributes
    ----------
    disk : CheckpointStrategy
        When the second level is written. While a copy is held it is told the
        mean time between failures that no copy heals.
    every : int
        Common boundaries from one copy to the next, >= 1.
    severe_mtbf_s : float
        Mean time between events that take a node and its partner, the whole
        lease or the driver, as expected beforehand, in seconds, > 0; ``inf``:
        never. Counts as one event beside those that the campaign has seen.
    heal_s : float
        Time from the loss of a node until all it had is held twice again, in
        seconds, >= 0: a second one that is lost meanwhile may be its partner.
    salvage_s : float
        Longest wait for a copy to be written after a loss, in seconds, > 0.
    most_overhead : float
        Share of compute that copies may cost, in (0, 1]; makes them rarer.

    Raises
    ------
    InvalidInputError
        With every fault.

    References
    ----------
    Benoit et al. (2017), IEEE Trans. Comput. 66(7), 1212-1226: to first order
    each level has the interval of Young and Daly for its own cost and for the
    rate of failures that only it heals. Two levels: Vaidya (1995), SIGMETRICS.
    """

    disk: CheckpointStrategy = field(default_factory=Daly)
    every: int = 1
    severe_mtbf_s: float = WEEK_S
    heal_s: float = 600.0
    salvage_s: float = 60.0
    most_overhead: float = 0.02

    def __post_init__(self) -> None:
        faults = range_faults(
            self,
            [
                ("every", self.every >= 1, ">= 1"),
                ("severe_mtbf_s", self.severe_mtbf_s > 0, "> 0"),
                ("heal_s", 0 <= self.heal_s < math.inf, "finite and >= 0"),
                ("salvage_s", 0 < self.salvage_s < math.inf, "finite and > 0"),
                ("most_overhead", 0 < self.most_overhead <= 1, "in (0, 1]"),
            ],
            remedy="change it or leave it out",
        )
        if isinstance(self.disk, PartnerCopy):
            faults.append(
                Fault(
                    place="PartnerCopy.disk",
                    problem="got a PartnerCopy, expected what writes to the disk",
                    remedy="nest other strategies in it, not it in others",
                )
            )
        if faults:
            raise InvalidInputError("this strategy cannot work", faults=faults)

    def severe_s(self, pace: Pace) -> float:
        """Compute the mean time between failures that copies do not heal.

        Parameters
        ----------
        pace : Pace
            Of a lease of two or more nodes.

        Returns
        -------
        float
            Seconds, never below that between all failures: after one of these
            a neighbour in the ring is lost within ``heal_s``, by a failure of
            its own; or an event takes both, as often as was seen and expected
            (`reliability.severe_mtbf_s`). First-order: holds while ``heal_s``
            is far below the time between failures.
        """
        mtbf_s, neighbours = pace.mtbf_s, min(pace.nodes - 1, 2)
        both = neighbours * self.heal_s / (pace.nodes * mtbf_s)
        seen = Losses(torn=pace.torn)
        together_s = severe_mtbf_s(seen, up_s=pace.up_s, prior_s=self.severe_mtbf_s)
        rate = min(both, 1.0) / mtbf_s + 1.0 / together_s
        return max(1.0 / rate, mtbf_s) if rate else math.inf

    __or__ = either

    def due(self, pace: Pace) -> str | None:
        """Ask the disk's strategy, for the failures that are left to the disk."""
        if pace.copied and pace.nodes > 1:
            pace = msgspec.structs.replace(pace, mtbf_s=self.severe_s(pace))
        return self.disk.due(pace)

    def copy_due(self, pace: CopyPace) -> str | None:
        """Decide at a common boundary whether to copy there.

        Parameters
        ----------
        pace : CopyPace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        if pace.nodes < 2 or pace.boundaries < self.every:
            return None
        if pace.cost_s is not None and pace.cost_s > self.most_overhead * pace.since_s:
            # Rarer, so that copies stay within their share.
            return None
        return f"every {self.every} boundaries"


def partner_copy_of(strategy: CheckpointStrategy) -> PartnerCopy | None:
    """Return the part of a strategy that copies; None: it does not."""
    if isinstance(strategy, AnyOf):
        found = map(partner_copy_of, strategy.strategies)
        return next((copying for copying in found if copying is not None), None)
    return strategy if isinstance(strategy, PartnerCopy) else None
