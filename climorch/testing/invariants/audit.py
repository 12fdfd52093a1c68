"""All invariants at once, over one stream of records."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.model.commands import Record
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants.archives import ArchiveAuditor
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.budgets import BudgetAuditor
from climorch.testing.invariants.capacity import (
    CapacityAuditor,
    no_node_is_held_in_a_window_of_others,
)
from climorch.testing.invariants.control import ControlAuditor
from climorch.testing.invariants.exposure import ExposureAuditor
from climorch.testing.invariants.remedies import RemedyAuditor
from climorch.testing.invariants.scoring import ScoreAuditor
from climorch.testing.invariants.states import (
    checkpoints_are_in_order,
    somebody_advances,
    what_is_over_holds_nothing,
)
from climorch.testing.invariants.tally import Tally, usage_is_that_of_the_leases
from climorch.testing.invariants.terms import TermsAuditor

__all__ = ["Audit", "name_of"]


class Audit:
    """Reads what is journaled, and raises `AssertionError` where an invariant breaks.

    Parameters
    ----------
    disk : FakeDisk
        The truth about checkpoints and the files they share.
    policies : Policies
        The rules of the campaign.
    """

    def __init__(self, disk: FakeDisk, policies: Policies) -> None:
        self.auditor = Auditor(disk)
        self.tally = Tally()
        self.terms = TermsAuditor(policies.sharing.min_run_s)
        self.archive = ArchiveAuditor(self.auditor)
        self.scores = ScoreAuditor(self.auditor, policies.promise)
        self._capacity = CapacityAuditor(self.auditor)
        # What a remedy gives up is forgotten by the archive before the other books
        # know of it.
        self._before = (
            BudgetAuditor(self.auditor, self.tally),
            ExposureAuditor(self.auditor, policies.limits.most_exposure_s),
            self._capacity,
            ControlAuditor(self.auditor),
            self.archive,
            self.scores,
            RemedyAuditor(self.auditor, policies.remedies),
        )

    def read(self, records: Sequence[Record], now_s: float) -> None:
        """Take the records of one instant, with the driver's clock, seconds."""
        self.terms.read(records, now_s)
        for record in records:
            for books in self._before:
                books.take(record, now_s)
            self.auditor.take(record)
            self.tally.read([(record, now_s)])

    def settle(self, state: CampaignState) -> None:
        """See that what holds between two instants holds of a state, too."""
        self.auditor.settle()
        no_node_is_held_in_a_window_of_others(self._capacity, state.now_s)
        checkpoints_are_in_order(state)
        what_is_over_holds_nothing(state)
        somebody_advances(state)

    def balance(self, state: CampaignState) -> None:
        """See that the usage of projects is that of their leases; slow."""
        usage_is_that_of_the_leases(self.tally, state)


def name_of(error: BaseException) -> str:
    """Return the name of the invariant that an error tells of; else its type."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "/testing/invariants/" in frame.filename and frame.name[0] not in "_<":
            return frame.name
    return type(error).__name__
