"""The live engine decides what the twin foretold: one core, two drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from climorch import Policies, Project, Protection, Scenario, Sharing
from climorch.engine.attempt import Attempt
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.windows import Window
from climorch.storage.checkpoints import Checkpoint
from tests.live.cases import policies
from tests.live.forecasts import Script, Told, foretell
from tests.live.gates import stepped
from tests.live.stepping import Conductor

SHOWN = 3


def scenario(name: str, **more: object) -> Scenario:
    """Make a scenario whose steps know its name."""
    return Scenario(name, params={"name": name}, **more)  # type: ignore[arg-type]


def window(
    name: str, start_s: float, stop_s: float, *nodes: str, **more: str
) -> Window:
    """Make a window, in seconds from the beginning."""
    return Window(name=name, start_s=start_s, stop_s=stop_s, nodes=nodes, **more)  # type: ignore[arg-type]


ONE = stepped("one", "box", segments=5)
PAIR = stepped("pair", "air", "sea", segments=4)
GANG = stepped("gang", "box", segments=5, nodes=2)
LONG = stepped("long", "box", segments=8)
WIDE = stepped("wide", "box", segments=6, most=3)

RULES = policies(every=2)
TURNS = replace(
    RULES, sharing=Sharing(half_life_s=900.0, min_run_s=150.0, slice_s=230.0)
)
OCEAN, LAND = Project("ocean", share=3.0), Project("land", share=1.0)
SECONDS = {"wide": 101.3, "gang": 67.9, "kept": 83.1, "last": 71.7, "late": 59.3}

SCRIPTS = {
    # One borrows before all nodes are there and is sent away; a new priority.
    "contest": Script(
        submitted=(
            (WIDE, scenario("wide", project="ocean")),
            (GANG, scenario("gang", project="land", priority=1)),
            (PAIR, scenario("kept", project="ocean", protection=Protection(level=1))),
            (ONE, scenario("last", project="land", priority=-1)),
        ),
        projects=(OCEAN, LAND),
        seconds=SECONDS,
        policies=RULES,
        wishes=((250.5, e.PriorityRequested(simulation="last", priority=9)),),
    ),
    # It grows onto what is free, gives it back to a late one, grows again, rests.
    "malleable": Script(
        submitted=(
            (WIDE, scenario("wide", project="ocean")),
            (ONE, scenario("kept", project="land", protection=Protection(level=2))),
        ),
        late=((41.7, GANG, scenario("late", project="land", priority=3)),),
        projects=(OCEAN, LAND),
        seconds=SECONDS,
        nodes=4,
        policies=RULES,
        wishes=(
            (145.1, e.PauseRequested(simulation="kept")),
            (333.3, e.ResumeRequested(simulation="kept")),
        ),
    ),
    # A node of the gang dies in mid-segment and comes back; another one dies idle.
    "deaths": Script(
        submitted=(
            (GANG, scenario("gang", project="land", priority=1)),
            (ONE, scenario("kept", project="ocean", protection=Protection(level=1))),
            (WIDE, scenario("wide", project="ocean")),
        ),
        projects=(OCEAN, LAND),
        seconds=SECONDS,
        nodes=4,
        policies=RULES,
        down=(
            ("node000", 171.9, 391.1),
            ("node003", 231.7, 501.3),
            ("node001", 433.9, 466.7),
        ),
    ),
    # A node is drained, one is serviced, one is kept for the last in line.
    "windows": Script(
        submitted=(
            (ONE, scenario("kept", project="ocean", protection=Protection(level=1))),
            (WIDE, scenario("wide", project="ocean")),
            (GANG, scenario("gang", project="land")),
            (ONE, scenario("last", project="land", priority=-5)),
        ),
        projects=(OCEAN, LAND),
        seconds=SECONDS,
        nodes=4,
        policies=RULES,
        wishes=(
            (50.3, e.DrainRequested(node="node000")),
            (60.7, e.WindowDeclared(window=window("power", 420.0, 540.0, "node001"))),
            (
                61.9,
                e.WindowDeclared(
                    window=window("kept-free", 260.0, 700.0, "node002", holder="last")
                ),
            ),
            (222.1, e.UndrainRequested(node="node000")),
        ),
    ),
    # Equals take turns, and projects give nodes back: by the clock of both.
    "turns": Script(
        submitted=(
            (LONG, scenario("wide", project="ocean")),
            (LONG, scenario("kept", project="ocean")),
            (LONG, scenario("last", project="land")),
            (LONG, scenario("late", project="land")),
        ),
        projects=(OCEAN, LAND),
        seconds=SECONDS,
        nodes=2,
        policies=TURNS,
    ),
}
MEANT = {
    "contest": {("last", "PreemptPlanned"), ("kept", "SegmentCommitted")},
    "malleable": {("wide", "ShrinkPlanned"), ("late", "SetLease")},
    "deaths": {("gang", "RolledBack"), ("wide", "RolledBack"), ("kept", "RolledBack")},
    "windows": {("", "WindowEnded"), ("last", "PreemptPlanned")},
    "turns": {("last", "PreemptPlanned"), ("kept", "PreemptPlanned")},
}


def decisions(told: Iterable[Told], begin_s: float) -> dict[str, list[str]]:
    """Return all that was decided, in words, by simulation; "" is about none."""
    found: dict[str, list[str]] = defaultdict(list)
    for now_s, record in told:
        if isinstance(record, e.Fact):
            continue
        words = msgspec.to_builtins(record)
        kind, name = words.pop("type"), words.pop("simulation", "")
        if isinstance(record, c.DeleteCheckpoint):
            # The twin writes no files.
            words.pop("bytes")
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
    """Say where each simulation's decisions first differ, the earliest first."""
    found = []
    for name in twin.keys() | live.keys():
        one, two = twin.get(name, []), live.get(name, [])
        pairs = enumerate(zip(one, two, strict=False))
        least = min(len(one), len(two))
        at = next((i for i, (a, b) in pairs if a != b), least)
        # Where the live run was stopped, the rest of the twin's says nothing.
        if at < least or (len(one) != len(two) and not (parted and at == len(two))):
            lines = [f"{name or 'windows'}: decision {at} differs"]
            lines += [f"   both {line}" for line in one[max(at - SHOWN, 0) : at]]
            lines += [f"   twin {line}" for line in one[at : at + SHOWN]]
            lines += [f"   live {line}" for line in two[at : at + SHOWN]]
            begun_s = min(
                float(told[at].split()[0]) for told in (one, two) if told[at:]
            )
            found.append((begun_s, name, lines))
    stopped = [f"the live run stopped: {parted}"] if parted else []
    return "\n".join([*(x for _, _, lines in sorted(found) for x in lines), *stopped])


def compare(
    script: Script,
    rules: Policies,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, dict[str, list[str]]]:
    """Run a script in the twin by some rules, live by its own; tell differences."""
    campaign = script.campaign(root)
    forecast = foretell(script, campaign, rules)
    conductor = Conductor(forecast.begin_s, monkeypatch)
    live, parted = conductor.lead(campaign, script, forecast)
    twin = decisions(forecast.records, forecast.begin_s)
    return differences(twin, decisions(live, forecast.begin_s), parted), twin


def words(told: dict[str, list[str]]) -> set[tuple[str, str]]:
    """Return what kinds of decisions there are, by simulation."""
    return {(name, line.split()[1]) for name, lines in told.items() for line in lines}


@pytest.mark.parametrize("name", SCRIPTS)
def test_live_decides_what_the_twin_foretold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every decision on every simulation, with its nodes, reason and time."""
    script = SCRIPTS[name]

    told, twin = compare(script, script.policies, tmp_path, monkeypatch)

    assert told == ""
    # Not about nothing: what the script is there for was decided.
    assert words(twin) >= MEANT[name]


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        (
            "contest",
            policies(every=3),
            [
                "wide: decision 4 differs",
                "   both 1.000 StartAttempt set=box attempt=1 boundary=0",
                "   both 1.000 StartSegment stage=box segment=0 attempt=1",
                "   both 102.300 StartSegment stage=box segment=1 attempt=1",
                "   twin 203.600 StartSegment stage=box segment=2 attempt=1",
                "   twin 304.900 CheckpointPlanned set=box boundary=3 why=every 3 "
                "boundaries asked=True binds=",
                "   twin 304.900 BeginCheckpoint set=box boundary=3 attempt=1 "
                "full=True held=False why=every 3 boundaries",
                "   live 203.600 CheckpointPlanned set=box boundary=2 why=every 2 "
                "boundaries asked=True binds=",
            ],
        ),
        (
            "turns",
            replace(TURNS, sharing=replace(TURNS.sharing, min_run_s=1e6)),
            [
                "last: decision 10 differs",
                "   both 145.400 SegmentCommitted stage=box segment=0",
                "   both 145.400 SegmentCommitted stage=box segment=1",
                "   both 145.400 PublishResults set=box boundary=2",
                "   twin 217.100 StartSegment stage=box segment=3 attempt=1",
                "   twin 232.000 PreemptPlanned why=it is the turn of late",
                "   twin 232.000 CheckpointPlanned set=box boundary=4 why=it is the "
                "turn of late asked=False binds=",
                "   live 152.000 PreemptPlanned why=project ocean is below its share: "
                "kept",
            ],
        ),
    ],
)
def test_other_rules_on_one_side_are_told_apart(
    name: str,
    other: Policies,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which simulation, its first decision that differs, and what both sides did."""
    told, _ = compare(SCRIPTS[name], other, tmp_path, monkeypatch)

    assert told.splitlines()[: len(expected)] == expected


def test_an_engine_that_acts_otherwise_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same rules, but a live attempt breaks where none did in the twin."""
    real = Attempt.restore

    async def restore(attempt: Attempt, checkpoint: Checkpoint, boundary: int) -> int:
        if attempt.simulation == "last" and attempt.number == 2:
            raise OSError("the file system is away")
        return await real(attempt, checkpoint, boundary)

    monkeypatch.setattr(Attempt, "restore", restore)

    told, _ = compare(SCRIPTS["contest"], RULES, tmp_path, monkeypatch)

    lines = told.splitlines()
    assert lines[0] == "last: decision 12 differs"
    assert lines[4] == "   twin 529.088 StartSegment stage=box segment=1 attempt=2"
    assert lines[7].startswith("   live 529.088 AbandonAttempt set=box attempt=2")
    # The driver wakes by itself to try again; the twin has nothing of that.
    assert lines[8] == "   live 529.138 StartAttempt set=box attempt=3 boundary=1"
