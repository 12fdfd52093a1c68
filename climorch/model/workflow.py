"""What a user declares: stages with their functions, rules, templates.

Collects; the checks come when it is submitted, so that all faults of one
workflow are told together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from climorch.model.edits import Committed, Edit
from climorch.model.ending import Condition, Equilibrium, Until
from climorch.model.judging import Score, ScoreFunction
from climorch.model.kinds import require_values
from climorch.model.numerics import BlowUp, Checks, Remedy, Retry
from climorch.model.pace import CheckpointStrategy
from climorch.model.plan import Coupling, RuleTime
from climorch.model.resources import Resources
from climorch.model.scope import Scope
from climorch.model.span import Span
from climorch.model.stages import (
    Initial,
    Stage,
    Step,
    Transform,
    scoped,
    storing_of,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "GO_ON",
    "PAUSE",
    "Initial",
    "Rule",
    "RuleFunction",
    "Stage",
    "Step",
    "Workflow",
    "storing_of",
]

RuleFunction = Callable[[Committed], Iterable[Edit]]

LIMIT_S = 600.0
"""How long a rule may take, unless that is said, in seconds."""

GO_ON = "go on"
PAUSE = "pause"

_REMEDIES = {
    "reads": "name stages and how each is read: {'atmosphere': climorch.SAME}",
    "after": "name stages, in a list: ['spinup']",
    "chunks": "give lengths by dimension: {'lat': 10}",
    "resources": "say climorch.Resources(nodes=2)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A function that looks at what is committed and asks for edits.

    Attributes
    ----------
    name, when, on, most
        As for `RulePlan`.
    then : callable
        ``then(committed) -> iterable of Edit``; pure.
    on_fault : str
        What becomes of its simulation when it raises or asks for something
        impossible: ``"go on"``, as if it had asked for nothing, or ``"pause"``.
    limit_s : float
        Seconds after which it is given up, which is a fault.
    """

    name: str
    when: str
    then: RuleFunction
    on: str = RuleTime.STAGE.value
    most: int = 1000
    on_fault: str = GO_ON
    limit_s: float = LIMIT_S


class Workflow:
    """A graph of stages, with rules that let results change a campaign.

    Parameters
    ----------
    name : str
        Functions bind to simulations by this name, so keep it between runs.
    templates : iterable of Workflow
        Workflows that the rules may instantiate.

    Examples
    --------
    >>> import climorch as co
    >>> wf = co.Workflow("box")
    >>> stage = wf.stage(
    ...     "ocean",
    ...     lambda state, inputs, segment: state + 1,
    ...     init=lambda segment, inputs: None,
    ...     span=co.Span("2000-01-01", "2010-01-01", every="1YS"),
    ... )
    >>> [s.name for s in wf.stages]
    ['ocean']
    """

    def __init__(self, name: str, *, templates: Iterable[Workflow] = ()) -> None:
        require_values(
            f"workflow {name!r}", {"templates": (templates, Iterable[Workflow])}
        )
        self.name = name
        # As they were told: whom they are coupled with may come later.
        self._declared: list[Stage] = []
        self.stages: list[Stage] = []
        self.rules: list[Rule] = []
        self.scores: list[Score] = []
        self.templates = tuple(templates)
        self.on_blow_up: Remedy | None = None

    def stage(
        self,
        name: str,
        step: Step,
        *,
        span: Span,
        init: Initial | xr.Dataset | None = None,
        reads: Mapping[str, Coupling] | None = None,
        after: Iterable[str] = (),
        chunks: Mapping[str, int] | None = None,
        resources: Resources | None = None,
        check_finite: bool = True,
        output_chunk: int | None = None,
        checkpointing: CheckpointStrategy | None = None,
        scope: Scope | None = None,
        checks: Checks | None = None,
        parts: int = 1,
        on_demand: bool = False,
        begins: str | None = None,
        until: Until | Equilibrium | Condition | None = None,
        transform: Transform | None = None,
        optional: bool = False,
    ) -> Stage:
        """Add a stage; `Stage` says more about each parameter.

        Parameters
        ----------
        name, step, span, init, reads, after, chunks, resources, check_finite
            As for `Stage`; resources by default: one node.
        output_chunk, checkpointing, scope, checks, parts, on_demand, begins, until
            Likewise.
        transform, optional
            Likewise.

        Returns
        -------
        Stage
            As kept in ``stages``, until one comes that shares a rounded variable.
        """
        given = {
            "reads": (reads, Mapping[str, Coupling] | None),
            "after": (after, Iterable[str]),
            "chunks": (chunks, Mapping[str, int] | None),
            "resources": (resources, Resources | None),
            "check_finite": (check_finite, bool),
            "output_chunk": (output_chunk, int | None),
            "scope": (scope, Scope | None),
            "checks": (checks, Checks | None),
            "on_demand": (on_demand, bool),
            "optional": (optional, bool),
        }
        require_values(f"stage {name!r}", given, _REMEDIES)
        return self._add(
            Stage(
                name=name,
                step=step,
                init=init,
                span=span,
                reads=dict(reads or {}),
                after=tuple(after),
                chunks=dict(chunks or {}),
                resources=resources or Resources(),
                check_finite=check_finite,
                output_chunk=output_chunk,
                checkpointing=checkpointing,
                scope=scope,
                checks=checks,
                parts=parts,
                on_demand=on_demand,
                begins=begins,
                until=until,
                transform=transform,
                optional=optional,
            )
        )

    def _add(self, declared: Stage) -> Stage:
        """Add a stage; what it wishes may bind those with whom it is coupled."""
        self._declared.append(declared)
        *earlier, stage = scoped(self._declared)
        scopes = {other.name: other for other in earlier if other.scope is not None}
        for at, known in enumerate(self.stages):
            met = scopes.get(known.name)
            if met is not None and met.scope != known.scope:
                self.stages[at] = met
        self.stages.append(stage)
        return stage

    def rule(
        self,
        name: str,
        *,
        when: str,
        then: RuleFunction,
        on: str = RuleTime.STAGE.value,
        most: int = 1000,
        on_fault: str = GO_ON,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Add a rule.

        Parameters
        ----------
        name : str
            Its name.
        when : str
            Stage that it looks at.
        then : callable
            ``then(committed) -> iterable of Edit``; pure. Runs on a node, in a process
            of its own. Its answer is journaled and applied exactly once, so it may be
            asked again only where the driver, or its node, died before that.
        on : str
            When it is asked: ``"stage"``: once that is committed to its end, and
            again if an edit moved the end since; ``"commit"``: each time more of it
            is committed; ``"simulation"``: once all stages are.
        most : int
            How often it may ask for something, of one simulation, and over how many
            generations of simulations that come from each other by it; >= 1. What
            goes beyond is refused, so that no loop is endless.
        on_fault : str
            When it raises or asks for something impossible: ``"go on"``, the
            simulation computes on as if it had asked for nothing; ``"pause"``, it is
            checkpointed and waits for ``resume``. The fault is told either way, and
            the rule is asked again when the script is run again, or on ``resume``.
        limit_s : float
            Seconds after which it is given up, which is a fault.
        """
        self.rules.append(
            Rule(
                name=name,
                when=when,
                then=then,
                on=on,
                most=most,
                on_fault=on_fault,
                limit_s=limit_s,
            )
        )

    def score(
        self,
        name: str,
        *,
        stage: str,
        function: ScoreFunction,
        threshold: float | None = None,
        direction: str = "max",
        every: int | str = 1,
        needs: Iterable[str] = (),
        limit_s: float = 600.0,
    ) -> None:
        """Judge the committed results of a stage as they grow.

        Parameters
        ----------
        name, stage, threshold, direction
            As for `Score`. Promise is judged by the first one with a threshold.
        function : callable
            ``function(results, partial) -> float``, or ``(value, sd)``, an array of
            members or blocks, or a `Judged`; pure. Runs on a node, in a process of
            its own; may be asked again where the driver died before its answer.
        every : int or str
            At every how-many-th segment, or a frequency of model time such as
            ``"5YS"``; always at the last segment too.
        needs : iterable of str
            Stages whose results it reads too, as ``partial.needs``.
        limit_s : float
            Seconds after which it is given up and the campaign goes on without.
        """
        self.scores.append(
            Score(
                name=name,
                stage=stage,
                function=function,
                threshold=threshold,
                direction=direction,
                every=every,
                needs=tuple(needs),
                limit_s=limit_s,
            )
        )

    def remedy(
        self, change: Callable[[BlowUp], Retry | None], *, tries: int = 3
    ) -> None:
        """Say what is done when the numbers of a simulation blow up.

        Parameters
        ----------
        change : callable
            ``change(blow_up) -> Retry or None``; see `Remedy`. Of `climorch.rules`:
            ``Retry(params={"dt": 900}, reseed=True, back=2)``.
        tries : int
            How often, before it gets beyond the place where it blew up, >= 1.
        """
        self.on_blow_up = Remedy(change=change, tries=tries)

    def describe(self) -> dict[str, Any]:
        """Return the declaration as plain data, for logs and provenance."""
        return {
            "name": self.name,
            "stages": [stage.name for stage in self.stages],
            "rules": [rule.name for rule in self.rules],
            "scores": [score.name for score in self.scores],
            "templates": [template.name for template in self.templates],
        }
