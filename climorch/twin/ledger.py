"""What the nodes of a virtual cluster were spent on, kept while it goes.

Each second of each node that is up and ours is spent on exactly one thing; the
parts sum to the whole. Every entry takes the same time however long the run is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from climorch.forecast.parts import Part
from climorch.twin.account import Account, Charge, Finished

__all__ = ["DAY_S", "Day", "Ledger", "Part", "Span"]

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A lease between two changes.

    Attributes
    ----------
    simulation : str
        Whose.
    nodes : int
        Nodes of it that were up.
    start_s, stop_s : float
        Clock of the run, seconds.
    """

    simulation: str
    nodes: int
    start_s: float
    stop_s: float


@dataclass(slots=True, kw_only=True)
class Day:
    """One day of a run, in node-seconds.

    Attributes
    ----------
    up_s : float
        Nodes that were up and ours.
    parts : list of float
        By `Part`: committed segments on the day on which they were finished, what
        was lost on the day of the failure, all else up to the moment at which it
        ended. What goes over midnight is not divided, so a day's parts may be a
        little more or less than what was up.
    """

    up_s: float = 0.0
    parts: list[float] = field(default_factory=lambda: [0.0] * len(Part))


@dataclass(slots=True)
class Ledger:
    """The books of one run.

    Attributes
    ----------
    begin_s : float
        Clock at its beginning, seconds.
    now_s : float
        Clock up to which nodes are counted.
    up : int
        Nodes that are up.
    leased : int
        Of these, nodes that somebody holds.
    up_node_s : float
        Node-seconds that were up and ours.
    parts : list of float
        Node-seconds by `Part`; what is pending is added by `spent`.
    accounts : dict of str to Account
        By simulation, in order of submission.
    spans : list of Span
        Leases, by their end.
    days : list of Day
        From the beginning of the run on.
    segments : int
        Segments committed.
    """

    begin_s: float
    now_s: float = field(init=False)
    up: int = 0
    leased: int = 0
    up_node_s: float = 0.0
    parts: list[float] = field(default_factory=lambda: [0.0] * len(Part))
    accounts: dict[str, Account] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    segments: int = 0

    def __post_init__(self) -> None:
        self.now_s = self.begin_s

    def open(self, simulation: str, nodes: int, now_s: float) -> None:
        """Open the account of a simulation that asks for so many nodes."""
        if simulation not in self.accounts:
            self.accounts[simulation] = Account(nodes=nodes, since_s=now_s)

    def node_up(self, now_s: float) -> None:
        """Count a node in."""
        self._count(now_s)
        self.up += 1

    def node_down(self, holder: str | None, now_s: float) -> None:
        """Count a node out, and out of the lease of its holder."""
        self._count(now_s)
        self.up -= 1
        if holder is not None:
            self._hold(holder, self.accounts[holder].held - 1, now_s)

    def hold(self, simulation: str, nodes: int, now_s: float) -> None:
        """Note that a lease has so many nodes that are up from now on."""
        self._count(now_s)
        self._hold(simulation, nodes, now_s)

    def restoring(self, simulation: str, change: int, now_s: float) -> None:
        """Note that one more set is being brought back (+1), or one less (-1)."""
        account = self._settled(simulation, now_s)
        account.restoring += change

    def writing(self, simulation: str, change: int, now_s: float) -> None:
        """Note that one more checkpoint is being written (+1), or one less (-1)."""
        account = self._settled(simulation, now_s)
        account.writing += change

    def started(
        self, simulation: str, stage: str, base: int, stall_s: float, now_s: float
    ) -> None:
        """Note that a segment begins, after a wait for its checkpoint."""
        account = self._settled(simulation, now_s)
        account.begin(stage, Charge(base=base, stall_s=stall_s))

    def finished(
        self,
        simulation: str,
        name: str,
        stage: str,
        segment: int,
        *,
        compute_s: float,
        base_s: float,
        now_s: float,
    ) -> None:
        """Note that a segment was computed.

        Parameters
        ----------
        simulation, name, stage : str
            Whose; ``name`` is the set's.
        segment : int
            Which.
        compute_s, base_s : float
            Seconds that it took, waits apart, and would have taken on the nodes
            that its stage asks for.
        now_s : float
            Clock, seconds.
        """
        account = self._settled(simulation, now_s)
        charge = account.end(stage)
        waited_s = charge.stall_s + charge.redo_s
        share = charge.spent / (compute_s + waited_s)
        useful = min(base_s * charge.base, share * compute_s)
        account.finished.setdefault(name, {})[stage, segment] = Finished(
            useful=useful,
            wide=share * compute_s - useful,
            stall=share * charge.stall_s,
            day=int((now_s - self.begin_s) // DAY_S),
        )
        self.spend(Part.LOST, share * charge.redo_s, now_s)

    def began_again(
        self, simulation: str, stage: str, *, vain_s: float, redo_s: float, now_s: float
    ) -> None:
        """Note that a segment starts anew on what is left of its lease.

        Parameters
        ----------
        simulation, stage : str
            Whose.
        vain_s : float
            Seconds that it has computed for nothing.
        redo_s : float
            Seconds of earlier segments that are computed again before it.
        now_s : float
            Clock, seconds.
        """
        account = self._settled(simulation, now_s)
        charge = account.running[stage]
        self.spend(Part.LOST, charge.spent, now_s)
        charge.spent, charge.stall_s, charge.redo_s = 0.0, 0.0, redo_s
        account.lose(vain_s + redo_s)

    def broken_off(self, simulation: str, stage: str, now_s: float) -> None:
        """Note that a segment will not be finished."""
        account = self._settled(simulation, now_s)
        self.spend(Part.LOST, account.end(stage).spent, now_s)

    def committed(self, simulation: str, name: str, stage: str, segment: int) -> None:
        """Note that a segment is covered by a checkpoint."""
        account = self.accounts[simulation]
        done = account.finished.get(name, {}).pop((stage, segment), None)
        if done is not None:
            self.commit(account, done)

    def commit(self, account: Account, done: Finished) -> None:
        """Note that what a simulation had finished is useful from now on."""
        for parts in (self.parts, self.day(done.day).parts):
            parts[Part.USEFUL] += done.useful
            parts[Part.WIDE] += done.wide
            parts[Part.STALL] += done.stall
        account.useful_node_s += done.useful
        account.segments += 1
        self.segments += 1

    def rolled_back(
        self, simulation: str, name: str, lost_s: float, now_s: float
    ) -> None:
        """Note that what a set had finished is to be computed again."""
        account = self.accounts[simulation]
        for done in account.finished.pop(name, {}).values():
            self.spend(Part.LOST, done.total, now_s)
        account.lose(lost_s)

    def close(self, now_s: float) -> None:
        """Count everything up to now, and end the spans that are open."""
        self._count(now_s)
        for name, account in self.accounts.items():
            self._settled(name, now_s)
            self._end_span(name, account, now_s)

    def spent(self) -> dict[Part, float]:
        """Return the node-seconds of every part, as of the last `close`."""
        parts = {part: self.parts[part] for part in Part}
        parts[Part.PENDING] += sum(a.pending for a in self.accounts.values())
        return parts

    @property
    def utilisation(self) -> float:
        """Useful node-seconds over those that were up and ours; NaN: none were."""
        whole = self.up_node_s
        return self.parts[Part.USEFUL] / whole if whole else float("nan")

    def _settled(self, simulation: str, now_s: float) -> Account:
        account = self.accounts[simulation]
        if now_s > account.since_s:
            rest = account.settle(now_s)
            if rest:
                self.spend(account.rest, rest, now_s)
        return account

    def spend(self, part: Part, node_s: float, now_s: float) -> None:
        """Note node-seconds that were spent up to now."""
        self.parts[part] += node_s
        self.day(int((now_s - self.begin_s) // DAY_S)).parts[part] += node_s

    def _count(self, now_s: float) -> None:
        """Count nodes up to now, day by day."""
        day = int((self.now_s - self.begin_s) // DAY_S)
        while self.now_s < now_s:
            stop_s = min(now_s, self.begin_s + (day + 1) * DAY_S)
            span_s = stop_s - self.now_s
            up, free = self.up * span_s, (self.up - self.leased) * span_s
            self.up_node_s += up
            self.parts[Part.FREE] += free
            counted = self.day(day)
            counted.up_s += up
            counted.parts[Part.FREE] += free
            self.now_s = stop_s
            day += 1

    def day(self, day: int) -> Day:
        """Return a day of the run, the first one 0."""
        while len(self.days) <= day:
            self.days.append(Day())
        return self.days[day]

    def _hold(self, simulation: str, nodes: int, now_s: float) -> None:
        account = self._settled(simulation, now_s)
        self._end_span(simulation, account, now_s)
        self.leased += nodes - account.held
        account.held = nodes

    def _end_span(self, simulation: str, account: Account, now_s: float) -> None:
        if account.held and now_s > account.span_s:
            self.spans.append(
                Span(
                    simulation=simulation,
                    nodes=account.held,
                    start_s=account.span_s,
                    stop_s=now_s,
                )
            )
        account.span_s = now_s
