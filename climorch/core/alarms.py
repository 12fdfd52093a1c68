"""When a person is told, and how often.

Decides what in the state needs a person, and that each trouble is told once
when it begins, once when it ends, and at growing intervals between. Ignores who
listens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from climorch.core.dropping import dropped_told
from climorch.core.hanging import hang_told
from climorch.core.outlook import exposure_s, written_for_s
from climorch.core.ruling import rule_faults_told
from climorch.core.scoring import faults_told
from climorch.core.state import CampaignState, Control, SimulationState
from climorch.model.alarm import Alarm, AlarmEvent, AlarmKind
from climorch.model.events import Cause
from climorch.model.windows import Window
from climorch.policy.learning import Learned

__all__ = ["MOST_EXPOSURE_S", "AlarmBook", "Trouble", "troubles"]

MOST_EXPOSURE_S = 3600.0
"""As `Limits` have it by default, in seconds."""

NEAR_S = 3600.0
"""How long before its start a window that lacks nodes is told of, in seconds."""

SETTLED_S = 60.0
"""For how long no node must have come or gone before that, in seconds: where
many join, those that lack may be the next."""

LATE_S = 120.0
"""How long a checkpoint may always be written, in seconds, before that is told."""

LATE_FACTOR = 10.0
"""How many times as long as usual it may be written."""

GOOD_AGAIN = 2
"""So many newer good checkpoints make up for one that was damaged."""

FIRST_REMINDER_S = 600.0
LONGEST_REMINDER_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is wrong now.

    Attributes
    ----------
    kind : str
        As in `Alarm`.
    subject : str
        Tells troubles of one kind apart; the simulation where it is about one.
    text : str
        In words; may change while it is the same trouble.
    simulation : str or None
        Which it is about, if one.
    """

    kind: AlarmKind
    subject: str
    text: str
    simulation: str | None = None


def troubles(
    state: CampaignState, now_s: float, *, most_exposure_s: float = MOST_EXPOSURE_S
) -> tuple[Trouble, ...]:
    """Return what in the state needs a person.

    Parameters
    ----------
    state : CampaignState
        What is known.
    now_s : float
        Driver's clock, seconds.
    most_exposure_s : float
        Compute that may be at risk before somebody is told, in seconds.

    Returns
    -------
    tuple of Trouble
        Of the kinds ``failed``, ``rule``, ``hang``, ``score``, ``storage`` and
        ``exposure``, at most one of each for each simulation; ``damage``, one for each
        checkpoint; ``window``, at most one for each of these; and ``node``, one for
        each that is in quarantine.
    """
    found = list(_bare_windows(state, now_s))
    found += [
        Trouble(
            kind="node",
            subject=node,
            text=f"node {node} is in quarantine until it is undrained: {why}",
        )
        for node, why in state.quarantined.items()
    ]
    for simulation in state.simulations.values():
        name = simulation.name
        told: list[tuple[AlarmKind, str]] = []
        if failure := _failure(simulation):
            told.append(("failed", failure))
        if simulation.rule_faults:
            told.append(("rule", rule_faults_told(simulation)))
        if simulation.failed is None and (hung := hang_told(simulation)):
            told.append(("hang", hung))
        if unscored := faults_told(simulation):
            told.append(("score", unscored))
        if simulation.lease and (trouble := _storage(simulation, now_s)):
            told.append(("storage", trouble))
        exposed_s = exposure_s(simulation, now_s)
        if exposed_s > most_exposure_s:
            told.append(
                (
                    "exposure",
                    f"{exposed_s:.0f} s of compute would be lost by a failure now, "
                    f"more than {most_exposure_s:.0f} s",
                )
            )
        found += [
            Trouble(kind=kind, subject=name, text=text, simulation=name)
            for kind, text in told
        ]
        found += _damaged(simulation)
    return tuple(found)


def _failure(simulation: SimulationState) -> str:
    """Say what of a simulation failed for good; empty: nothing did."""
    if simulation.failed is not None and simulation.control is Control.RUN:
        cause, message = simulation.failed
        return f"failed for good: {cause.value}: {message}"
    lacks = dropped_told(simulation)
    return f"goes on {lacks}" if lacks else ""


def _storage(simulation: SimulationState, now_s: float) -> str:
    """Say what is wrong with the storage of a simulation; empty: nothing is."""
    budgets = [simulation.failures, *(s.failures for s in simulation.sets.values())]
    tries = sum(failures.get(Cause.STORAGE, 0) for failures in budgets)
    if tries:
        return f"storage failed {tries} times since the last checkpoint"
    for s in simulation.sets.values():
        for_s = written_for_s(s, now_s)
        if for_s is not None and for_s > late_after_s(s.writing):
            return (
                f"checkpoint {s.checkpoint} of set {s.name} has been written for "
                f"{for_s:.0f} s: the storage is slow, or hangs"
            )
    return ""


def late_after_s(writing: Learned | None) -> float:
    """Return after how many seconds a checkpoint that is being written is late.

    Parameters
    ----------
    writing : Learned or None
        What checkpoints of its set took; None: none was written yet.
    """
    usual_s = 0.0 if writing is None else math.exp(writing.centre)
    return max(LATE_S, LATE_FACTOR * usual_s)


def _damaged(simulation: SimulationState) -> Iterator[Trouble]:
    """Yield the bad checkpoints that two newer good ones have not made up for."""
    for s in simulation.sets.values():
        good = [c.boundary for c in s.commits.values() if c.good and not c.deleting]
        for c in s.commits.values():
            if not c.good and sum(b > c.boundary for b in good) < GOOD_AGAIN:
                yield Trouble(
                    kind="damage",
                    subject=f"{simulation.name}/{s.name}-{c.boundary}",
                    text=f"checkpoint {c.boundary} of set {s.name} is damaged, no "
                    "other copy is left; it was set aside, look after the storage",
                    simulation=simulation.name,
                )


def _bare_windows(state: CampaignState, now_s: float) -> Iterator[Trouble]:
    """Yield the windows that start soon or have started and lack nodes."""
    if not state.nodes or now_s - state.counted_s < SETTLED_S:
        return
    for window in state.windows.values():
        if not window.start_s - NEAR_S <= now_s < window.stop_s:
            continue
        lacks = _lacks(state, window)
        if lacks:
            left_s = window.start_s - now_s
            when = f"starts in {left_s:.0f} s" if left_s > 0 else "has started"
            yield Trouble(
                kind="window",
                subject=window.name,
                text=f"window {window.name} {when}: {lacks}",
            )


def _lacks(state: CampaignState, window: Window) -> str:
    if not window.placed:
        nodes = f"{window.count} node" + ("s" if window.count > 1 else "")
        return (
            f"it needs {nodes} that no other window wants; "
            f"{len(state.nodes)} are up in all"
        )
    if not window.holder:
        # Nodes that are down can be serviced.
        return ""
    there = state.nodes.keys() - state.draining
    down = [node for node in window.nodes if node not in there]
    if not down:
        return ""
    return f"not there for {window.holder}: {', '.join(down)}"


@dataclass(slots=True, kw_only=True)
class _Standing:
    trouble: Trouble
    watched: bool
    remind_at_s: float
    wait_s: float = FIRST_REMINDER_S


class AlarmBook:
    """Remembers what was told, so that nothing is told every second."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str], _Standing] = {}

    def begin(
        self, trouble: Trouble, now_s: float, *, watched: bool = False
    ) -> list[Alarm]:
        """Note a trouble; a known one is not told again.

        Parameters
        ----------
        trouble : Trouble
            What is wrong.
        now_s : float
            UTC seconds.
        watched : bool
            Whether `watch` says when it is over, rather than `end`.

        Returns
        -------
        list of Alarm
            To be told.
        """
        key = (trouble.kind, trouble.subject)
        known = self._standing.get(key)
        if known is not None:
            known.trouble = trouble
            return []
        self._standing[key] = _Standing(
            trouble=trouble, watched=watched, remind_at_s=now_s + FIRST_REMINDER_S
        )
        return [_alarm(trouble, "begins", now_s)]

    def end(self, kind: AlarmKind, subject: str, now_s: float) -> list[Alarm]:
        """Note that a trouble is over; return what is to be told."""
        known = self._standing.pop((kind, subject), None)
        return [] if known is None else [_alarm(known.trouble, "ends", now_s)]

    def watch(self, found: Iterable[Trouble], now_s: float) -> list[Alarm]:
        """Compare all that is wrong in the state with what was told of it.

        Parameters
        ----------
        found : iterable of Trouble
            As from `troubles`; what is no longer among them is over.
        now_s : float
            UTC seconds.

        Returns
        -------
        list of Alarm
            To be told, reminders of all kinds included.
        """
        present = {(trouble.kind, trouble.subject): trouble for trouble in found}
        alarms = []
        for key, known in list(self._standing.items()):
            if known.watched and key not in present:
                del self._standing[key]
                alarms.append(_alarm(known.trouble, "ends", now_s))
        for trouble in present.values():
            alarms += self.begin(trouble, now_s, watched=True)
        for known in self._standing.values():
            if now_s >= known.remind_at_s:
                known.wait_s = min(2 * known.wait_s, LONGEST_REMINDER_S)
                known.remind_at_s = now_s + known.wait_s
                alarms.append(_alarm(known.trouble, "lasts", now_s))
        return alarms


def _alarm(trouble: Trouble, event: AlarmEvent, now_s: float) -> Alarm:
    return Alarm(
        kind=trouble.kind,
        event=event,
        text=trouble.text,
        when_s=now_s,
        simulation=trouble.simulation,
    )
