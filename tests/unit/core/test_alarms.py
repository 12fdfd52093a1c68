"""Who is told what, and how often."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from climorch.core.alarms import AlarmBook, Trouble, troubles
from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.alarm import Alarm
from climorch.model.events import Cause
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))
FULL = Trouble(kind="journal", subject="", text="the disk is full")


def events(alarms: list[Alarm]) -> list[tuple[str, str]]:
    """Kind and event of each."""
    return [(alarm.kind, alarm.event) for alarm in alarms]


def found(s: Script, after_s: float = 0.0) -> dict[str, str]:
    """Kinds and texts of what is wrong."""
    told = troubles(s.orchestrator.state, s.now_s + after_s)
    assert {t.simulation for t in told} <= {"s"}
    return {t.kind: t.text for t in told}


def started() -> Script:
    """Compute a first segment."""
    s = Script(RARELY)
    s.tell(submitted())
    s.nodes("n")
    s.restored()
    return s


def test_a_trouble_is_told_when_it_begins_and_when_it_ends() -> None:
    """Not again while it lasts, nor its end where there was none."""
    book = AlarmBook()

    assert book.begin(FULL, 5.0) == [
        Alarm(kind="journal", event="begins", text="the disk is full", when_s=5.0)
    ]
    assert book.begin(FULL, 6.0) == []
    assert events(book.end("journal", "", 7.0)) == [("journal", "ends")]
    assert book.end("journal", "", 8.0) == []
    assert events(book.begin(FULL, 9.0)) == [("journal", "begins")]


def test_a_trouble_that_lasts_is_told_again_at_growing_intervals() -> None:
    """After ten minutes, then twenty, and so on up to a day."""
    book = AlarmBook()
    book.begin(FULL, 0.0)
    told = [s for s in range(0, 500_000, 100) if book.watch((), float(s))]

    assert told[:4] == [600, 1800, 4200, 9000]
    assert told[-1] - told[-2] == 86_400


def test_what_is_watched_ends_when_it_is_no_longer_seen() -> None:
    """Troubles of two simulations are told apart; text may change meanwhile."""
    book = AlarmBook()
    one, two = (
        Trouble(kind="exposure", subject=name, text="much", simulation=name)
        for name in ("s", "t")
    )
    more = Trouble(kind="exposure", subject="s", text="more", simulation="s")

    first = book.watch((one, two), 1.0)
    assert [(a.simulation, a.event) for a in first] == [
        ("s", "begins"),
        ("t", "begins"),
    ]
    assert book.watch((more, two), 2.0) == []
    last = book.watch((two,), 3.0)
    assert [(a.simulation, a.event, a.text) for a in last] == [("s", "ends", "more")]
    # What is told of otherwise is not over because the state says nothing of it.
    book.begin(FULL, 4.0)
    assert book.watch((two,), 5.0) == []


def test_more_than_an_hour_of_compute_at_risk_is_told() -> None:
    """A segment that runs counts while it runs; a checkpoint ends it."""
    s = started()

    assert found(s, after_s=3599.0) == {}
    assert found(s, after_s=3602.0) == {
        "exposure": "3602 s of compute would be lost by a failure now, more than 3600 s"
    }


def test_a_storage_that_refuses_checkpoints_is_told_until_one_is_committed() -> None:
    """The tries since the last commit are counted."""
    s = started()
    s.tell(e.PauseRequested(simulation="s"))
    s.finished(0)
    s.not_written(1, Cause.STORAGE)

    assert found(s) == {"storage": "storage failed 1 times since the last checkpoint"}
    s.tell(after_s=3.0)
    s.committed(1)
    assert found(s) == {}


def test_a_checkpoint_that_is_written_for_long_is_told_until_it_is_committed() -> None:
    """Two minutes are always granted, and ten times what is usual."""
    s = Script()
    s.tell(submitted(stage(boundaries=range(9))))
    s.nodes("n")
    s.restored()
    s.finished(0)
    begun_s = s.now_s

    assert found(s, after_s=119.0) == {}
    assert found(s, after_s=121.0) == {
        "storage": "checkpoint 1 of set a has been written for 121 s: the storage is "
        "slow, or hangs"
    }
    factors = explain(s.orchestrator.state, "s", begun_s + 7.0).factors
    assert factors["checkpoints of a"]["being written"] == 1
    s.tell(replace(s.commit(1), seconds=60.0), after_s=130.0)
    assert found(s) == {}
    s.finished(1)
    assert found(s, after_s=599.0) == {}
    assert list(found(s, after_s=601.0)) == ["storage"]


def test_a_damaged_checkpoint_is_told_until_two_newer_good_ones_are_there() -> None:
    """Also after a restart of the driver; and one that replaces it will do."""
    s = Script()
    s.tell(submitted(stage(boundaries=range(9))))
    s.nodes("n")
    s.restored()
    s.finished(0)
    s.committed(1)
    s.tell(
        e.CheckpointScrubbed(
            simulation="s", set="a", boundary=1, bad=("x is missing",), damaged=True
        )
    )

    told = {
        "damage": "checkpoint 1 of set a is damaged, no other copy is left; it was "
        "set aside, look after the storage"
    }
    assert found(s) == told
    factors = explain(s.orchestrator.state, "s", s.now_s).factors
    assert factors["checkpoints of a"]["found damaged"] == (1,)
    s.finished(1)
    s.committed(2)
    assert found(s) == told
    s.restart("n")
    assert found(s) == told
    s.restored()
    s.finished(2)
    s.committed(3)
    assert found(s) == {}


def test_a_simulation_that_failed_for_good_is_told_until_it_is_resumed() -> None:
    """Tries that are left are not told; a cancelled one needs nobody."""
    s = started()
    s.failed(0, Cause.NUMERICAL)

    assert found(s) == {"failed": "failed for good: numerical blow-up: made to fail"}
    s.tell(e.CancelRequested(simulation="s"))
    assert found(s) == {}


def test_how_much_may_be_at_risk_is_for_the_rules_to_say() -> None:
    """Whoever accepts a larger loss is told of no smaller one."""
    s = started()
    state, later_s = s.orchestrator.state, s.now_s + 4000.0

    kinds = [
        [t.kind for t in troubles(state, later_s, most_exposure_s=most_s)]
        for most_s in (3600.0, 7200.0)
    ]

    assert kinds == [["exposure"], []]


def window(name: str = "w", **more: Any) -> e.WindowDeclared:
    """Nodes in three hours, for an hour."""
    given = {"start_s": 10_800.0, "stop_s": 14_400.0, **more}
    return e.WindowDeclared(window=Window(name=name, **given))


def bare(s: Script, now_s: float) -> list[str]:
    """What is said of windows then."""
    found = troubles(s.orchestrator.state, now_s)
    return [t.text for t in found if t.kind == "window"]


def test_a_window_without_enough_nodes_is_told_of_an_hour_before_its_start() -> None:
    """And once it has started, until it is over."""
    s = Script()
    s.nodes("n")
    s.tell(window(count=2, holder="p"), window("one", count=1, start_s=10_900.0))

    assert bare(s, 7100.0) == []
    assert bare(s, 7200.0) == [
        "window w starts in 3600 s: it needs 2 nodes that no other window wants; "
        "1 are up in all"
    ]
    assert bare(s, 10_800.0) == [
        "window w has started: it needs 2 nodes that no other window wants; "
        "1 are up in all"
    ]
    assert bare(s, 14_400.0) == []


def test_a_window_is_not_told_of_while_nodes_come_and_go() -> None:
    """Those that lack may be the next; and without any node it is another trouble."""
    s = Script()
    s.tell(window(count=2, start_s=10.0))
    assert bare(s, 1000.0) == []
    s.nodes("n")
    assert bare(s, s.now_s + 59.0) == []
    assert len(bare(s, s.now_s + 60.0)) == 1
    s.nodes("m")
    assert bare(s, s.now_s + 60.0) == []


def test_kept_nodes_that_are_not_there_are_named() -> None:
    """Dead or drained ones; those to be serviced may be down."""
    s = Script()
    s.nodes("n", "m", "o")
    s.tell(
        window("kept", nodes=("m", "n", "o"), holder="p"),
        window("serviced", nodes=("n",)),
        window("all", holder="p"),
        e.NodeLost(node="n"),
        e.DrainRequested(node="m"),
    )

    assert bare(s, 10_800.0) == ["window kept has started: not there for p: m, n"]
