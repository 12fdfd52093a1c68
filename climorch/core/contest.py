"""What decides between simulations besides what they ask for: shares, and the time.

Pure views of the state. What only changes with projects, demand or nodes is kept from
one pass to the next; what was used changes with every second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from climorch.core.outlook import Exposures
from climorch.core.state import CampaignState
from climorch.policy.claims import Contest
from climorch.policy.fairtree import Account, fair_tree
from climorch.policy.moving import Moving
from climorch.policy.sharing import Sharing, share_tree, targets

__all__ = ["Floors", "Shares", "capacity_of", "contest_of", "shares"]


def contest_of(
    state: CampaignState,
    wanted: Mapping[str, float],
    sharing: Sharing,
    capacity: int | None = None,
    moving: Moving | None = None,
    floors: Floors | None = None,
    exposed_s: Mapping[str, float] | None = None,
) -> Contest:
    """Return what decides between claims besides themselves, now.

    Parameters
    ----------
    state : CampaignState
        What is known.
    wanted : mapping of str to float
        Nodes that each project with claims could hold.
    sharing : Sharing
        The rules.
    capacity : int or None
        As of `capacity_of`, where it is known.
    moving : Moving or None
        When leases move by themselves; None: no move is planned.
    floors : Floors or None
        Where bare shares are kept from one contest to the next; changed.
    exposed_s : mapping of str to float or None
        What each simulation with nodes would lose now, in seconds; None: as the state
        says.
    """
    several = len(wanted) > 1
    shared = shares(state, wanted, sharing, capacity, floors) if several else Shares()
    return Contest(
        now_s=state.now_s,
        ranks=shared.ranks,
        targets=shared.targets,
        floors=shared.floors,
        min_run_s=sharing.min_run_s,
        slice_s=sharing.slice_s,
        patience_s=sharing.patience_s,
        moving=moving,
        exposed_s=Exposures(state) if exposed_s is None else exposed_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What fair share says of each project.

    Attributes
    ----------
    ranks : dict of str to int
        Place in the order of Fair Tree.
    targets, floors : dict of str to float
        Nodes that it should hold now, and those of its bare share.
    """

    ranks: dict[str, int] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)


class Floors:
    """Nodes of the bare share of each project, kept while nothing changes them.

    What was used does not: only who there is, what they want and what there is.
    """

    __slots__ = ("_basis", "_found")

    def __init__(self) -> None:
        self._basis: object = None
        self._found: dict[str, float] = {}

    def of(
        self, root: Account, wanted: Mapping[str, float], capacity: int, names: object
    ) -> dict[str, float]:
        """Return them.

        Parameters
        ----------
        root : Account
            Institutions and projects.
        wanted : mapping of str to float
            Nodes that each project could hold.
        capacity : int
            Nodes that there are.
        names : object
            All that the tree follows from but usage.
        """
        basis = names, wanted, capacity
        if basis != self._basis:
            self._basis = basis
            self._found = targets(root, wanted, capacity=capacity, gain=0.0)
        return self._found


def shares(
    state: CampaignState,
    wanted: Mapping[str, float],
    sharing: Sharing,
    capacity: int | None = None,
    floors: Floors | None = None,
) -> Shares:
    """Compute the fair shares of the projects that want nodes.

    Parameters
    ----------
    state : CampaignState
        What is known.
    wanted : mapping of str to float
        Nodes that each project could hold.
    sharing : Sharing
        The rules.
    capacity : int or None
        As of `capacity_of`, where it is known.
    floors : Floors or None
        Where bare shares are kept; changed.
    """
    usage = {
        project: used.faded_at(state.now_s, half_life_s=state.half_life_s)
        for project, used in state.usage.items()
    }
    usage = dict.fromkeys(wanted, 0.0) | usage
    root = share_tree(state.projects.values(), usage)
    if capacity is None:
        capacity = capacity_of(state)
    floors = floors or Floors()
    factors = fair_tree(root)
    places = {f: i for i, f in enumerate(sorted(set(factors.values()), reverse=True))}
    return Shares(
        ranks={project: places[factor] for project, factor in factors.items()},
        targets=targets(root, wanted, capacity=capacity, gain=sharing.gain),
        floors=floors.of(
            root, wanted, capacity, ([*state.projects.values()], [*usage])
        ),
    )


def capacity_of(state: CampaignState) -> int:
    """Count the nodes that are not serviced, drained or kept for somebody now."""
    now_s = state.now_s
    begun = [w for w in state.windows.values() if w.start_s <= now_s < w.stop_s]
    if not begun:
        return len(state.nodes) - len(state.draining & state.nodes.keys())
    if any(w.placed and not w.nodes for w in begun):
        return 0
    shut = {node for w in begun for node in w.nodes}
    return len(state.nodes.keys() - state.draining - shut)
