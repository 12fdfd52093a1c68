"""Rules beyond the defaults, and what an allocation of one's own is told.

For ``Policies``, ``wf.stage`` and ``campaign.submit``; `climorch` has the usual ones.
"""

from __future__ import annotations

from climorch.model.codec import Codec
from climorch.model.edits import AddStage, Finish, MoveEnd, SetPriority, SetResources
from climorch.model.ending import Course, Equilibrium, Until
from climorch.model.judging import Judged, Partial
from climorch.model.measures import area_mean
from climorch.model.numerics import BlowUp, Checks, Remedy, Retry
from climorch.model.pace import Pace
from climorch.model.scope import Scope
from climorch.policy.archiving import Archive
from climorch.policy.budgeting import ByteBudget
from climorch.policy.checkpointing import AnyOf, BeforeEvent, ModelCalendar
from climorch.policy.claims import Allocation, Claim, Contest, NodeOffer
from climorch.policy.limits import Limits
from climorch.policy.moving import Moving
from climorch.policy.partnering import PartnerCopy
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import (
    Belief,
    Correlation,
    Promise,
    PromiseRule,
    Prospect,
    Ranking,
    Skill,
)
from climorch.policy.quarantine import Quarantine
from climorch.policy.retention import KeepAny, KeepCalendar, Kept
from climorch.policy.scrubbing import Scrub
from climorch.policy.simple_promise import (
    EqualSplit,
    FixedPriorities,
    SubmissionOrder,
    SuccessiveHalving,
)

__all__ = [
    "AddStage",
    "Allocation",
    "AnyOf",
    "Archive",
    "BeforeEvent",
    "Belief",
    "BlowUp",
    "ByteBudget",
    "Checks",
    "Claim",
    "Codec",
    "Contest",
    "Correlation",
    "Course",
    "EqualSplit",
    "Equilibrium",
    "Finish",
    "FixedPriorities",
    "Judged",
    "KeepAny",
    "KeepCalendar",
    "Kept",
    "Limits",
    "ModelCalendar",
    "MoveEnd",
    "Moving",
    "NodeOffer",
    "Pace",
    "Partial",
    "PartnerCopy",
    "Promise",
    "PromiseRule",
    "Prospect",
    "Quarantine",
    "Ranking",
    "Remedy",
    "Retry",
    "Scope",
    "Scrub",
    "SetPriority",
    "SetResources",
    "SiblingPromise",
    "Skill",
    "SubmissionOrder",
    "SuccessiveHalving",
    "Until",
    "area_mean",
]
