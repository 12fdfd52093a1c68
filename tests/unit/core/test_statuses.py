"""Windows as a user sees them: of themselves, of nodes and of who waits."""

from __future__ import annotations

from climorch.core.statuses import WindowStatus, nodes_of, summarise, windows_in
from climorch.model import events as e
from climorch.model.windows import Window
from tests.unit.core.script import Script, submitted

HOUR_S = 3600.0


def declared(name: str, *nodes: str, **more: object) -> e.WindowDeclared:
    """A window of the second hour."""
    given = {"start_s": HOUR_S, "stop_s": 2 * HOUR_S, "nodes": nodes, **more}
    return e.WindowDeclared(window=Window(name=name, **given))  # type: ignore[arg-type]


def test_windows_are_listed_by_their_start_until_they_are_over() -> None:
    """Whether they are placed and have begun; their nodes say so too."""
    s = Script()
    s.nodes("n", "m")
    s.tell(
        declared("later", "m", start_s=1.5 * HOUR_S, hard=False),
        declared("kept", holder="p", count=3),
        declared("service", "n", "gone"),
    )
    state = s.orchestrator.state

    assert windows_in(state, HOUR_S) == (
        WindowStatus(
            window="kept",
            nodes=(),
            count=3,
            start_s=HOUR_S,
            stop_s=2 * HOUR_S,
            holder="p",
            hard=True,
            placed=False,
            begun=True,
        ),
        WindowStatus(
            window="service",
            nodes=("n", "gone"),
            count=0,
            start_s=HOUR_S,
            stop_s=2 * HOUR_S,
            holder=None,
            hard=True,
            placed=True,
            begun=True,
        ),
        WindowStatus(
            window="later",
            nodes=("m",),
            count=0,
            start_s=1.5 * HOUR_S,
            stop_s=2 * HOUR_S,
            holder=None,
            hard=False,
            placed=True,
            begun=False,
        ),
    )
    assert windows_in(state, 2 * HOUR_S) == ()
    assert {n.node: (n.up, n.windows) for n in nodes_of(state, HOUR_S)} == {
        "gone": (False, ("service",)),
        "m": (True, ()),
        "n": (True, ("service",)),
    }
    assert [n.windows for n in nodes_of(state, 1.5 * HOUR_S)] == [
        ("service",),
        ("later",),
        ("service",),
    ]
    assert [n.node for n in nodes_of(state, 2 * HOUR_S)] == ["m", "n"]
    assert WindowStatus.columns() == tuple(windows_in(state, HOUR_S)[0].to_dict())


def test_who_waits_for_a_window_says_so() -> None:
    """Until when; its holder, and who fits before it, say nothing of it."""
    s = Script()
    s.nodes("n")
    s.tell(declared("service", "n"), declared("other", "n", holder="s"))
    s.tell(after_s=HOUR_S)
    s.tell(submitted())

    (status,) = summarise(s.orchestrator.state, s.now_s)

    assert (status.status, status.why) == (
        "waiting",
        "needs 1 node; none such is up; not for it: nodes of window service until "
        "1970-01-01 02:00:00 UTC",
    )


def test_who_waits_for_others_says_nothing_of_windows_to_come() -> None:
    """It would have nodes before they begin."""
    s = Script()
    s.nodes("n")
    s.tell(declared("service", "n"), submitted(), submitted(name="t"))

    assert [status.why for status in summarise(s.orchestrator.state, s.now_s)] == [
        "its turn",
        "needs 1 more nodes; 0 are free",
    ]
