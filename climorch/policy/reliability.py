"""How long a lease lives between failures, from the losses that a campaign has seen.

Nodes that are lost together are one event, however many they are: a rack, the
power, the whole system. So a lease of many nodes is not taken to fail as often as
an outage has nodes. Ignores why a node went, and that one fails more than others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = [
    "Losses",
    "everything_lost",
    "goes_on",
    "lease_mtbf_s",
    "node_lost",
    "severe_mtbf_s",
    "torn",
]

# Losses so close to the first of them are one event: a silent node is noticed after
# a minute at the latest, by default. Two nodes that fail by themselves meanwhile are
# taken for one event, which changes the rate of a lease by their overlap only.
TOGETHER_S = 60.0

YEAR_S = 365 * 86_400.0

# Known beforehand: one failure in five years of a node, the order that large machines
# report, and one event a year that takes everything: Blue Waters had one in 160 h (Di
# Martino et al. 2014, DSN, 610-621), others months without. Either counts as an eighth
# of an event, so that the first ones seen soon weigh more.
PRIOR_EVENTS = 1 / 8
PRIOR_NODE_S = PRIOR_EVENTS * 5 * YEAR_S
PRIOR_UP_S = PRIOR_EVENTS * YEAR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Nodes that went without a word, by event.

    Attributes
    ----------
    alone : int
        Events of a single node that somebody held.
    together : mapping of float to int
        Share of the nodes that went together, in hundredths, to the number of
        such events; at most a hundred entries.
    began_s : float
        Clock at which the newest event began, seconds.
    lost, of : int
        Nodes that it has taken so far, of how many that were up.
    held : bool
        Whether somebody held the first of these.
    leases : int
        Leases of two or more nodes when the newest event began.
    torn : float
        Events that took a node and its partner, each counted as the share of
        these leases to which it did so.
    """

    alone: int = 0
    together: Mapping[float, int] = field(default_factory=dict)
    began_s: float = -math.inf
    lost: int = 0
    of: int = 0
    held: bool = True
    leases: int = 0
    torn: float = 0.0

    @property
    def events(self) -> int:
        """All events."""
        return self.alone + sum(self.together.values())


def node_lost(
    losses: Losses, *, at_s: float, up: int, held: bool = True, leases: int = 0
) -> Losses:
    """Count the loss of a node.

    Parameters
    ----------
    losses : Losses
        So far.
    at_s : float
        Clock, seconds, never going back.
    up : int
        Nodes that were up, this one included.
    held : bool
        Whether somebody held it. Free nodes that go one by one do not count: a
        bad one that nobody has would make all leases look bad.
    leases : int
        Leases of two or more nodes, this one's included; of an event that goes on,
        what was counted at its first node stays.

    Returns
    -------
    Losses
        With one more event, or with one node more in the newest.
    """
    if goes_on(losses, at_s):
        without = _counted(losses, -1)
        # Those that join meanwhile may be lost once more: never more than all.
        of = max(losses.of, losses.lost + 1)
        return _counted(replace(without, lost=losses.lost + 1, of=of), +1)
    began = replace(
        losses, began_s=at_s, lost=1, of=max(up, 1), held=held, leases=leases
    )
    return _counted(began, +1)


def goes_on(losses: Losses, at_s: float) -> bool:
    """Tell whether a node that is lost at a time belongs to the newest event.

    Parameters
    ----------
    losses : Losses
        So far.
    at_s : float
        Clock, seconds.
    """
    return losses.lost > 0 and at_s - losses.began_s <= TOGETHER_S


def torn(losses: Losses) -> Losses:
    """Count a lease that lost a node and its partner in the newest event.

    Parameters
    ----------
    losses : Losses
        So far, this loss included.

    Returns
    -------
    Losses
        With its share of the leases, once for each lease and event.
    """
    return replace(losses, torn=losses.torn + 1 / max(losses.leases, 1))


def everything_lost(losses: Losses) -> Losses:
    """Count an event that took all nodes: a driver that died with leases."""
    together = _changed(losses.together, 1.0, +1)
    return replace(losses, together=together, lost=0, of=0, torn=losses.torn + 1)


def _counted(losses: Losses, change: int) -> Losses:
    """Add the newest event to its kind, or take it away."""
    if losses.lost == 1:
        return replace(losses, alone=losses.alone + change * losses.held)
    share = max(round(losses.lost / losses.of, 2), 0.01)
    return replace(losses, together=_changed(losses.together, share, change))


def _changed(
    together: Mapping[float, int], share: float, change: int
) -> Mapping[float, int]:
    counts = dict(together)
    counts[share] = counts.get(share, 0) + change
    return {share: count for share, count in sorted(counts.items()) if count}


def lease_mtbf_s(losses: Losses, *, node_s: float, up_s: float, nodes: int) -> float:
    """Estimate the mean time between failures of a lease.

    Parameters
    ----------
    losses : Losses
        What was seen.
    node_s, up_s : float
        Node-seconds that leases held, and seconds in which any node was up.
    nodes : int
        Nodes of the lease; less than one counts as one.

    Returns
    -------
    float
        Seconds. Two rates add up, each the posterior mean of a Poisson process
        under a Gamma prior: single nodes, by node-seconds, and events of many,
        by seconds, each weighed with the chance that it hits a lease whose
        nodes lie anywhere. With few events it is mostly the prior.
    """
    width = max(nodes, 1)
    single = (losses.alone + PRIOR_EVENTS) / (node_s + PRIOR_NODE_S) * width
    hits = 0.0
    for share, count in losses.together.items():
        hits += count * (1 - (1 - share) ** width)
    return 1 / (single + (hits + PRIOR_EVENTS) / (up_s + PRIOR_UP_S))


def severe_mtbf_s(losses: Losses, *, up_s: float, prior_s: float) -> float:
    """Estimate the mean time between events that take a node and its partner.

    Parameters
    ----------
    losses : Losses
        What was seen.
    up_s : float
        Seconds in which any node was up.
    prior_s : float
        What is expected beforehand, in seconds, > 0; counts as one event seen.

    Returns
    -------
    float
        Seconds, for a lease as those that were seen: the posterior mean rate of
        a Poisson process under a Gamma prior, inverted. An event counts by the
        share of the leases that it tore, so an outage of everything is one
        event however many leases there were. Ignores that a rack tears wide
        leases more often.
    """
    return (up_s + prior_s) / (losses.torn + 1)
