"""A node that fails at what others then do: told though only one simulation gets it.

That a segment failed on a node tells nothing: the segment may be to blame. That the
same simulation then computed it from the same states without that node does, since
results do not depend on where they are computed. Once may be chance, so:

- it takes some of them in a row; whatever is computed on the node takes them back;
- a simulation that comes to grief elsewhere too is no witness: what it said of other
  nodes is forgotten, and who fails at one segment on two nodes has said nothing yet;
- failures at one segment before it is computed count once: what ailed all nodes for an
  hour ails each try of that hour.

Ignores nodes that fail now and then and compute between: these are told where different
simulations come to grief on them, see `bad_nodes`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from climorch.policy.quarantine import DAY_S, Quarantine, room

__all__ = [
    "MOST_KEPT",
    "Doubt",
    "Outdone",
    "before",
    "discredited",
    "exonerated",
    "in_question",
    "left_in_doubt",
    "outdone",
    "outdone_nodes",
]

MOST_KEPT = 100
"""How often a node was outdone that is remembered, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A segment that failed.

    Attributes
    ----------
    at_s : float
        Driver's clock, seconds.
    nodes : tuple of str
        Those on which it did: one of them may be to blame.
    """

    at_s: float
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdone:
    """A segment that failed on a node, and was computed without it.

    Attributes
    ----------
    at_s : float
        When it failed, driver's clock, seconds.
    simulation : str
        Whose it is.
    """

    at_s: float
    simulation: str


Found = Mapping[str, tuple[Outdone, ...]]


def left_in_doubt(doubt: Doubt, lease: Collection[str]) -> str:
    """Name the node to blame for a segment that was computed on others.

    Parameters
    ----------
    doubt : Doubt
        Where it had failed.
    lease : collection of str
        Where it was computed.

    Returns
    -------
    str
        Empty: it was computed there, or nobody knows which of several it was.
    """
    left = [node for node in doubt.nodes if node not in lease]
    return left[0] if len(left) == 1 else ""


def outdone(found: Found, node: str, seen: Outdone) -> dict[str, tuple[Outdone, ...]]:
    """Return what is known with one more; again: no change.

    Parameters
    ----------
    found : mapping of str to tuple of Outdone
        By node.
    node : str
        Which was outdone.
    seen : Outdone
        By whom, and when it had failed.
    """
    known = found.get(node, ())
    if seen in known:
        return dict(found)
    return {**found, node: (*known, seen)[-MOST_KEPT:]}


def exonerated(found: Found, nodes: Collection[str]) -> dict[str, tuple[Outdone, ...]]:
    """Return what is known without what was said of nodes that have computed."""
    return {node: seen for node, seen in found.items() if node not in nodes}


def discredited(
    found: Found, simulation: str, nodes: Collection[str] = ()
) -> dict[str, tuple[Outdone, ...]]:
    """Return what is known without what a simulation said of nodes but these.

    Parameters
    ----------
    found : mapping of str to tuple of Outdone
        By node.
    simulation : str
        It failed on `nodes`, or was to blame itself.
    nodes : collection of str
        Of them it stays a witness.
    """
    left = {
        node: seen
        if node in nodes
        else tuple(one for one in seen if one.simulation != simulation)
        for node, seen in found.items()
    }
    return {node: seen for node, seen in left.items() if seen}


def before(found: Found, at_s: float) -> dict[str, tuple[Outdone, ...]]:
    """Return what is known of failures before a time: later ones were an outage."""
    left = {
        node: tuple(one for one in seen if one.at_s < at_s)
        for node, seen in found.items()
    }
    return {node: seen for node, seen in left.items() if seen}


def in_question(found: Found, rules: Quarantine) -> bool:
    """Tell cheaply whether any node may be one of `outdone_nodes`.

    Parameters
    ----------
    found : mapping of str to tuple of Outdone
        By node.
    rules : Quarantine
        The rules.
    """
    return any(len(seen) >= rules.outdone_after for seen in found.values())


def outdone_nodes(
    found: Found,
    rules: Quarantine,
    *,
    now_s: float,
    nodes: int,
    apart: Collection[str],
    spare: int,
) -> dict[str, str]:
    """Say which nodes fail at what others do.

    Parameters
    ----------
    found : mapping of str to tuple of Outdone
        By node.
    rules : Quarantine
        The rules.
    now_s, nodes, apart, spare
        As for `bad_nodes`.

    Returns
    -------
    dict of str to str
        Node to the reason in words; the worst first, no more than may go.
    """
    recent = {
        node: [one for one in seen if one.at_s > now_s - rules.within_s]
        for node, seen in found.items()
        if node not in apart
    }
    guilty = [n for n, seen in recent.items() if len(seen) >= rules.outdone_after]
    guilty.sort(key=lambda node: (-len(recent[node]), node))
    free = room(rules, nodes=nodes, apart=len(apart), spare=spare)
    return {node: _why(recent[node], rules) for node in guilty[:free]}


def _why(seen: list[Outdone], rules: Quarantine) -> str:
    whose = ", ".join(sorted({one.simulation for one in seen})[:3])
    return (
        f"{len(seen)} times in a row a segment of {whose} failed there and was then "
        f"computed elsewhere, in {rules.within_s / DAY_S:g} days"
    )
