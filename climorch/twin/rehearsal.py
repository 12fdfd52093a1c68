"""A rehearsal: what would become of a campaign on a virtual cluster.

Runs copies of a campaign's state, one per seed, and keeps of each what a user
asks for. Touches nothing of the campaign itself.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from climorch.core.fold import apply
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.errors import Fault, InvalidInputError
from climorch.intake.remedies import evaluate_remedy
from climorch.intake.rules import evaluate_rule
from climorch.model.commands import EvaluateRule
from climorch.model.events import DriverStarted, DriverStopped, Fact, RuleEvaluated
from climorch.model.workflow import Workflow
from climorch.twin.costs import Costs
from climorch.twin.driver import Twin
from climorch.twin.learning import learn, with_luck
from climorch.twin.ledger import Ledger, Part
from climorch.twin.pooling import side_by_side
from climorch.twin.rehearsed import Fate, Rehearsal, Rehearsed
from climorch.twin.site import TwinSite

__all__ = ["Play", "rehearse", "rehearse_once", "seconds_until"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is rehearsed.

    Attributes
    ----------
    state : CampaignState
        The campaign as it is; only read.
    facts : tuple of Fact
        What the script submitted and the state does not have.
    policies : Policies
        The rules.
    workflows : mapping of str to Workflow
        Where the user's rules bind.
    site : TwinSite
        Where.
    begin_s : float
        Clock at the beginning, UTC seconds.
    until_s : float
        Seconds from there to the end.
    script : tuple of (float, Fact)
        What else happens, and how many seconds after the beginning.
    coarse : bool
        Whether in coarse mode, see `Twin`.
    """

    state: CampaignState
    facts: tuple[Fact, ...] = ()
    policies: Policies
    workflows: Mapping[str, Workflow]
    site: TwinSite
    begin_s: float
    until_s: float
    script: tuple[tuple[float, Fact], ...] = ()
    coarse: bool = False


def seconds_until(until: datetime | timedelta, begin_s: float) -> float:
    """Return how long a rehearsal takes, in virtual seconds.

    Parameters
    ----------
    until : datetime or timedelta
        Its end, with a time zone; or how long from its beginning.
    begin_s : float
        Its beginning, UTC seconds.

    Returns
    -------
    float
        Seconds, > 0.

    Raises
    ------
    InvalidInputError
        If it would end before it begins, or nobody knows in which time zone.
    """
    if isinstance(until, timedelta):
        seconds = until.total_seconds()
    else:
        naive = until.tzinfo is None
        seconds = math.nan if naive else until.timestamp() - begin_s
    if not seconds > 0:
        fault = Fault(
            place="until",
            problem=f"got {until!r}, expected a time zone and a time to come",
            remedy="give timedelta(days=30), or datetime(..., tzinfo=UTC)",
        )
        raise InvalidInputError("this cannot be rehearsed", faults=[fault])
    return seconds


def rehearse(play: Play, seeds: Iterable[int], *, processes: int = 1) -> Rehearsal:
    """Rehearse with every seed.

    Parameters
    ----------
    play : Play
        What.
    seeds : iterable of int
        Each >= 0.
    processes : int
        How many side by side, at most; see `side_by_side`.

    Returns
    -------
    Rehearsal
        All of them, the same with any number of processes.

    Raises
    ------
    InvalidInputError
        If nobody knows how long a stage takes, or no seed is given.
    BackendError
        If a process died.
    """
    chosen = tuple(seeds)
    if not chosen or min(chosen) < 0:
        fault = Fault(
            place="seeds",
            problem=f"got {chosen}, expected at least one, each >= 0",
            remedy="say how many, such as 5",
        )
        raise InvalidInputError("this cannot be rehearsed", faults=[fault])
    site = learn(play.site, play.state, play.facts, play.workflows)
    known = dataclasses.replace(play, site=site)
    runs = side_by_side(rehearse_once, known, chosen, processes=processes)
    return Rehearsal(begin_s=play.begin_s, until_s=play.until_s, runs=runs)


def rehearse_once(play: Play, seed: int) -> Rehearsed:
    """Rehearse with one seed; what is given and returned pickles.

    Parameters
    ----------
    play : Play
        What; its site has costs for every stage.
    seed : int
        Of every random number, >= 0.

    Returns
    -------
    Rehearsed
        What became of it.
    """
    site = dataclasses.replace(
        play.site, costs=with_luck(play.site.costs or Costs(), seed)
    )
    state = copy.deepcopy(play.state)
    # As when the script is run again: nothing runs, no node is held. The driver before
    # has not died, which would count as a failure of all nodes.
    apply(state, DriverStopped(reason="rehearsed"), state.now_s)
    started = DriverStarted(epoch=state.epoch + 1, host="twin", pid=0)
    apply(state, started, play.begin_s)
    # Nothing is archived or recalled: the twin has no other tier.
    policies = dataclasses.replace(play.policies, archive=None)
    orchestrator = Orchestrator(policies, state)
    # What was under way is rolled back before the books are opened: it was lost
    # by the assumption that the driver starts anew, not by anything to come.
    pending = orchestrator.handle((), play.begin_s).commands
    notes: list[str] = []

    def rules(state: CampaignState, command: EvaluateRule) -> RuleEvaluated:
        return _answer(state, command, play.workflows, notes)

    twin = Twin(
        orchestrator,
        site,
        seed=seed,
        begin_s=play.begin_s,
        rules=rules,
        remedies=lambda state, command: evaluate_remedy(state, play.workflows, command),
        pending=pending,
        coarse=play.coarse,
    )
    twin.post(*play.facts)
    for after_s, fact in play.script:
        twin.post(fact, after_s=after_s)
    ledger = twin.run(play.until_s)
    most = len(site.node_names)
    notes += [
        f"{s.name} needs {s.plan.nodes} nodes, the site has {most}"
        for s in state.simulations.values()
        if s.wants_nodes and s.plan.nodes > most
    ]
    return _rehearsed(seed, twin, ledger, tuple(notes))


def _answer(
    state: CampaignState,
    command: EvaluateRule,
    workflows: Mapping[str, Workflow],
    notes: list[str],
) -> RuleEvaluated:
    """Ask the user's rule; one that cannot answer adds nothing, and is noted.

    It sees the metrics that the campaign knew when the rehearsal began: a twin
    computes none.
    """
    nothing = RuleEvaluated(
        simulation=command.simulation, rule=command.rule, at=command.at
    )
    place = f"rule {command.rule!r} of {command.simulation!r}"
    workflow = state.simulations[command.simulation].plan.workflow
    if workflow not in workflows:
        notes.append(f"{place}: this script submitted no workflow {workflow!r}")
        return nothing
    answer = evaluate_rule(state, workflows, command)
    if isinstance(answer, RuleEvaluated):
        return answer
    notes.append(f"{place} added nothing: {answer.message}")
    return nothing


def _rehearsed(
    seed: int, twin: Twin, ledger: Ledger, notes: tuple[str, ...]
) -> Rehearsed:
    state = twin.orchestrator.state
    fates = tuple(
        Fate(
            simulation=name,
            status=state.simulations[name].status.value,
            finished_s=math.nan if a.completed_s is None else a.completed_s,
            segments=a.segments,
            useful_node_s=a.useful_node_s,
            lost_s=a.lost_s,
            worst_loss_s=a.worst_loss_s,
            waited_s=sum(a.all_waits(ledger.now_s)),
            longest_wait_s=max(a.all_waits(ledger.now_s), default=0.0),
            interruptions=tuple((i.at_s, i.why) for i in a.interruptions),
            project=state.simulations[name].scenario.project,
        )
        for name, a in ledger.accounts.items()
    )
    return Rehearsed(
        seed=seed,
        ended=twin.ended,
        stop_s=ledger.now_s,
        up_node_s=ledger.up_node_s,
        spent={part.name.lower(): s for part, s in ledger.spent().items()},
        days=tuple((day.up_s, day.parts[Part.USEFUL]) for day in ledger.days),
        fates=fates,
        spans=tuple(ledger.spans),
        notes=notes,
    )
