"""What a runner does with the attempts of its set, without a cluster."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from climorch.engine.runner import SetRunner
from climorch.model.commands import StartAttempt
from climorch.model.events import Cause
from climorch.policy.watching import Watch


class Ending:
    """An attempt that takes as long to let go as it is told to."""

    def __init__(self, number: int, swept: list[int]) -> None:
        self.number = number
        self.may_end = asyncio.Event()
        self._swept = swept

    async def release(self) -> None:
        """Wait until it may."""
        await self.may_end.wait()

    async def sweep(self) -> None:
        """Note that what it left is taken away."""
        self._swept.append(self.number)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_each_attempt_takes_away_what_it_left_though_the_next_one_fails_too(
    order: tuple[int, int],
) -> None:
    """Once the second failure cancelled the end of the first: its outputs stayed."""

    async def play() -> list[int]:
        services: Any = SimpleNamespace(cluster=SimpleNamespace(connected=False))
        state: Any = SimpleNamespace()
        runner = SetRunner(services, "s", state)
        swept: list[int] = []
        attempts: list[Any] = [Ending(number, swept) for number in (0, 1)]
        for attempt in attempts:
            runner.attempt = attempt
            runner.abandon()
            # Its end has begun by then.
            await asyncio.sleep(0)
        for number in order:
            attempts[number].may_end.set()
            await asyncio.sleep(0)
        await runner.closed()
        return swept

    assert asyncio.run(play()) == list(order)


@pytest.mark.parametrize("own", [False, True])
def test_what_an_attempt_begins_with_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """A lost answer is told as a failure; an error of its own stays what it was."""
    facts: list[Any] = []

    async def never(*_: Any, **__: Any) -> None:
        if own:
            raise TimeoutError("the storage took too long")
        await asyncio.Event().wait()

    monkeypatch.setattr("climorch.policy.watching.LATE_S", 0.0)
    monkeypatch.setattr("climorch.engine.runner.bring_states", never)
    monkeypatch.setattr("climorch.engine.runner.Attempt", lambda *_: SimpleNamespace())

    async def play() -> None:
        services: Any = SimpleNamespace(watch=Watch(begin_s=0.005), post=facts.append)
        state: Any = SimpleNamespace(held=SimpleNamespace(salvaged=None))
        runner = SetRunner(services, "s", state)
        runner.start(StartAttempt(simulation="s", set="a", attempt=3, boundary=2))
        await runner.closed()

    asyncio.run(play())

    (fact,) = facts
    assert (fact.set, fact.attempt, fact.boundary) == ("a", 3, 2)
    assert fact.cause is Cause.TRANSIENT
    assert fact.message == (
        "TimeoutError: the storage took too long"
        if own
        else "TimeoutError: no end after 0 s, twice Watch.begin_s and a minute; if it "
        "takes longer where all is well, give a larger one"
    )
