"""How many nodes each project should hold now, and what its budget has left.

Steers the shares of decayed usage to the shares that were agreed, and lends what
nobody entitled wants. Ignores which simulation of a project gets the nodes, and
gangs, windows and leases: that is the allocation's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from climorch.errors import Fault, InvalidInputError
from climorch.model.kinds import require_kinds
from climorch.model.scenario import DEFAULT_PROJECT, Project
from climorch.policy.fairtree import Account

__all__ = [
    "Sharing",
    "lasts_s",
    "remaining_node_s",
    "share_tree",
    "targets",
    "used_up",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How institutions and projects share the nodes.

    Attributes
    ----------
    half_life_s : float
        Time in which the weight of past use halves, seconds, > 0.
    gain : float
        How hard to steer, >= 0: a project that is below its share by some points
        is given that many points times ``gain`` beyond its share, taken from
        those above theirs. The difference then halves ``1 + gain`` times per
        half-life. 0: shares of the nodes, whatever was used before.
    min_run_s : float
        A lease is not reclaimed for the sake of shares before it has run for so
        long, seconds, >= 0.
    slice_s : float
        Turn of each of several simulations of equal standing within one project
        that cannot all run, seconds, > 0.
    patience_s : float
        Who has waited longer for more nodes than the turns of its project can give
        is served before all others, once; its project makes up for it. Seconds,
        >= 0.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    half_life_s: float = 7 * 86400.0
    # The least whole number with which a project entitled to half of the nodes is
    # within 2.5 points one half-life after it returned, see docs/decisions/026.
    gain: float = 7.0
    min_run_s: float = 4 * 3600.0
    slice_s: float = 86400.0
    patience_s: float = 3 * 86400.0

    def __post_init__(self) -> None:
        require_kinds(self)
        numbers = {
            "half_life_s": (self.half_life_s, self.half_life_s > 0, "> 0"),
            "gain": (self.gain, self.gain >= 0, ">= 0"),
            "min_run_s": (self.min_run_s, self.min_run_s >= 0, ">= 0"),
            "slice_s": (self.slice_s, self.slice_s > 0, "> 0"),
            "patience_s": (self.patience_s, self.patience_s >= 0, ">= 0"),
        }
        faults = [
            Fault(
                place=f"Sharing.{name}",
                problem=f"got {number!r}, expected finite and {wanted}",
                remedy="give a plain number" if name == "gain" else "give seconds",
            )
            for name, (number, fine, wanted) in numbers.items()
            if not (math.isfinite(number) and fine)
        ]
        if faults:
            raise InvalidInputError("nodes cannot be shared like this", faults=faults)


def share_tree(projects: Iterable[Project], usage: Mapping[str, float]) -> Account:
    """Build the tree of institutions and projects.

    A project without an institution is one of its own. An institution has the
    share of the project of the same name, else the sum of its projects' shares;
    what that project itself runs stands beside the others with a share of 1.

    Parameters
    ----------
    projects : iterable of Project
        Those declared, with names of their own. The default project, and those
        that are in ``usage`` only, count as declared without further words.
    usage : mapping of str to float
        Decayed usage by project; who is missing has used nothing.

    Returns
    -------
    Account
        The whole; its leaves are the projects, in order within an institution.
    """
    known = {project.name: project for project in projects}
    for name in (DEFAULT_PROJECT, *usage):
        known.setdefault(name, Project(name))
    institutions = {p.institution for p in known.values() if p.institution}
    members: dict[str, list[Account]] = {}
    for project in known.values():
        head = project.name in institutions and project.institution in (
            "",
            project.name,
        )
        home = project.name if head else project.institution
        leaf = Account(
            name=project.name,
            share=1.0 if head else project.share,
            usage=usage.get(project.name, 0.0),
        )
        # "" is the home of those that belong to nobody.
        members.setdefault(home, []).append(leaf)
    alone = members.pop("", [])
    joint = [
        Account(
            name=name,
            share=known[name].share if name in known else sum(a.share for a in leaves),
            children=tuple(leaves),
        )
        for name, leaves in members.items()
    ]
    return Account(name="", children=(*joint, *alone))


def targets(
    root: Account, demand: Mapping[str, float], *, capacity: float, gain: float
) -> dict[str, float]:
    """Decide how many nodes each project should hold now.

    Proportional control of the parts of the decayed usage, level by level: who is
    below its share is given more than its share of the nodes, at the cost of those
    above theirs. Nobody is given more than it wants; what is left is divided in
    the same way among those that want more, as if they were alone.

    Whole gangs cannot meet a target. One should change hands only where its new
    owner misses all of it: with the nearest number of gangs instead, one of them
    may go back and forth for ever.

    Parameters
    ----------
    root : Account
        Institutions and projects, with their decayed usage until now.
    demand : mapping of str to float
        Nodes that each project could hold now, >= 0; who is missing wants none.
    capacity : float
        Nodes that there are, >= 0.
    gain : float
        As in `Sharing`.

    Returns
    -------
    dict of str to float
        Nodes by name of the project, in the order of the tree; they sum to the
        capacity or to the whole demand, whichever is less.

    Raises
    ------
    InvalidInputError
        If the demand names somebody who is not in the tree, or a number is
        negative or not a number.
    """
    wanted = {leaf.name: demand.get(leaf.name, 0.0) for leaf in root.leaves}
    if demand.keys() <= wanted.keys() and all(
        number >= 0 for number in (*wanted.values(), capacity, gain)
    ):
        return _divided(root, wanted, capacity, gain)
    unknown = [name for name in demand if name not in wanted]
    numbers = {f"demand of {name!r}": number for name, number in wanted.items()}
    faults = _unsharable(unknown, {**numbers, "capacity": capacity, "gain": gain})
    raise InvalidInputError("these nodes cannot be shared", faults=[*faults])


def _unsharable(
    unknown: Iterable[str], numbers: Mapping[str, float]
) -> Iterator[Fault]:
    for name in unknown:
        yield Fault(
            place=f"demand of {name!r}",
            problem="it has no account",
            remedy="declare the project",
        )
    for place, number in numbers.items():
        if not number >= 0:
            yield Fault(
                place=place,
                problem=f"got {number!r}, expected >= 0",
                remedy="count nodes",
            )


def _divided(
    parent: Account, demand: Mapping[str, float], nodes: float, gain: float
) -> dict[str, float]:
    wanted = [sum(demand[leaf.name] for leaf in c.leaves) for c in parent.children]
    given = _filled(parent.children, wanted, nodes, gain)
    found: dict[str, float] = {}
    for child, part in zip(parent.children, given, strict=True):
        if child.children:
            found |= _divided(child, demand, part, gain)
        else:
            found[child.name] = part
    return found


def _filled(
    siblings: Sequence[Account], wanted: Sequence[float], nodes: float, gain: float
) -> list[float]:
    """Divide nodes among siblings; whoever is content leaves the rest to the rest."""
    given = [0.0] * len(siblings)
    rest = [i for i, nodes_wanted in enumerate(wanted) if nodes_wanted > 0]
    while rest:
        fractions = _steered([siblings[i] for i in rest], gain)
        offers = {i: f * nodes for i, f in zip(rest, fractions, strict=True)}
        content = [i for i in rest if wanted[i] <= offers[i]]
        for i in content or rest:
            given[i] = min(wanted[i], offers[i])
        nodes = max(nodes - sum(given[i] for i in content), 0.0)
        rest = [i for i in rest if wanted[i] > offers[i]] if content else []
    return given


def _steered(siblings: Sequence[Account], gain: float) -> list[float]:
    """Compute the fraction of the nodes for each of some that all want more.

    ``s + gain * (s - u)``, with shares s and parts of the usage u among them. What
    cannot be taken from those who are above their share, because nothing is left to
    take, is not given to those below either. So the fractions sum to 1, and nobody
    at or below its share gets less than its share.
    """
    shares = [a.share for a in siblings]
    usages = [a.total_usage for a in siblings]
    entitled, used = sum(shares), sum(usages)
    parts = [share / entitled for share in shares]
    if used <= 0:
        return parts
    gaps = [s - usage / used for s, usage in zip(parts, usages, strict=True)]
    cuts = [min(s, gain * max(-gap, 0.0)) for s, gap in zip(parts, gaps, strict=True)]
    wishes = [gain * max(gap, 0.0) for gap in gaps]
    granted = sum(cuts) / sum(wishes) if sum(wishes) > 0 else 0.0
    return [
        s - cut + granted * wish
        for s, cut, wish in zip(parts, cuts, wishes, strict=True)
    ]


def remaining_node_s(project: Project, used_node_s: float) -> float:
    """Compute what is left of a budget.

    Parameters
    ----------
    project : Project
        With or without a budget.
    used_node_s : float
        All that it has used, not decayed, node-seconds.

    Returns
    -------
    float
        Node-seconds; infinite without a budget, below 0 where it was overdrawn.
    """
    if project.budget_node_hours is None:
        return math.inf
    return project.budget_node_hours * 3600 - used_node_s


def used_up(project: Project, used_node_s: float) -> bool:
    """Tell whether a budget has nothing left.

    Parameters
    ----------
    project : Project
        With or without a budget.
    used_node_s : float
        All that it has used, not decayed, node-seconds.

    Returns
    -------
    bool
        Never without a budget.
    """
    return remaining_node_s(project, used_node_s) <= 0


def lasts_s(project: Project, used_node_s: float, *, nodes: float) -> float:
    """Compute how long a budget lasts.

    Parameters
    ----------
    project : Project
        With or without a budget.
    used_node_s : float
        All that it has used, not decayed, node-seconds.
    nodes : float
        Nodes that it holds from now on, >= 0.

    Returns
    -------
    float
        Seconds until it is used up, >= 0; infinite without a budget, and where
        something is left and no node is held.
    """
    left = remaining_node_s(project, used_node_s)
    if left <= 0:
        return 0.0
    return left / nodes if nodes > 0 else math.inf
