"""A script that a signal ended before its work was done does not end well."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from climorch.engine import session
from climorch.engine.leaving import leave
from climorch.model.events import StopRequested

LEFT = "campaign 'c' left at {} with 2 simulations to go on with: run the script again"


def test_what_a_shell_sees() -> None:
    """130 after Ctrl-C, which Python makes of it, and 143 after SIGTERM."""
    with pytest.raises(KeyboardInterrupt) as interrupted:
        leave(signal.SIGINT, "c", 2)
    with pytest.raises(SystemExit) as ended:
        leave(signal.SIGTERM, "c", 2)

    assert str(interrupted.value) == LEFT.format("SIGINT")
    assert ended.value.code == 143


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM])
def test_where_nothing_is_left_the_script_goes_on(
    number: signal.Signals | None,
) -> None:
    """As if no signal had come: it came too late to matter."""
    leave(number, "c", 0)
    leave(None, "c", 3)


class Driver:
    """Ends once it is asked to, or when it is killed."""

    wants = True
    heeds = True

    def __init__(self, *_: object) -> None:
        simulations = {"m": SimpleNamespace(wants_nodes=self.wants)}
        state = SimpleNamespace(simulations=simulations)
        self.orchestrator = SimpleNamespace(state=state)
        self.asked = asyncio.Event()

    def post(self, fact: object) -> None:
        """Take that it is to end."""
        assert isinstance(fact, StopRequested)
        if self.heeds:
            self.asked.set()

    async def run(self) -> None:
        """Run until then."""
        await self.asked.wait()


def waited(patched: pytest.MonkeyPatch, *signals: signal.Signals, **like: bool) -> bool:
    """Wait for a run that gets these signals while it is waited for."""
    spec: Any = SimpleNamespace(campaign="c")
    keeper: Any = SimpleNamespace(release=lambda _: None)
    patched.setattr(session, "Driver", type("Driver", (Driver,), like))
    run = session.Run(spec, spec, keeper)
    main = threading.main_thread().ident
    assert main is not None
    # Sent from elsewhere, so that they come while the main thread waits.
    taken = threading.Event()
    take = run._take_signals

    def take_them(stack: Any) -> None:
        take(stack)
        taken.set()

    def send() -> None:
        taken.wait()
        signal.pthread_kill(main, signals[0])

    def warning(text: str, *_: object) -> None:
        # The second one comes while the first is told, and the run ends meanwhile.
        if text.startswith("signal=") and len(signals) > 1:
            signal.raise_signal(signals[1])
            run._thread.join(60.0)
            told.append(run.alive)

    told: list[bool] = []
    patched.setattr(session.logger, "warning", warning)
    patched.setattr(run, "_take_signals", take_them)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        return run.wait(handle_signals=True)
    finally:
        sender.join()
        assert told == [False] * (len(signals) - 1)


@pytest.mark.parametrize(
    ("signals", "heeds", "raised"),
    [
        ([signal.SIGINT], True, KeyboardInterrupt),
        ([signal.SIGTERM], True, SystemExit),
        ([signal.SIGINT, signal.SIGINT], False, KeyboardInterrupt),
        ([signal.SIGTERM, signal.SIGINT], False, SystemExit),
    ],
)
def test_a_run_that_a_signal_ended_raises(
    monkeypatch: pytest.MonkeyPatch,
    signals: list[signal.Signals],
    heeds: bool,
    raised: type[BaseException],
) -> None:
    """Once it has left, cleanly or at once; the first signal counts."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(raised):
        waited(monkeypatch, *signals, heeds=heeds)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_was_done_anyway_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to tell of."""
    assert waited(monkeypatch, signal.SIGINT, wants=False) is True
