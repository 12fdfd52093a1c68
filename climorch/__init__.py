"""Campaigns of long coupled simulations that survive whatever fails."""

from climorch.campaign import Campaign
from climorch.core.explain import Explanation, NodeStatus, SimulationStatus
from climorch.core.progress import Policies
from climorch.engine.session import Run
from climorch.errors import (
    BackendError,
    ClimorchError,
    ConflictError,
    CorruptDataError,
    ErrorKind,
    Fault,
    InternalError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from climorch.model.advance import Advance, Segment
from climorch.model.alarm import Alarm
from climorch.model.edits import AddSimulation, Committed
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.model.span import Span
from climorch.model.steps import Isolated, LiveModel
from climorch.model.workflow import Stage, Workflow
from climorch.policy.checkpointing import (
    CheckpointStrategy,
    Daly,
    EverySegments,
    EveryWall,
)
from climorch.policy.recovery import Budget, RecoveryPolicy
from climorch.policy.retention import KeepLast, RetentionPolicy
from climorch.policy.sharing import Sharing
from climorch.policy.watching import Watch
from climorch.report import CampaignStatus
from climorch.sites.dask import DaskSite
from climorch.sites.local import LocalSite
from climorch.twin.site import TwinSite

SAME = Coupling.SAME
PREVIOUS = Coupling.PREVIOUS

__all__ = [
    "PREVIOUS",
    "SAME",
    "AddSimulation",
    "Advance",
    "Alarm",
    "BackendError",
    "Budget",
    "Campaign",
    "CampaignStatus",
    "CheckpointStrategy",
    "ClimorchError",
    "Committed",
    "ConflictError",
    "CorruptDataError",
    "Daly",
    "DaskSite",
    "ErrorKind",
    "EverySegments",
    "EveryWall",
    "Explanation",
    "Fault",
    "InternalError",
    "InvalidInputError",
    "Isolated",
    "KeepLast",
    "LiveModel",
    "LocalSite",
    "NodeStatus",
    "NotAllowedError",
    "NotFoundError",
    "Policies",
    "Project",
    "RecoveryPolicy",
    "Resources",
    "RetentionPolicy",
    "Run",
    "Scenario",
    "Segment",
    "Sharing",
    "SimulationStatus",
    "Span",
    "Stage",
    "TwinSite",
    "Watch",
    "Workflow",
]
