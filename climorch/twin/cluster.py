"""The nodes of a virtual cluster: up, down, noticed.

Decides when each node dies and comes back. A node is up when nothing keeps it
down: its own failure, an outage, other people. Ignores what runs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from climorch.model.events import NodeJoined, NodeLost
from climorch.twin.draws import Draws, Purpose, lognormal_sigma
from climorch.twin.site import TwinSite

if TYPE_CHECKING:
    import simpy

__all__ = ["Residents", "VirtualCluster"]


class Residents(Protocol):
    """Who must know at once what happens to a node, before anybody notices."""

    def died(self, node: str) -> None:
        """Let all that a node held be gone.

        Parameters
        ----------
        node : str
            Which.
        """

    def came(self, node: str) -> None:
        """Take note that a node is there, empty.

        Parameters
        ----------
        node : str
            Which.
        """


class VirtualCluster:
    """Nodes with their hazards, on a kernel.

    Parameters
    ----------
    env : simpy.Environment
        The kernel.
    site : TwinSite
        What it consists of.
    draws : Draws
        Random numbers.
    post : callable
        Takes the facts that the orchestrator is to be told now.
    residents : Residents
        Told before.

    Attributes
    ----------
    speeds : dict of str to float
        Of each node; 1 is the mean.
    up : set of str
        Nodes that are up now.
    """

    def __init__(
        self,
        env: simpy.Environment,
        site: TwinSite,
        draws: Draws,
        *,
        post: Callable[[NodeJoined | NodeLost], None],
        residents: Residents,
    ) -> None:
        self._env = env
        self._site = site
        self._jobs = site.jobs()
        self._draws = draws
        self._post = post
        self._residents = residents
        self._down: dict[str, int] = dict.fromkeys(site.node_names, 0)
        self._unnoticed: set[str] = set()
        self.up: set[str] = set()
        self.speeds = self._drawn_speeds()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all nodes, in order, up or not."""
        return tuple(self._down)

    def start(self) -> None:
        """Let every node join and its hazards begin."""
        names, begin_s = self._site.node_names, float(self._env.now)
        for absence in self._site.absences:
            if absence.notice_s is not None:
                # Announced as a window: the closures take them.
                continue
            gone = self._site.absent(absence)
            if absence.start_s > 0:
                self._after(absence.start_s, self._strike, gone, absence.reason)
            else:
                self._strike(gone, absence.reason)
            self._after(absence.stop_s, self._release, gone)
        for node in names:
            self._join(node)
        failures = self._site.failures
        if failures is not None:
            for number, node in enumerate(names):
                rng = self._draws.generator(Purpose.FAILURE, number)
                self._renew(node, failures.lives(rng))
        for number, outages in enumerate(self._site.outages):
            rng = self._draws.generator(Purpose.OUTAGE, number)
            self._recur(outages.nodes or names, outages.spans(rng), begin_s)

    def take(self, nodes: Iterable[str], reason: str) -> None:
        """Let nodes go down, until they are given back as often.

        Parameters
        ----------
        nodes : iterable of str
            Which.
        reason : str
            Told with each loss.
        """
        self._strike(tuple(nodes), reason)

    def give_back(self, nodes: Iterable[str]) -> None:
        """Undo one `take`.

        Parameters
        ----------
        nodes : iterable of str
            Which.
        """
        self._release(tuple(nodes))

    def _drawn_speeds(self) -> dict[str, float]:
        names, cv = self._site.node_names, self._site.speed_cv
        if not cv:
            return dict.fromkeys(names, 1.0)
        sigma = lognormal_sigma(cv)
        rng = self._draws.generator(Purpose.SPEED)
        drawn = np.exp(sigma * rng.standard_normal(len(names)) - sigma**2 / 2)
        return dict(zip(names, drawn.tolist(), strict=True))

    def _after(self, delay_s: float, do: Callable[..., None], *args: object) -> None:
        timeout = self._env.timeout(max(delay_s, 0.0))
        timeout.callbacks.append(lambda _: do(*args))

    def _renew(self, node: str, lives: Iterator[tuple[float, float]]) -> None:
        """Let a node live, fail, be repaired and live again."""
        life_s, repair_s = next(lives)

        def repaired() -> None:
            self._release((node,))
            self._renew(node, lives)

        self._after(life_s, self._strike, (node,), "failed")
        self._after(life_s + repair_s, repaired)

    def _recur(
        self,
        nodes: tuple[str, ...],
        spans: Iterator[tuple[float, float]],
        begin_s: float,
    ) -> None:
        start_s, stop_s = next(spans)

        def over() -> None:
            self._release(nodes)
            self._recur(nodes, spans, begin_s)

        now_s = self._env.now
        self._after(begin_s + start_s - now_s, self._strike, nodes, "outage")
        self._after(begin_s + stop_s - now_s, over)

    def _strike(self, nodes: tuple[str, ...], reason: str) -> None:
        for node in nodes:
            self._down[node] += 1
            if node in self.up:
                self.up.discard(node)
                self._unnoticed.add(node)
                self._residents.died(node)
                self._after(self._site.detect_s, self._notice, node, reason)

    def _notice(self, node: str, reason: str) -> None:
        self._unnoticed.discard(node)
        self._post(NodeLost(node=node, reason=reason))
        self._join(node)

    def _release(self, nodes: tuple[str, ...]) -> None:
        for node in nodes:
            self._down[node] -= 1
            self._join(node)

    def _join(self, node: str) -> None:
        # One whose loss is not noticed yet joins right after that.
        if self._down[node] or node in self.up or node in self._unnoticed:
            return
        self.up.add(node)
        self._residents.came(node)
        self._post(
            NodeJoined(
                node=node,
                cores=self._site.cores,
                memory_bytes=self._site.memory_of(node),
                job=self._jobs.get(node, ""),
            )
        )
