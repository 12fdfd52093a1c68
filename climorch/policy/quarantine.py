"""What is set apart: a node that is bad, a simulation that hangs or kills nodes.

A node is to blame where different simulations come to grief on it; a simulation
where different nodes go while it has them, more of them than others' losses make
likely. Nodes that go together are an outage and tell nothing of either. What one
simulation alone shows of a node is in `outdoing`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from climorch.errors import InvalidInputError
from climorch.model.ranges import range_faults

__all__ = [
    "LONGEST_MEMORY_S",
    "MOST_MISHAPS",
    "Mishap",
    "Quarantine",
    "Suspect",
    "at_least",
    "bad_nodes",
    "hangs_too_often",
    "kills_nodes",
    "room",
    "suspicious",
]

DAY_S = 86_400.0

LONGEST_MEMORY_S = 30 * DAY_S
"""For how long mishaps are remembered, in seconds."""

MOST_MISHAPS = 1000
"""How many are remembered, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """A node that went by itself, or a segment that hung.

    Attributes
    ----------
    at_s : float
        Driver's clock, seconds.
    node : str
        Which node; empty: nobody knows where a segment hung.
    simulation : str
        Who held it.
    hang : bool
        Whether a segment hung there; otherwise the node went.
    """

    at_s: float
    node: str
    simulation: str
    hang: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """When something is set apart.

    Attributes
    ----------
    node_after : int
        Mishaps on a node within ``within_s``, >= 2.
    node_simulations : int
        Different simulations that had them, >= 2.
    within_s : float
        Seconds over which a node's mishaps count, > 0.
    outdone_after : int
        Segments in a row that fail on a node and are then computed by the same
        simulations elsewhere, >= 2.
    most_nodes : float
        Share of the nodes that may be in quarantine, in [0, 1]; one always may
        be where it is above 0.
    hangs : int
        Hangs of a simulation within ``hangs_within_s``, whatever progress it
        made between them, >= 1.
    hangs_within_s : float
        Seconds, > 0.
    poison_after : int
        Nodes that went one by one under a simulation since its newest
        checkpoint, >= 2.
    poison_chance : float
        How unlikely so many must be by what others have lost, in (0, 1).
    alone_after : int
        Nodes after which nothing is compared any more, >= 2.

    Raises
    ------
    InvalidInputError
        If a number is outside its range.
    """

    node_after: int = 3
    node_simulations: int = 2
    within_s: float = 7 * DAY_S
    outdone_after: int = 3
    most_nodes: float = 0.1
    hangs: int = 6
    hangs_within_s: float = DAY_S
    poison_after: int = 3
    poison_chance: float = 1e-3
    alone_after: int = 50

    def __post_init__(self) -> None:
        ranges = {
            "node_after": (2, math.inf),
            "node_simulations": (2, math.inf),
            "within_s": (1, LONGEST_MEMORY_S),
            "outdone_after": (2, math.inf),
            "most_nodes": (0, 1),
            "hangs": (1, math.inf),
            "hangs_within_s": (1, LONGEST_MEMORY_S),
            "poison_after": (2, math.inf),
            "poison_chance": (0, 1),
            "alone_after": (2, math.inf),
        }
        faults = range_faults(
            self,
            [
                (name, least <= getattr(self, name) <= most, f"{least:g} to {most:g}")
                for name, (least, most) in ranges.items()
            ],
            remedy="give a number in this range",
        )
        if faults:
            raise InvalidInputError("this quarantine cannot be kept", faults=faults)


def suspicious(mishaps: Iterable[Mishap], rules: Quarantine) -> bool:
    """Tell cheaply whether any node may be to blame for what happened on it.

    Parameters
    ----------
    mishaps : iterable of Mishap
        By time.
    rules : Quarantine
        The rules.

    Returns
    -------
    bool
        False: `bad_nodes` finds none.
    """
    counts = Counter(mishap.node for mishap in mishaps if mishap.node)
    return max(counts.values(), default=0) >= rules.node_after


def bad_nodes(
    mishaps: Sequence[Mishap],
    rules: Quarantine,
    *,
    now_s: float,
    nodes: int,
    apart: Collection[str],
    spare: int,
) -> dict[str, str]:
    """Say which nodes are to blame for what happened on them.

    Parameters
    ----------
    mishaps : sequence of Mishap
        By time.
    rules : Quarantine
        The rules.
    now_s : float
        Driver's clock, seconds.
    nodes : int
        Nodes of the site, those that are set apart included.
    apart : collection of str
        Nodes that are in quarantine already.
    spare : int
        Nodes that can be missed: no simulation needs all the others.

    Returns
    -------
    dict of str to str
        Node to the reason in words; the worst first, no more than may go.
    """
    by_node: dict[str, list[Mishap]] = {}
    for mishap in mishaps:
        recent = mishap.at_s > now_s - rules.within_s
        if recent and mishap.node and mishap.node not in apart:
            by_node.setdefault(mishap.node, []).append(mishap)
    free = room(rules, nodes=nodes, apart=len(apart), spare=spare)
    found = {
        node: sorted({mishap.simulation for mishap in had})
        for node, had in by_node.items()
        if len(had) >= rules.node_after
    }
    guilty = [n for n, those in found.items() if len(those) >= rules.node_simulations]
    guilty.sort(key=lambda node: (-len(by_node[node]), node))
    return {
        node: (
            f"{len(by_node[node])} mishaps of {len(found[node])} simulations "
            f"({', '.join(found[node][:3])}) in {rules.within_s / DAY_S:g} days"
        )
        for node in guilty[:free]
    }


def room(rules: Quarantine, *, nodes: int, apart: int, spare: int) -> int:
    """Return how many nodes more may be set apart.

    Parameters
    ----------
    rules : Quarantine
        The rules.
    nodes, apart : int
        Nodes of the site, and how many of them are in quarantine.
    spare : int
        As for `bad_nodes`.
    """
    most = max(int(rules.most_nodes * nodes), 1 if rules.most_nodes > 0 else 0)
    return max(min(most - apart, spare), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A simulation that lost nodes, and what all others lost.

    Attributes
    ----------
    nodes : tuple of str
        Nodes that went one by one under it since its newest checkpoint.
    node_s : float
        Node-seconds that it held meanwhile, or more.
    others_lost : int
        Nodes that went by themselves under others.
    others_node_s : float
        Node-seconds that those held.
    """

    nodes: tuple[str, ...]
    node_s: float
    others_lost: int
    others_node_s: float


def kills_nodes(suspect: Suspect, rules: Quarantine) -> str | None:
    """Say whether a simulation is to blame for the nodes that it lost.

    Parameters
    ----------
    suspect : Suspect
        What happened.
    rules : Quarantine
        The rules.

    Returns
    -------
    str or None
        The reason in words. None: one node alone, or nodes that go by
        themselves, explain it.
    """
    lost, different = len(suspect.nodes), len(set(suspect.nodes))
    if different < 2 or lost < rules.poison_after:
        return None
    if lost >= rules.alone_after:
        return f"{lost} losses on {different} nodes without a checkpoint between"
    if suspect.others_node_s <= 0:
        return None
    # One more than others have lost: nobody may have lost any yet.
    rate_per_s = (suspect.others_lost + 1) / suspect.others_node_s
    expected = rate_per_s * suspect.node_s
    if at_least(lost, expected) >= rules.poison_chance:
        return None
    return (
        f"{lost} losses on {different} nodes without a checkpoint between, where "
        f"others' losses make {expected:.2g} likely"
    )


def at_least(count: int, mean: float) -> float:
    """Compute the chance of a Poisson variable to reach a count.

    Parameters
    ----------
    count : int
        >= 0.
    mean : float
        >= 0.

    Returns
    -------
    float
        In [0, 1]; 1 for means above 700, of which the terms would underflow.
    """
    if mean > 700:
        return 1.0
    term = below = 0.0
    for k in range(count):
        term = math.exp(-mean) if k == 0 else term * mean / k
        below += term
    return max(1.0 - below, 0.0)


def hangs_too_often(
    mishaps: Sequence[Mishap], rules: Quarantine, *, simulation: str, now_s: float
) -> str | None:
    """Say whether a simulation hangs too often to be tried again.

    Parameters
    ----------
    mishaps, rules, now_s
        As for `bad_nodes`.
    simulation : str
        Which.

    Returns
    -------
    str or None
        The reason in words.
    """
    count = sum(
        mishap.hang
        and mishap.simulation == simulation
        and mishap.at_s > now_s - rules.hangs_within_s
        for mishap in mishaps
    )
    if count < rules.hangs:
        return None
    return f"{count} hangs within {rules.hangs_within_s / 3600:g} h"
