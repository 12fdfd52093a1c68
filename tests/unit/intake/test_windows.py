"""What a user may say of maintenance and reservations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.errors import InvalidInputError, NotFoundError
from climorch.intake.windows import Asked, make_window
from climorch.model import events as e
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.scenario import Scenario
from climorch.model.windows import Window

# 2026-12-01 00:00 UTC.
NOW_S = 1_796_083_200.0
HOUR_S = 3600.0
HOLDERS = ("default", "potsdam", "geomar", "m01", "m02")


def up(*nodes: str, drained: tuple[str, ...] = ()) -> CampaignState:
    """Nodes that are up; m01 is a simulation of potsdam, m02 one of geomar."""
    state = CampaignState()
    for name, project in (("m01", "potsdam"), ("m02", "geomar")):
        apply(
            state,
            e.SimulationSubmitted(
                simulation=name,
                scenario=Scenario(name, project=project),
                plan=SimulationPlan(
                    workflow="w",
                    stages=(StagePlan(name="a", calendar="noleap", boundaries=(0, 1)),),
                ),
            ),
            0.0,
        )
    for node in nodes:
        apply(state, e.NodeJoined(node=node, cores=1, memory_bytes=0), 0.0)
    for node in drained:
        apply(state, e.DrainRequested(node=node), 0.0)
    return state


FOUR = ("n0", "n1", "n2", "n3")


def hours(start: float, stop: float, nodes: Any = "n0", **more: Any) -> Window:
    """A window that was declared, from and to so many hours from now."""
    named = (nodes,) if isinstance(nodes, str) else nodes
    return Window(
        name=more.pop("name", "old"),
        start_s=NOW_S + start * HOUR_S,
        stop_s=NOW_S + stop * HOUR_S,
        nodes=() if isinstance(named, int) else tuple(named),
        count=named if isinstance(named, int) else 0,
        **more,
    )


def make(
    nodes: Any,
    start: Any = NOW_S + HOUR_S,
    stop: Any = NOW_S + 2 * HOUR_S,
    *,
    state: CampaignState | None = None,
    windows: tuple[Window, ...] = (),
    **more: Any,
) -> Window:
    """Ask for a window, by default in one hour and for one."""
    return make_window(
        Asked(nodes=nodes, start=start, stop=stop, **more),
        state=up(*FOUR) if state is None else state,
        windows={window.name: window for window in windows},
        holders=HOLDERS,
        now_s=NOW_S,
    )


def places(error: pytest.ExceptionInfo[InvalidInputError]) -> list[str]:
    """Where the faults are."""
    return [fault.place for fault in error.value.faults]


@pytest.mark.parametrize(
    "moment",
    [
        NOW_S + HOUR_S,
        int(NOW_S + HOUR_S),
        datetime(2026, 12, 1, 1, tzinfo=UTC),
        datetime(2026, 12, 1, 2, tzinfo=timezone(timedelta(hours=1))),
        "2026-12-01T02:00+01:00",
        "2026-12-01T01:00:00Z",
    ],
)
def test_times_are_dates_with_a_zone_or_seconds_or_text(moment: Any) -> None:
    """All ways to say one o'clock UTC are the same."""
    assert make("n0", moment).start_s == NOW_S + HOUR_S


@pytest.mark.parametrize(
    ("moment", "problem"),
    [
        (datetime(2026, 12, 1, 1), "has no time zone"),  # noqa: DTZ001 - the fault
        ("2026-12-01T01:00", "has no time zone"),
        ("tomorrow", "Invalid isoformat string"),
        (float("nan"), "which is no time"),
        (1e15, "which is no time"),
        (date(2026, 12, 1), "got datetime.date"),
        (True, "got True"),
        (None, "got None"),
    ],
)
def test_other_times_are_faults(moment: Any, problem: str) -> None:
    """Above all dates of which nobody knows in which time zone."""
    with pytest.raises(InvalidInputError, match=problem) as error:
        make("n0", moment)
    assert places(error) == ["start"]
    assert "tzinfo=UTC" in error.value.faults[0].remedy


@pytest.mark.parametrize(
    ("nodes", "names", "count"),
    [
        ("n1", ("n1",), 0),
        (["n1", "n0"], ("n1", "n0"), 0),
        ((n for n in ("n2",)), ("n2",), 0),
        (3, (), 3),
        ("all", (), 0),
        (None, (), 0),
    ],
)
def test_nodes_are_names_or_a_number_or_all(
    nodes: Any, names: tuple[str, ...], count: int
) -> None:
    """One name or several, how many, or the whole site."""
    window = make(nodes)
    assert (window.nodes, window.count) == (names, count)


@pytest.mark.parametrize(
    "nodes", [0, -1, True, [], ["n0", "n0"], [""], [7], "", 1.5, {"n0": 1}, "a\nb"]
)
def test_other_nodes_are_a_fault(nodes: Any) -> None:
    """Nothing, less than nothing, or what is no name."""
    with pytest.raises(InvalidInputError) as error:
        make(nodes)
    assert places(error) == ["nodes"]


def test_all_faults_are_told_at_once() -> None:
    """Each with its place and its remedy."""
    with pytest.raises(InvalidInputError, match="this reservation cannot") as error:
        make(
            ["n0", "nowhere"],
            NOW_S - HOUR_S,
            NOW_S - 2 * HOUR_S,
            holder="nobody",
            name="../x",
        )
    assert places(error) == ["stop", "stop", "holder", "name", "nodes"]
    told = str(error.value)
    assert "2026-11-30 22:00:00 UTC is not after the start, 2026-11-30 23:00" in told
    assert "2026-11-30 22:00:00 UTC is past; it is 2026-12-01 00:00:00 UTC" in told
    assert "'nobody' is neither a project nor a simulation; there are" in told
    assert "'nowhere': not known; these are: ['n0', 'n1', 'n2', 'n3']" in told


def test_a_window_that_has_begun_may_be_declared() -> None:
    """Only one that is over is past."""
    assert make("n0", NOW_S - HOUR_S, NOW_S + 1).start_s == NOW_S - HOUR_S


def test_a_window_of_more_than_a_year_is_a_drain() -> None:
    """The remedy says so."""
    with pytest.raises(InvalidInputError, match="it takes 400 days") as error:
        make("n0", NOW_S, NOW_S + 400 * 86_400)
    assert "drain" in error.value.faults[0].remedy


def test_nodes_that_are_not_up_are_not_found() -> None:
    """While nodes are up; without a driver nobody knows."""
    with pytest.raises(NotFoundError, match="'n9': not known; these are"):
        make(["n0", "n9"])
    assert make(["n0", "n9"], state=CampaignState()).nodes == ("n0", "n9")
    assert make("n9", state=up("n0", drained=("n9",))).nodes == ("n9",)


def test_a_node_that_is_down_now_may_be_serviced() -> None:
    """It was up: its name is known."""
    state = up("n0", "n1")
    apply(state, e.NodeLost(node="n1"), 1.0)
    assert make("n1", state=state).nodes == ("n1",)


def test_more_nodes_than_are_up_are_a_fault() -> None:
    """A drained one is none; without a driver nobody knows."""
    with pytest.raises(InvalidInputError, match="4 nodes are asked for, 3 are up"):
        make(4, state=up(*FOUR, drained=("n3",)), holder="potsdam")
    assert make(400, state=CampaignState(), holder="potsdam").count == 400


@pytest.mark.parametrize(
    ("other", "left"),
    [
        (hours(0, 3, ("n0", "n1")), 2),
        (hours(0, 3, 2, holder="geomar"), 2),
        (hours(0, 3, ()), 0),
    ],
)
def test_nodes_of_other_windows_cannot_be_chosen(other: Window, left: int) -> None:
    """Where too few are left at that time, the others are named."""
    with pytest.raises(InvalidInputError, match=rf"3 nodes .* {left} of the 4 .*'old'"):
        make(3, windows=(other,))
    if left:
        assert make(left, windows=(other,)).count == left
    assert make(3, NOW_S + 3 * HOUR_S, NOW_S + 4 * HOUR_S, windows=(other,)).count == 3


def test_maintenance_may_overlap_maintenance() -> None:
    """The same nodes under another name: two people service them."""
    assert make("n0", windows=(hours(0, 3),)).nodes == ("n0",)
    assert make("all", windows=(hours(0, 3, ()),)).nodes == ()


@pytest.mark.parametrize(
    ("one", "two"), [("potsdam", "potsdam"), ("potsdam", "m01"), ("m01", "potsdam")]
)
def test_a_project_and_its_simulation_may_hold_the_same_node(
    one: str, two: str
) -> None:
    """Nobody is left without it."""
    assert make("n0", holder=one, windows=(hours(0, 3, holder=two),)).holder == one


@pytest.mark.parametrize(
    ("nodes", "other", "told"),
    [
        (["n0", "n1"], hours(0, 3, ("n1", "n2"), holder="geomar"), "n1 is kept for"),
        (
            ["n0", "n1"],
            hours(0, 3, ("n0", "n1"), holder="m02"),
            "n0, n1: they are kept for m02",
        ),
        ("all", hours(0, 3, holder="geomar"), "nodes are kept for geomar"),
        ("n0", hours(0, 3, (), holder="geomar"), "nodes are kept for geomar"),
    ],
)
def test_a_node_is_not_kept_for_two(nodes: Any, other: Window, told: str) -> None:
    """Two hard reservations of one node for holders that do not share it."""
    with pytest.raises(InvalidInputError, match=told) as error:
        make(nodes, holder="potsdam", windows=(other,))
    assert "withdraw that window" in str(error.value)


def test_reservations_of_other_nodes_or_times_or_soft_ones_do_not_collide() -> None:
    """They leave each other alone."""
    for other in (
        hours(0, 3, "n1", holder="geomar"),
        hours(2, 3, "n0", holder="geomar"),
        hours(0, 3, "n0", holder="geomar", hard=False),
        hours(0, 3, 1, holder="geomar"),
    ):
        assert make("n0", holder="potsdam", windows=(other,)).nodes == ("n0",)


@pytest.mark.parametrize(
    ("nodes", "windows"),
    [
        ("n0", (hours(1.5, 3, holder="m01"),)),
        ("all", (hours(1.5, 3, ("n0", "n1"), holder="m01"),)),
        ("all", (hours(0, 3, 2, holder="m01"),)),
        (
            "n0",
            (
                hours(0, 3, ("n0", "n1"), holder="m01"),
                hours(1, 3, "n1", name="first"),
            ),
        ),
    ],
)
def test_maintenance_leaves_every_holder_a_node(
    nodes: Any, windows: tuple[Window, ...]
) -> None:
    """Where a reservation would have none at some moment, both are named."""
    with pytest.raises(
        InvalidInputError, match="leaves m01 none of the nodes kept for it by window"
    ):
        make(nodes, windows=windows)
    # What runs at a soft start goes on, and other times are free.
    assert make(nodes, hard=False, windows=windows).hard is False
    later = make(nodes, NOW_S + 3 * HOUR_S, NOW_S + 4 * HOUR_S, windows=windows)
    assert later.start_s == NOW_S + 3 * HOUR_S


def test_a_reservation_of_nodes_that_are_serviced_is_a_fault() -> None:
    """With the moment from which on none is left; one node is enough."""
    serviced = hours(1.5, 3)
    with pytest.raises(
        InvalidInputError, match="for it from 2026-12-01 01:30:00 UTC on; leave it"
    ):
        make("n0", holder="m01", windows=(serviced,))
    assert make(["n0", "n1"], holder="m01", windows=(serviced,)).holder == "m01"


def test_windows_that_are_over_do_not_matter() -> None:
    """They may not have been cleared away yet."""
    past = hours(-3, 0, holder="geomar")
    assert make("n0", NOW_S - HOUR_S, holder="potsdam", windows=(past,)).nodes


def test_a_window_without_a_name_is_named_after_its_start() -> None:
    """A second one at that time gets a number."""
    first = make("n0")
    second = make("n1", windows=(first,))
    kept = make("n2", holder="potsdam", windows=(first, second))
    assert [w.name for w in (first, second, kept)] == [
        "maintenance-20261201T010000Z",
        "maintenance-20261201T010000Z-2",
        "reservation-20261201T010000Z",
    ]


def test_the_same_words_again_are_the_same_window() -> None:
    """Also where its nodes were chosen meanwhile; so a script may be run again."""
    named = make(["n0", "n1"], name="w")
    assert make(["n1", "n0"], windows=(named,)) == named
    chosen = hours(1, 2, ("n2", "n3"), name="w", holder="potsdam")
    assert make(2, holder="potsdam", name="w", windows=(chosen,)) == chosen
    assert make(2, holder="potsdam", windows=(chosen,)) == chosen
    waits = hours(1, 2, 2, name="w")
    assert make(2, windows=(waits,)) == waits


def test_a_window_is_changed_by_its_name() -> None:
    """What it was before is in nobody's way."""
    before = hours(1, 2, "n0", name="w", holder="potsdam")
    after = make("n0", name="w", holder="geomar", windows=(before,))
    assert (after.name, after.holder) == ("w", "geomar")
