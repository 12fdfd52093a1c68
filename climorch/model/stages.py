"""A stage as a user declares it, and what its scope makes of its functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from climorch.model.advance import Advance, Segment
from climorch.model.codec import Storing
from climorch.model.ending import Condition, Equilibrium, Until
from climorch.model.numerics import Checks
from climorch.model.pace import CheckpointStrategy
from climorch.model.plan import Coupling
from climorch.model.programs import Command
from climorch.model.resources import Resources
from climorch.model.scope import Scope, ScopedInit, ScopedStep
from climorch.model.span import Span
from climorch.model.steps import Isolated, LiveModel, StepFunction

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "DATED",
    "JOINED",
    "SHIFTED",
    "Initial",
    "Opaque",
    "Stage",
    "Step",
    "Transform",
    "scoped",
    "storing_of",
]

Opaque = LiveModel | Isolated | Command
"""Steps that build no graph but run in a process of their own."""

Step = StepFunction | Opaque
Initial = Callable[[Segment, Mapping[str, "xr.Dataset"]], "xr.Dataset | Advance"]
Transform = Callable[[Mapping[str, "xr.Dataset"], Segment], "xr.Dataset | Advance"]

JOINED = "joined"
SHIFTED = "shifted"
DATED = "dated"
"""Where a stage begins if the end that it comes after has moved: see `Stage`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One component or phase: its functions and what they need.

    Attributes
    ----------
    name : str
        Its name, part of paths.
    step : callable, LiveModel, Isolated or Command
        ``step(state, inputs, segment) -> Dataset | Advance``, or a generator of
        such where segments have ``parts``; builds a graph over the chunked
        fields that it is given, never computes. The others compute in a process
        of their own.
    init : callable, xarray.Dataset or None
        First state: a Dataset or ``init(segment, inputs)``, where ``inputs``
        are the last states of the ``after`` stages or of the simulation that
        it branches from; None: the parent's state of the same stage.
    span : Span
        Model time and segments.
    reads : mapping of str to Coupling
        Stages whose exports it reads.
    after : tuple of str
        Stages that must be complete before it starts.
    chunks : mapping of str to int
        Chunk length per dimension of its state; others are whole.
    resources : Resources
        Nodes and memory.
    check_finite : bool
        Whether a NaN or infinity that a floating state variable gains fails
        the segment. A variable that starts with NaN (land in an ocean) is
        checked for its number of NaN not to grow.
    output_chunk : int or None
        Length of the results' chunks along ``time``; None: one segment's.
    checkpointing : CheckpointStrategy or None
        When it is to be checkpointed, in place of the campaign's strategy. A
        coupled set is checkpointed as one: the strictest of its stages wins.
    scope : Scope or None
        What of its state lives on from segment to segment; None: all. Part of
        ``step`` and ``init`` already.
    checks : Checks or None
        Bounds and a function of the user's that its state must pass.
    parts : int
        Parts of a segment, after each of which the step yields its state: the
        next call gets it with the `Segment.part` that begins. A checkpoint may
        be taken there. Not for stages that exchange through ``reads``.
    on_demand : bool
        Whether it is part of a simulation only once a rule adds it: `AddStage`.
    begins : str or None
        Where it begins if the end that it comes after has moved. ``"joined"``: at
        that end, and ends where it is declared to; ``"shifted"``: at that end, with
        as many segments as declared; ``"dated"``: where it is declared to, from
        states of another date. None: joined. After a stage with ``until`` it must be
        said.
    until : Until, Equilibrium, callable or None
        When it ends before the end of its span, with all that are coupled to it.
    transform : callable or None
        ``transform(states, segment)``, in place of ``init``: makes its first state
        from the last states of the ``after`` stages, or of the simulation that it
        branches from, on another grid, in other units or of other variables. Builds
        a graph, as a step does; an ``init`` may change none of these.
    optional : bool
        Whether its simulation goes on without it, and without what comes after it,
        once it has failed for good. Coupled stages are optional together.
    """

    name: str
    step: Step
    init: Initial | xr.Dataset | None
    span: Span
    reads: Mapping[str, Coupling] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    chunks: Mapping[str, int] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    check_finite: bool = True
    output_chunk: int | None = None
    checkpointing: CheckpointStrategy | None = None
    scope: Scope | None = None
    checks: Checks | None = None
    parts: int = 1
    on_demand: bool = False
    begins: str | None = None
    until: Until | Equilibrium | Condition | None = None
    transform: Transform | None = None
    optional: bool = False


def storing_of(stages: Iterable[Stage]) -> dict[str, dict[str, Storing]]:
    """Say how variables are stored, by stage, where a scope says anything.

    Parameters
    ----------
    stages : iterable of Stage
        Of a workflow.
    """
    scopes = {stage.name: stage.scope for stage in stages}
    return {name: scope.storing for name, scope in scopes.items() if scope is not None}


def _scoped(stage: Stage, scope: Scope) -> Stage:
    """Let a scope be part of a step and of what makes its first state."""
    step, init, transform = stage.step, stage.init, stage.transform
    if isinstance(step, Isolated):
        step = replace(step, step=ScopedStep(step.step, scope))
    elif callable(step):
        step = ScopedStep(step, scope)
    if callable(init):
        init = ScopedInit(init, scope)
    elif init is not None:
        init = scope.kept(init)
    if callable(transform):
        transform = ScopedInit(transform, scope)
    return replace(stage, step=step, init=init, transform=transform, scope=scope)


def scoped(declared: Sequence[Stage]) -> list[Stage]:
    """Bind scopes to stages, where the wishes of coupled ones meet.

    Parameters
    ----------
    declared : sequence of Stage
        As they were told.
    """
    group = {stage.name: stage.name for stage in declared}
    for stage in declared:
        for other in stage.reads:
            if other in group:
                old, new = group[other], group[stage.name]
                group = {n: new if g == old else g for n, g in group.items()}
    scopes: dict[str, list[Scope]] = {}
    for stage in declared:
        if stage.scope is not None:
            scopes.setdefault(group[stage.name], []).append(stage.scope)
    return [
        stage
        if stage.scope is None
        else _scoped(stage, stage.scope.met(scopes[group[stage.name]]))
        for stage in declared
    ]
