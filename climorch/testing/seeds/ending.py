"""What must hold when all is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from climorch.core.orchestrator import Orchestrator
from climorch.model import events as e
from climorch.model.commands import decode_record, encode_record
from climorch.model.plan import RuleTime
from climorch.testing.invariants import courses, scoring
from climorch.testing.invariants import states as holds
from climorch.testing.invariants.archives import all_that_ended_is_archived
from climorch.testing.invariants.ledgers import (
    entries_of,
    hours_are_those_of_the_leases,
    replay_gives_the_same_books,
)
from climorch.testing.invariants.refusing import refusing

if TYPE_CHECKING:
    from climorch.testing.seeds.machine import Machine

__all__ = ["see_the_end"]


def see_the_end(machine: Machine) -> None:
    """See that all is as it should be in the end."""
    state, audit = machine.state, machine.audit
    holds.everything_that_may_has_ended(machine.orchestrator)
    holds.what_is_committed_is_on_the_disk(machine.disk, state)
    audit.balance(state)
    journal = [(decode_record(encode_record(r)), s) for r, s in machine.journal]
    again = Orchestrator(refusing())
    again.replay(journal)
    holds.replay_gives_an_equal_state(again.state, state)
    entries = entries_of(machine.keeper)
    replay_gives_the_same_books(entries, journal)
    hours_are_those_of_the_leases(entries, audit.tally)
    holds.the_budget_of_bytes_is_kept(state, machine.case.policies)
    rules = machine.case.policies.archive
    if rules is not None and machine.depot is not None:
        all_that_ended_is_archived(audit.archive, rules, machine.depot.content)
        for place in sorted(audit.archive.there):
            found = machine.depot.content[place]
            courses.what_is_archived_is_of_its_course(
                machine.values.courses, place, found.states
            )
    _see_the_ends(machine)


def _see_the_ends(machine: Machine) -> None:
    """See where simulations ended, and that they were judged."""
    numbers = machine.values.courses
    faulty = {
        (record.simulation, record.rule)
        for record, _ in machine.journal
        if isinstance(record, e.RuleFailed)
    }
    for simulation in machine.state.simulations.values():
        for s in simulation.sets.values():
            rules = [
                rule
                for rule in simulation.plan.rules_of[s.name]
                if rule.on is RuleTime.UNTIL
            ]
            wrong = any((simulation.name, rule.name) in faulty for rule in rules)
            if s.complete and rules and not wrong:
                courses.a_stage_ends_where_it_would_undisturbed(
                    numbers, simulation.name, s.name, machine.case.level
                )
            if s.complete:
                place = simulation.name, s.name, s.plan.last
                courses.what_is_committed_is_of_its_course(
                    numbers, place, machine.values.stored[place]
                )
        if simulation.settled and not any(s.dropped for s in simulation.sets.values()):
            scoring.every_mark_is_scored(machine.audit.scores, simulation.name)
