"""What all simulations ask for, kept from one decision about nodes to the next.

None of it is memory: it follows from the state, and is made anew after a replay.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from climorch.core.contest import Floors, capacity_of, contest_of
from climorch.core.demand import (
    Demand,
    Grounds,
    decided_on,
    demand_of,
    grounds_of,
    offers_of,
    post,
)
from climorch.core.granting import audit
from climorch.core.holds import broke
from climorch.core.outlook import Exposures, nothing
from climorch.core.state import CampaignState, SimulationState
from climorch.core.upkeep import Policies
from climorch.policy.allocation import allocate
from climorch.policy.board import Board
from climorch.policy.claims import Allocation
from climorch.policy.quiet import matters_from_s

__all__ = ["Bids"]


class Bids:
    """Demands of simulations and offers of nodes, on a board.

    Parameters
    ----------
    slice_s : float
        Length of a turn among equals, seconds.

    Attributes
    ----------
    decided : Allocation
        What was decided last.
    review_at_s : float
        When time alone may change what is decided, driver's clock, seconds.
    """

    def __init__(self, slice_s: float) -> None:
        self._demands: dict[str, Demand] = {}
        self._grounds: dict[str, Grounds] = {}
        self._board = Board(slice_s)
        self._capacity = 0
        self._floors = Floors()
        self.decided = Allocation()
        self.review_at_s = math.inf

    def lay_out(self, state: CampaignState) -> None:
        """Take in all nodes, after some came, went or changed."""
        self._board.lay_out(offers_of(state))
        self._capacity = capacity_of(state)

    def see(
        self, state: CampaignState, simulation: SimulationState, rules: Policies
    ) -> bool:
        """See what a simulation asks for now.

        Parameters
        ----------
        state, simulation
            What is known, and who.
        rules : Policies
            The rules.

        Returns
        -------
        bool
            Whether that may change what is decided, now and not only later.
        """
        name, grounds = simulation.name, grounds_of(state, simulation)
        if self._grounds.get(name) == grounds:
            return False
        self._grounds[name] = grounds
        demand, before = demand_of(state, simulation), self._demands.get(name)
        if before == demand:
            return False
        self._demands[name] = demand
        post(self._board, name, demand)
        if (
            rules.allocation is not allocate
            or before is None
            or before.claim is None
            or demand.claim is None
            or demand.leaving != before.leaving
        ):
            return True
        from_s = matters_from_s(
            self._board, self.decided, before.claim, demand.claim, rules.sharing
        )
        self.review_at_s = min(self.review_at_s, max(from_s, state.now_s))
        return from_s <= state.now_s

    def decide(
        self,
        state: CampaignState,
        rules: Policies,
        before: Callable[[], None] = nothing,
    ) -> Allocation:
        """Ask the policy who gets which nodes.

        Parameters
        ----------
        state : CampaignState
            What is known.
        rules : Policies
            The rules.
        before : callable
            Called before it is looked at what simulations would lose.

        Returns
        -------
        Allocation
            What may be carried out as it is.

        Raises
        ------
        InvalidInputError
            If it may not.
        """
        self._note_budgets(state, rules)
        board = self._board
        contest = contest_of(
            state,
            board.wanted(),
            rules.sharing,
            self._capacity,
            rules.moving,
            self._floors,
            Exposures(state, before),
        )
        decided = decided_on(board, contest, rules.allocation, tell_all=False)
        audit(decided, board)
        self.decided, self.review_at_s = decided, decided.review_at_s
        return decided

    def _note_budgets(self, state: CampaignState, rules: Policies) -> None:
        """See whose budget ended with the time: no record tells those that wait."""
        out = broke(state)
        if any(self._board.wanted_by(project) for project in out):
            for claim in [*self._board.claims.values()]:
                if claim.project in out:
                    self.see(state, state.simulations[claim.simulation], rules)
