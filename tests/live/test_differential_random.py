"""Live and twin decide alike in campaigns that nobody thought of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from climorch import Protection, Scenario, Sharing, Workflow
from climorch.model import events as e
from tests.live.cases import policies
from tests.live.forecasts import Script
from tests.live.gates import stepped
from tests.live.test_differential import LAND, OCEAN, compare, scenario, window

Submission = tuple[Workflow, Scenario]


def submission(name: str, draw: np.random.Generator) -> Submission:
    """One or two stages on one to three nodes, of some project and standing."""
    stages = ("air", "sea") if draw.random() < 0.3 else ("box",)
    workflow = stepped(
        f"flow-{name}",
        *stages,
        segments=int(draw.integers(3, 7)),
        nodes=int(draw.integers(1, 3)),
        most=3 if draw.random() < 0.5 else None,
    )
    protection = Protection(
        level=int(draw.integers(2)),
        exempt_for_s=float(draw.choice([0.0, 200.0])),
        max_preemptions=(None, 0, 1)[int(draw.integers(3))],
    )
    return workflow, scenario(
        name,
        project=str(draw.choice(["ocean", "land"])),
        priority=int(draw.integers(-2, 3)),
        protection=protection,
    )


def wishes(
    kind: int, name: str, node: str, draw: np.random.Generator
) -> list[tuple[float, e.Wish]]:
    """What the user wants of a simulation or a node, and takes back later."""
    at_s = float(draw.uniform(10, 400))
    later_s = at_s + float(draw.uniform(50, 300))
    begins_s = at_s + float(draw.uniform(20, 300))
    closed = window(f"on-{node}", begins_s, begins_s + later_s - at_s, node)
    match kind:
        case 0:
            priority = int(draw.integers(-5, 10))
            return [(at_s, e.PriorityRequested(simulation=name, priority=priority))]
        case 1:
            return [
                (at_s, e.PauseRequested(simulation=name)),
                (later_s, e.ResumeRequested(simulation=name)),
            ]
        case 2:
            return [
                (at_s, e.DrainRequested(node=node)),
                (later_s, e.UndrainRequested(node=node)),
            ]
        case 3:
            hard = bool(draw.integers(2))
            serviced = msgspec.structs.replace(closed, hard=hard)
            return [(at_s, e.WindowDeclared(window=serviced))]
        case _:
            kept = msgspec.structs.replace(closed, holder=name)
            return [(at_s, e.WindowDeclared(window=kept))]


def drawn(seed: int) -> Script:
    """Draw a campaign on four nodes, of which one may die and come back."""
    draw = np.random.default_rng(seed)
    early, late = [submission("a", draw)], []
    for name in "bcd":
        if draw.random() < 0.3:
            late.append((float(draw.uniform(20, 300)), *submission(name, draw)))
        else:
            early.append(submission(name, draw))
    known = [given.name for _, given in early]
    # Each wish about a node of its own, none of them dies: the API knows no others.
    asked = [
        wish
        for node in ("node000", "node001", "node002")
        for wish in wishes(int(draw.integers(5)), str(draw.choice(known)), node, draw)
    ]
    dies_s = float(draw.uniform(50, 300))
    back_s = dies_s + float(draw.uniform(20, 200))
    rules = policies(every=int(draw.integers(1, 4)), keep=int(draw.choice([1, 2, 10])))
    sharing = Sharing(
        half_life_s=900.0,
        min_run_s=float(draw.choice([50.0, 150.0, 1e5])),
        slice_s=float(draw.choice([100.0, 230.0, 1e5])),
    )
    return Script(
        submitted=tuple(early),
        late=tuple(late),
        projects=(OCEAN, LAND),
        nodes=4,
        policies=replace(rules, sharing=sharing),
        seconds={name: float(draw.uniform(40, 110)) for name in "abcd"},
        wishes=tuple(asked),
        down=(("node003", dies_s, back_s),) if draw.random() < 0.5 else (),
    )


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(s, marks=pytest.mark.benchmark) for s in (2, 3))]
)
def test_live_decides_what_the_twin_foretold_of_any_campaign(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares, turns, protection, windows, drains, pauses, deaths, late arrivals."""
    script = drawn(seed)

    told, twin = compare(script, script.policies, tmp_path, monkeypatch)

    assert told == ""
    assert twin.keys() >= set("abcd")
