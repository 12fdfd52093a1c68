"""The live engine decides what the twin foretold: one core, two drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from climorch import EverySegments, Policies, Project, Protection, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.windows import Window
from tests.live.cases import policies
from tests.live.stepping import Script, Stage, Told, foretell, stepped

SHOWN = 3


def scenario(name: str, **more: object) -> Scenario:
    """Make a scenario whose steps know its name."""
    return Scenario(name, params={"name": name}, **more)  # type: ignore[arg-type]


ONE = stepped("one", "box", segments=5)
PAIR = stepped("pair", "air", "sea", segments=4)
GANG = stepped("gang", "box", segments=5, nodes=2)
WIDE = stepped("wide", "box", segments=6, most=3)

CONTEST = Script(
    submitted=(
        (WIDE, scenario("wide", project="ocean")),
        (GANG, scenario("gang", project="land", priority=1)),
        (PAIR, scenario("kept", project="ocean", protection=Protection(level=1))),
        (ONE, scenario("last", project="land", priority=-1)),
    ),
    projects=(Project("ocean", share=3.0), Project("land", share=1.0)),
    seconds={"wide": 101.3, "gang": 67.9, "kept": 83.1, "last": 71.7},
    policies=policies(every=2),
    wishes=((250.5, e.PriorityRequested(simulation="last", priority=9)),),
)
SCRIPTS = {"contest": CONTEST}


def decisions(told: Iterable[Told], begin_s: float) -> dict[str, list[str]]:
    """Return all that was decided, in words, by simulation; "" is about none."""
    found: dict[str, list[str]] = defaultdict(list)
    for now_s, record in told:
        if isinstance(record, e.Fact):
            continue
        words = msgspec.to_builtins(record)
        kind, name = words.pop("type"), words.pop("simulation", "")
        if isinstance(record, c.RolledBack):
            words["lost_s"] = round(record.lost_s, 3)
        if isinstance(record, c.AbandonAttempt) and record.retry_at_s:
            words["retry_at_s"] = round(record.retry_at_s - begin_s, 3)
        line = " ".join(f"{key}={value}" for key, value in words.items())
        found[name].append(f"{now_s - begin_s:.3f} {kind} {line}")
    return found


def differences(
    twin: dict[str, list[str]], live: dict[str, list[str]], parted: str
) -> str:
    """Say where each simulation's decisions first differ, with what was before."""
    lines = [f"the live run stopped: {parted}"] if parted else []
    for name in sorted(twin.keys() | live.keys()):
        one, two = twin.get(name, []), live.get(name, [])
        at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
        if at == len(one) == len(two) or (parted and at == len(two)):
            continue
        lines.append(f"{name or 'windows'}: decision {at} differs")
        lines += [f"   both {line}" for line in one[max(at - SHOWN, 0) : at]]
        lines += [f"   twin {line}" for line in one[at : at + SHOWN]]
        lines += [f"   live {line}" for line in two[at : at + SHOWN]]
    return "\n".join(lines)


def compare(
    script: Script,
    rules: Policies,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, dict[str, list[str]]]:
    """Run a script in the twin by some rules, live by its own; tell differences."""
    campaign = script.campaign(root)
    forecast = foretell(script, campaign, rules)
    stage = Stage(forecast.begin_s, monkeypatch)
    live, parted = stage.lead(campaign, script, forecast)
    twin = decisions(forecast.records, forecast.begin_s)
    return differences(twin, decisions(live, forecast.begin_s), parted), twin


@pytest.mark.parametrize("name", SCRIPTS)
def test_live_decides_what_the_twin_foretold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every decision on every simulation, with its nodes, reason and time."""
    script = SCRIPTS[name]

    told, twin = compare(script, script.policies, tmp_path, monkeypatch)

    for n, lines in twin.items():
        print(n, *lines, sep="\n  ")
    assert told == ""
