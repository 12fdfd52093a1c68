"""A cluster in a few lines: leases, turns and usage, and nothing but the policy.

No segments, no failures: who holds nodes computes, commits within a step, and gives
nodes back a step after it was asked. So months of the policy alone take seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from climorch.model.scenario import Project
from climorch.policy.allocation import decide
from climorch.policy.board import Board
from climorch.policy.claims import Claim, Contest, NodeOffer
from climorch.policy.fairtree import fair_tree
from climorch.policy.sharing import Sharing, share_tree, targets

__all__ = ["Cluster", "Gang"]

STEP_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """A simulation without end."""

    name: str
    project: str
    nodes: int


class Cluster:
    """Nodes, and who wants them for ever.

    Parameters
    ----------
    nodes : int
        How many.
    shares : mapping of str to float
        Of the projects.
    gangs : sequence of Gang
        Who wants them, in order of submission.
    sharing : Sharing
        The rules.

    Attributes
    ----------
    waits_s : dict of str to list of float
        How long each has waited each time, the last time over or not.
    usage : dict of str to float
        Decayed usage by project, node-seconds.
    """

    def __init__(
        self,
        nodes: int,
        shares: Mapping[str, float],
        gangs: Sequence[Gang],
        sharing: Sharing,
    ) -> None:
        self.nodes = nodes
        self.projects = [Project(name, share=share) for name, share in shares.items()]
        self.sharing = sharing
        self.now_s = 0.0
        self.waits_s: dict[str, list[float]] = {gang.name: [] for gang in gangs}
        self.usage = dict.fromkeys(shares, 0.0)
        self._board = Board(sharing.slice_s)
        self._board.lay_out([NodeOffer(name=f"n{i:03}") for i in range(nodes)])
        self._asked: list[Claim] = []
        for serial, gang in enumerate(gangs):
            self._board.put(
                Claim(
                    simulation=gang.name,
                    project=gang.project,
                    priority=0,
                    serial=serial,
                    nodes=gang.nodes,
                    most_nodes=gang.nodes,
                    waits_since_s=0.0,
                )
            )

    def run(self, until_s: float) -> None:
        """Go on until a time."""
        while self.now_s < until_s:
            self._settle()
            self._step()
        for claim in self._board.claims.values():
            if not claim.held:
                self.waits_s[claim.simulation].append(self.now_s - claim.waits_since_s)

    def _step(self) -> None:
        """Let everybody compute, commit, and give back what it was asked for."""
        self.now_s += STEP_S
        board = self._board
        holders = [c for c in board.claims.values() if c.held]
        for project in self.usage:
            self.usage[project] *= 2.0 ** (-STEP_S / self.sharing.half_life_s)
        for claim in [*holders, *self._asked]:
            self.usage[claim.project] += len(claim.held) * STEP_S
        for claim in holders:
            board.put(replace(claim, fruitful=True))
        for claim in self._asked:
            board.leave(claim.simulation, ())
            board.put(
                replace(
                    claim,
                    held=(),
                    borrowed=False,
                    fruitful=True,
                    served_s=claim.served_s + self.now_s - claim.turn_s,
                    turn_s=0.0,
                    interrupted_s=self.now_s,
                    waits_since_s=self.now_s,
                )
            )
        self._asked.clear()

    def _settle(self) -> None:
        """Decide until nothing changes."""
        for _ in range(100):
            decided = decide(self._board, self._contest())
            if not (decided.leases or decided.preempt):
                return
            for name, nodes in decided.leases.items():
                claim = self._board.claims[name]
                self.waits_s[name].append(self.now_s - claim.waits_since_s)
                self._board.put(
                    replace(
                        claim,
                        held=nodes,
                        turn_s=self.now_s,
                        fruitful=False,
                        borrowed=name in decided.borrowed,
                        waits_since_s=math.inf,
                    )
                )
            for name in decided.preempt:
                claim = self._board.claims[name]
                self._board.drop(name)
                self._board.leave(name, claim.held)
                self._asked.append(claim)
        raise AssertionError("nodes go round in circles")

    def _contest(self) -> Contest:
        rules, wanted = self.sharing, self._board.wanted()
        root = share_tree(self.projects, self.usage)
        factors = fair_tree(root)
        order = sorted(set(factors.values()), reverse=True)
        return Contest(
            now_s=self.now_s,
            ranks={p: order.index(f) for p, f in factors.items()},
            targets=targets(root, wanted, capacity=self.nodes, gain=rules.gain),
            floors=targets(root, wanted, capacity=self.nodes, gain=0.0),
            min_run_s=rules.min_run_s,
            slice_s=rules.slice_s,
            patience_s=rules.patience_s,
        )
