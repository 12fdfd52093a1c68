"""Steps that misbehave: hang, wait for each other, kill their node, blow up.

Put around the steps of any workflow of functions: in one segment a task does what
it should not, so many times in all, and from then on what it should. Each strike
leaves a file, so that a test knows that it was struck. Linux only.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from climorch.engine.worker import node_here
from climorch.errors import Fault, InvalidInputError
from climorch.model.advance import Advance, Segment
from climorch.model.workflow import Workflow

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ALWAYS", "KINDS", "Misdeed", "misbehaving", "strikes", "struck_s"]

ALWAYS = 10**6
"""More tries than any campaign has."""

# Values beyond what any of the small models reaches.
FAR = 1e9
POLL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Misdeed:
    """What a task does in one segment of a stage.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    stage : str
        Whose segment.
    segment : int
        Which, from 0.
    times : int
        How often in all, >= 1; then it behaves.
    node : str
        Of a ``"bad node"``: on which it happens, whoever computes there.
    beside : str
        Of a ``"coupled deadlock"``: the stage for which it waits, and which
        waits for it.
    params : mapping
        Parameters that a scenario must have to be struck; empty: any.
    by : str
        Parameter by whose value strikes are counted; empty: by stage.
    """

    kind: str
    stage: str = "sea"
    segment: int = 2
    times: int = 1
    node: str = ""
    beside: str = "air"
    params: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""

    def __post_init__(self) -> None:
        """Refuse what could never happen."""
        if self.kind not in KINDS:
            raise InvalidInputError(
                "there is no such misdeed",
                faults=[
                    Fault(
                        place="Misdeed.kind",
                        problem=f"got {self.kind!r}",
                        remedy=f"use one of {sorted(KINDS)}",
                    )
                ],
            )

    def concerns(
        self, stage: str, segment: int, params: Mapping[str, Any] | None = None
    ) -> bool:
        """Whether a segment, computed with parameters, may be struck."""
        given = params or {}
        if any(given.get(name) != value for name, value in self.params.items()):
            return False
        if self.kind == "bad node":
            return True
        stages = [self.stage]
        if self.kind == "coupled deadlock":
            stages.append(self.beside)
        return stage in stages and segment == self.segment


def misbehaving(
    workflow: Workflow, misdeed: Misdeed, folder: str | Path, *, variable: str = "heat"
) -> Workflow:
    """Return a workflow one of whose steps misbehaves.

    Parameters
    ----------
    workflow : Workflow
        Its steps are functions that return an `Advance`.
    misdeed : Misdeed
        What it does.
    folder : path
        Where strikes are counted; on this machine, seen by all nodes.
    variable : str
        Field in whose first block it happens; on a bad node in any.

    Returns
    -------
    Workflow
        Of the same name.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    made = Workflow(workflow.name, templates=workflow.templates)
    made.rules = list(workflow.rules)
    made.on_blow_up = workflow.on_blow_up
    made.stages = [
        replace(
            stage,
            step=functools.partial(
                _step,
                inner=stage.step,
                stage=stage.name,
                misdeed=misdeed,
                folder=str(folder),
                variable=variable,
            ),
        )
        for stage in workflow.stages
    ]
    return made


def strikes(folder: str | Path) -> int:
    """Return how often a misdeed was done so far."""
    return len(list(Path(folder).glob("strike-*")))


def struck_s(folder: str | Path) -> float:
    """Return when it was done first, in seconds since 1970; 0: not yet."""
    return min(
        (path.stat().st_mtime for path in Path(folder).glob("strike-*")), default=0.0
    )


def _step(
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    *,
    inner: Any,
    stage: str,
    misdeed: Misdeed,
    folder: str,
    variable: str,
) -> Advance:
    advance: Advance = inner(state, inputs, segment)
    if not misdeed.concerns(stage, segment.index, segment.params):
        return advance
    struck = advance.state[variable]
    held = struck.data.map_blocks(
        _struck,
        misdeed=misdeed,
        stage=stage,
        counted_as=str(segment.params[misdeed.by]) if misdeed.by else stage,
        folder=folder,
        # With `meta`, lest Dask try the function while it builds the graph.
        meta=np.empty((0,) * struck.ndim, dtype=struck.dtype),
    )
    return replace(
        advance, state=advance.state.assign({variable: struck.copy(data=held)})
    )


def _struck(
    block: Any,
    misdeed: Misdeed,
    stage: str,
    counted_as: str,
    folder: str,
    block_id: tuple[int, ...],
) -> Any:
    # A bad node is bad whichever block it computes.
    other = any(block_id) and misdeed.kind != "bad node"
    if other or not _here(misdeed) or not _counted(misdeed, counted_as, folder):
        return block
    return KINDS[misdeed.kind](np.array(block), misdeed, stage, folder)


def _here(misdeed: Misdeed) -> bool:
    return not misdeed.node or node_here()[0] == misdeed.node


def _counted(misdeed: Misdeed, counted_as: str, folder: str) -> bool:
    """Take one of the strikes that are left, if any is; among all processes."""
    for number in itertools.count():
        if number >= misdeed.times:
            return False
        with suppress(FileExistsError):
            path = Path(folder, f"strike-{counted_as}-{number}")
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            path.write_text(f"{os.getpid()} {time.time()}")
            return True
    return False


def _sleeps(block: Any, misdeed: Misdeed, stage: str, folder: str) -> Any:
    while True:
        time.sleep(POLL_S)


def _holds_the_lock(block: Any, misdeed: Misdeed, stage: str, folder: str) -> Any:
    # One call that never returns to the interpreter: no other thread runs any more.
    return sum(itertools.repeat(0))


def _computes_in_c(block: Any, misdeed: Misdeed, stage: str, folder: str) -> Any:
    while True:
        # Gives the lock back, keeps a core busy, and looks at no signal.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


def _waits_for_the_other(block: Any, misdeed: Misdeed, stage: str, folder: str) -> Any:
    # Each sends its halo once it has the other's.
    other = misdeed.stage if stage == misdeed.beside else misdeed.beside
    while not Path(folder, f"halo-of-{other}").exists():
        time.sleep(POLL_S)
    Path(folder, f"halo-of-{stage}").touch()
    return block


def _kills_its_node(block: Any, misdeed: Misdeed, stage: str, folder: str) -> Any:
    if not node_here()[1]:
        raise RuntimeError("a node without a nanny may be the driver's own process")
    os.kill(os.getpid(), signal.SIGKILL)
    return block


def _gains(value: float) -> Any:
    def gains(block: Any, misdeed: Misdeed, stage: str, folder: str) -> Any:
        block.flat[0] = value
        return block

    return gains


KINDS: Mapping[str, Any] = {
    "sleeping hang": _sleeps,
    "GIL hang": _holds_the_lock,
    "C hang": _computes_in_c,
    "coupled deadlock": _waits_for_the_other,
    "poison": _kills_its_node,
    "bad node": _kills_its_node,
    "NaN": _gains(np.nan),
    "Inf": _gains(np.inf),
    "out of bounds": _gains(FAR),
}
"""Name to what a task does with its block."""
