"""A callback hears of every trouble once, and can disturb nobody."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from climorch import Alarm
from climorch.engine.alarms import MOST_WAITING, Alarms
from climorch.testing.faults import until
from tests.unit.core.script import Script, submitted


class Heard:
    """A callback that remembers, and raises or waits when it is told to."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []
        self.raises = False
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, alarm: Alarm) -> None:
        self.go_on.wait(30)
        self.alarms.append(alarm)
        if self.raises:
            raise ValueError("the mail server is down")

    def told(self) -> list[tuple[str, str, str | None]]:
        """What was heard, in order."""
        return [(a.kind, a.event, a.simulation) for a in self.alarms]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """A callback that is let go at the end."""
    found = Heard()
    yield found
    found.go_on.set()


def test_a_trouble_is_heard_once_and_its_end_once(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is met in between; the log has the same."""
    caplog.set_level(logging.INFO, "climorch")
    alarms = Alarms(heard, now=lambda: 7.0)
    for _ in range(5):
        alarms.begin("chore", "cannot publish", simulation="s", subject="a")
    alarms.begin("journal", "full")
    alarms.end("chore", subject="a")
    alarms.end("chore", subject="a")
    alarms.close()

    assert heard.told() == [
        ("chore", "begins", "s"),
        ("journal", "begins", None),
        ("chore", "ends", "s"),
    ]
    assert heard.alarms[0] == Alarm(
        kind="chore",
        event="begins",
        text="cannot publish",
        when_s=7.0,
        simulation="s",
    )
    logged = [(r.levelname, r.getMessage()) for r in caplog.records]
    assert logged == [
        ("ERROR", "alarm kind=chore event=begins simulation=s text=cannot publish"),
        ("ERROR", "alarm kind=journal event=begins simulation=None text=full"),
        ("INFO", "alarm kind=chore event=ends simulation=s text=cannot publish"),
    ]


def test_a_callback_that_raises_hears_the_next_alarm_too(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is logged with its trace."""
    heard.raises = True
    alarms = Alarms(heard)
    alarms.begin("journal", "full")
    alarms.begin("inbox", "gone")
    alarms.close()

    assert [kind for kind, _, _ in heard.told()] == ["journal", "inbox"]
    assert caplog.text.count("ValueError: the mail server is down") == 2


def test_a_callback_that_hangs_holds_nobody_up(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    """Alarms wait for it, up to a bound, and the end does not."""
    before = set(threading.enumerate())
    heard.go_on.clear()
    alarms = Alarms(heard)
    for number in range(MOST_WAITING + 10):
        alarms.begin("chore", "slow", subject=str(number))
    alarms.close(timeout_s=0.01)

    assert heard.alarms == []
    assert "on_alarm does not return" in caplog.text
    assert "on_alarm takes too long" in caplog.text
    heard.go_on.set()
    until(lambda: len(heard.alarms) >= MOST_WAITING, what="it hears those that waited")
    until(
        lambda: (
            "climorch-alarms"
            not in {t.name for t in set(threading.enumerate()) - before}
        ),
        what="its thread ends",
    )


async def test_the_state_is_looked_at_without_a_fact(heard: Heard) -> None:
    """A segment that hangs grows the exposure while nothing happens."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")
    s.restored()
    alarms = Alarms(heard, now=lambda: s.now_s + 4000.0)
    alarms.watch(s.orchestrator.state)
    async with asyncio.timeout(30):
        while not heard.alarms:
            await asyncio.sleep(0.005)
    await alarms.stop()
    alarms.close()

    assert heard.told() == [("exposure", "begins", "s")]


def test_without_a_callback_there_is_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """And no thread that would have nothing to do."""
    before = threading.active_count()
    alarms = Alarms()
    alarms.begin("journal", "full")
    assert threading.active_count() == before
    alarms.close()

    assert "alarm kind=journal event=begins simulation=None text=full" in caplog.text
