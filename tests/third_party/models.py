"""The models of other people that tests run, and what is done to them on the way.

Each is wrapped by a class with `load`, `run` and `dump`, which imports its package when
it is made: nothing of it is needed, nor loaded, where the model does not live.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from climorch import Isolated, LiveModel, Segment, Span, Workflow
from climorch.model.steps import Model
from tests.third_party import air_columns, energy_balance, landscape

__all__ = ["MODELS", "STAGE", "VARIABLE", "Foreign", "plain", "workflow"]

STAGE = "model"

VARIABLE = "THIRD_PARTY_DISTURBED"
"""JSON in the environment: arguments of `Disturbed`.

Not params of the scenario, which never change.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A model of somebody else.

    Attributes
    ----------
    package : str
        That it comes from, as it is imported.
    build : callable
        Makes it.
    hidden : tuple of str
        Variables of its state that are no fields.
    span : mapping of str to str
        Start, frequency and calendar.
    ends : mapping of int to str
        Number of segments to the date at their end.
    """

    package: str
    build: Callable[[], Model]
    hidden: tuple[str, ...]
    span: Mapping[str, str]
    ends: Mapping[int, str]


MODELS: Mapping[str, Foreign] = {
    "energy balance": Foreign(
        package="climlab",
        build=energy_balance.EnergyBalance,
        hidden=energy_balance.HIDDEN,
        span=energy_balance.SPANS,
        ends={4: "2000-05-01", 14: "2001-03-01"},
    ),
    "landscape": Foreign(
        package="landlab",
        build=landscape.Landscape,
        hidden=landscape.HIDDEN,
        span=landscape.SPANS,
        ends={4: "1040-01-01", 14: "1140-01-01"},
    ),
    "air columns": Foreign(
        package="climt",
        build=air_columns.AirColumns,
        hidden=air_columns.HIDDEN,
        span=air_columns.SPANS,
        ends={4: "2000-01-01T06:40", 14: "2000-01-01T23:20"},
    ),
}


class Disturbed:
    """A model that somebody kills once, or that loses a part of what it is given.

    Parameters
    ----------
    model : Model
        Itself.
    forget : sequence of str
        Variables that every load leaves as they were when it was made.
    kill_at : int or None
        Segment in which its process is killed, once it has computed it.
    marker : str
        File that says that this has happened.
    pace_s : float
        Seconds that a segment takes longer, so that each has its checkpoint.
    """

    def __init__(
        self,
        model: Model,
        *,
        forget: Sequence[str] = (),
        kill_at: int | None = None,
        marker: str = "",
        pace_s: float = 0.0,
    ) -> None:
        self.model, self.forget, self.pace_s = model, forget, pace_s
        self.kill_at, self.marker = kill_at, Path(marker)
        self.fresh = model.dump().copy(deep=True)

    def load(self, state: xr.Dataset) -> None:
        """Load all but what is forgotten."""
        kept = {name: self.fresh[name] for name in self.forget}
        self.model.load(state.assign(kept))

    def run(
        self, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> Mapping[str, Any] | None:
        """Run; and die before anybody hears of it."""
        found = self.model.run(inputs, segment)
        time.sleep(self.pace_s)
        if segment.index == self.kill_at and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def dump(self) -> xr.Dataset:
        """Return what the model does."""
        return self.model.dump()


def built(name: str) -> Disturbed:
    """Make a model in its process, disturbed as the environment says."""
    given = json.loads(os.environ.get(VARIABLE, "{}"))
    return Disturbed(MODELS[name].build(), **given)


def stepped(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment, *, name: str
) -> xr.Dataset:
    """Advance by a segment in a process of its own."""
    model = built(name)
    model.load(state)
    model.run(inputs, segment)
    return model.dump()


def first(
    segment: Segment, inputs: Mapping[str, xr.Dataset], *, name: str
) -> xr.Dataset:
    """Return the state of a model that was just made."""
    return MODELS[name].build().dump()


def workflow(name: str, *, segments: int, isolated: bool = False) -> Workflow:
    """Return one stage that is a model.

    Parameters
    ----------
    name : str
        Of `MODELS`.
    segments : int
        How many, of those in its ``ends``.
    isolated : bool
        Whether a fresh process computes each segment, not one that stays.
    """
    model, wf = MODELS[name], Workflow("foreign")
    live = LiveModel(functools.partial(built, name))
    wf.stage(
        STAGE,
        Isolated(functools.partial(stepped, name=name)) if isolated else live,
        init=functools.partial(first, name=name),
        span=Span(end=model.ends[segments], **model.span),
    )
    return wf


def plain(name: str, *, segments: int) -> xr.Dataset:
    """Run a model as its authors would, in one go; return its last state."""
    model = MODELS[name].build()
    for index in range(segments):
        # None of them looks at it.
        segment = Segment(start=None, end=None, index=index)
        model.run({}, segment)
    return model.dump()
