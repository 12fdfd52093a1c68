"""Windows as a user sees them: of themselves, of nodes and of who waits."""

from __future__ import annotations

from climorch.core.explain import explain
from climorch.core.statuses import nodes_of, summarise
from climorch.core.window_statuses import WindowStatus, windows_in
from climorch.model import events as e
from climorch.model.windows import Window
from tests.unit.core.script import Script, stage, submitted

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


def test_who_lost_nodes_says_which_and_why_they_went() -> None:
    """While it runs on what is left, and until it is given others."""
    s = Script()
    s.nodes("k", "l", "m")
    s.tell(submitted(stage(nodes=1, most=3)))
    s.restored()

    def told() -> tuple[str, str, object]:
        state = s.orchestrator.state
        (status,) = summarise(state, s.now_s)
        lost = explain(state, "s", s.now_s).factors.get("nodes lost")
        return status.status, status.why, lost

    assert told() == ("running", "its turn", None)
    s.tell(e.NodeLost(node="l", reason="retired"))
    assert told() == ("running", "nodes lost: l (retired)", {"l": "retired"})
    s.tell(e.NodeLost(node="k"))
    lost = {"l": "retired", "k": ""}
    assert told() == ("running", "nodes lost: l (retired), k", lost)
    s.tell(e.NodeLost(node="m", reason="dead"))
    assert told() == (
        "waiting",
        "needs 1 node; none such is up; nodes lost: l (retired), k, m (dead)",
        {**lost, "m": "dead"},
    )
    s.nodes("n")
    assert told() == ("running", "its turn", None)


def test_who_lost_too_few_nodes_to_start_anew_says_so_too() -> None:
    """Dask heals it: the lease is what it was given for, less the node."""
    s = Script()
    s.nodes(*"abcdefgh")
    s.tell(submitted(stage(nodes=8)))
    s.restored()

    s.tell(e.NodeLost(node="c", reason="retired"))

    (status,) = summarise(s.orchestrator.state, s.now_s)
    assert (status.nodes, status.why) == (7, "its turn; nodes lost: c (retired)")
