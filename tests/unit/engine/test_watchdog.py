"""What is done about frozen nodes and stuck tasks, on a made-up Dask scheduler."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from climorch.engine import inquest
from climorch.engine.inquest import Seen
from climorch.engine.tags import Tag, Watched
from climorch.engine.watchdog import Watchdog
from climorch.errors import InternalError
from climorch.policy.watching import Stuck, Watch

WATCH = Watch(frozen_s=10.0, limits_s={"sea": 20.0})
PLACE = "; stands at a.py:7 in f"
STACK = 'File "/home/u/a.py", line 7 in f'


def tag(lease: str = "s", *, limit_s: float = 20.0, watched: bool = True) -> Tag:
    """A label of a segment of the sea."""
    seen = Watched(stage="sea", segment=3, attempt=2, limit_s=limit_s)
    return Tag(lease=lease, kind="cpu", watched=seen if watched else None)


class Scheduler:
    """Workers and their tasks, as the watchdog looks at them."""

    def __init__(self) -> None:
        self.workers: dict[str, Any] = {}
        self.listeners = [
            SimpleNamespace(contact_address="tcp://10.0.0.1:1"),
            SimpleNamespace(contact_address="inproc://10.0.0.1/1/1"),
        ]
        self.restarts: list[str] = []
        self.answer = "OK"

    def worker(self, name: str, *labels: Tag | None, executing: int = 1) -> Any:
        """Let a worker join that was given tasks; the first ones it executes."""
        address = f"tcp://{name}"
        worker = SimpleNamespace(
            address=address,
            name=name,
            nanny=f"tcp://nanny-{name}",
            host="10.0.0.2",
            pid=77,
            last_seen=1.0,
            processing={},
            executing={},
        )
        for number, label in enumerate(labels):
            task = Task(f"{name}-{number}", label)
            worker.processing[task] = 1.0
            if number < executing:
                worker.executing[task] = 1.0
        self.workers[address] = worker
        return worker

    async def restart_workers(self, addresses: list[str], **_: Any) -> dict[str, str]:
        """Note who is restarted."""
        self.restarts += addresses
        return dict.fromkeys(addresses, self.answer)


class Task:
    """A task with a label."""

    def __init__(self, key: str, label: Tag | None) -> None:
        self.key, self.run_id, self.label = key, 1, label


class Bench:
    """A watchdog whose clock is set by hand, and what it said and did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, watch: Watch = WATCH) -> None:
        self.scheduler = Scheduler()
        self.told: list[dict[str, Any]] = []
        self.errors: list[tuple[str, Exception]] = []
        self.killed: list[str] = []
        self.dies = True
        self.stacks: dict[str, list[Seen]] = {}
        self.clock_s = 0.0
        monkeypatch.setattr("time.monotonic", lambda: self.clock_s)
        monkeypatch.setattr(inquest, "survey", self.survey)
        monkeypatch.setattr(inquest, "kill", self.kill)
        scheduler: Any = self.scheduler
        self.dog = Watchdog(
            scheduler,
            watch,
            tag_of=lambda task: task.label,  # type: ignore[attr-defined]  # a Task
            tell=lambda message: self.told.append(dict(message)),
            failed=lambda where, error: self.errors.append((where, error)),
        )

    async def survey(
        self, scheduler: Any, asked: Mapping[str, Any]
    ) -> dict[str, list[Seen]]:
        """Say what was prepared."""
        return {node: self.stacks.get(node, []) for node in asked}

    async def kill(self, scheduler: Any, worker: Any) -> bool:
        """Note who is killed."""
        self.killed.append(worker.name)
        return self.dies

    async def after(self, seconds: float, beating: Callable[[], None] = lambda: None):  # type: ignore[no-untyped-def]  # returns the bench
        """Look each second for so long."""
        for _ in range(int(seconds)):
            self.clock_s += 1.0
            beating()
            self.dog.check()
            for _ in range(5):
                await asyncio.sleep(0)
        return self

    def beating(self) -> None:
        """Let all workers send a heartbeat."""
        for worker in self.scheduler.workers.values():
            worker.last_seen += 1.0

    def alarms(self) -> list[str]:
        """What was told as alarms."""
        return [x["message"] for x in self.told if x["what"] == "alarm"]

    def stuck(self) -> list[dict[str, Any]]:
        """What was told as hangs."""
        return [x for x in self.told if x["what"] == "stuck"]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench by the usual rules."""
    return Bench(monkeypatch)


TEXT = (
    "stuck: s, stage sea, segment 3 has been executing on n for 21 s, expected < 20 s"
)


async def test_a_stuck_task_is_told_with_all_stacks_and_its_node_killed(
    bench: Bench,
) -> None:
    """Its own first, then those of all that compute for the same simulation."""
    bench.scheduler.worker("other", tag())
    bench.scheduler.worker("foreign", None)
    bench.scheduler.worker("free", tag("t"), tag(watched=False))
    bench.scheduler.workers.pop("tcp://other")
    bench.scheduler.worker("n", tag())
    bench.scheduler.worker("other", tag(limit_s=1e9))
    bench.stacks = {
        name: [Seen(name="", condition="waits", stack=STACK)]
        for name in ("n", "other", "foreign", "free")
    }
    bench.scheduler.workers["tcp://free"].processing.popitem()
    bench.scheduler.workers["tcp://free"].processing.clear()
    bench.scheduler.workers["tcp://free"].executing.clear()
    await bench.after(21, bench.beating)
    assert bench.told == []
    await bench.after(1, bench.beating)

    (said,) = bench.stuck()
    assert said == {
        "what": "stuck",
        "lease": "s",
        "stage": "sea",
        "segment": 3,
        "attempt": 2,
        "cause": "HANG",
        "node": "n",
        "message": TEXT + PLACE,
        "stack": f"n, tasks, waits:\n{STACK}\n\nother, tasks, waits:\n{STACK}",
    }
    assert bench.killed == ["n"]
    assert bench.scheduler.restarts == []
    assert bench.dog.reason("tcp://n", "else") == TEXT + PLACE
    assert bench.dog.reason("tcp://n", "else") == "else"
    await bench.after(30, bench.beating)
    assert len(bench.stuck()) == 1


async def test_a_read_that_hangs_is_trouble_of_the_storage(bench: Bench) -> None:
    """Its node is killed, as it can do nothing else; nobody's model is to blame."""
    seen = Watched(stage="sea", segment=3, attempt=2, limit_s=20.0, reads=True)
    bench.scheduler.worker("n", Tag(lease="s", kind="cpu", watched=seen))
    await bench.after(22, bench.beating)

    (said,) = bench.stuck()
    assert (said["cause"], said["stage"], said["segment"]) == ("STORAGE", "sea", 3)
    assert said["message"] == (
        "stuck: s has been reading a checkpoint on n for 21 s, expected < 20 s"
    )
    assert bench.killed == ["n"]


async def test_a_silent_node_may_execute_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It cannot say that it has begun; a limit that is not known never ends."""
    bench = Bench(monkeypatch, Watch(frozen_s=1e9, limits_s={"sea": 20.0}))
    bench.scheduler.worker("n", None, tag(), executing=1)
    bench.scheduler.worker("m", None, tag(limit_s=float("inf")), executing=1)
    await bench.after(10, bench.beating)
    await bench.after(20)
    assert bench.told == []
    await bench.after(1)
    assert [said["node"] for said in bench.stuck()] == ["n"]


async def test_what_was_cancelled_and_does_not_end_keeps_what_comes_next(
    bench: Bench,
) -> None:
    """The Dask scheduler has forgotten it: the node executes nothing and is full."""
    io = Tag(lease="s", kind="io")
    bench.scheduler.worker("full", tag(), executing=0)
    bench.scheduler.worker("writes", io, tag(), executing=1)
    bench.scheduler.worker("computes", tag(limit_s=99.0), tag(), executing=1)
    await bench.after(21, bench.beating)
    assert bench.told == []
    await bench.after(1, bench.beating)
    assert [said["node"] for said in bench.stuck()] == ["full", "writes"]
    assert bench.killed == ["full", "writes"]


async def test_a_frozen_node_that_says_where_it_loops_has_a_segment_that_hung(
    bench: Bench,
) -> None:
    """It holds the interpreter's lock: no heartbeat, but it answers the signal."""
    bench.scheduler.worker("n", None, tag(), executing=0)
    bench.stacks = {"n": [Seen(name="", condition="computes", stack=STACK)]}
    await bench.after(12)
    text = (
        "stuck: s, stage sea, segment 3 holds Python's interpreter lock on n, "
        f"frozen: no heartbeat for 11.0 s{PLACE}"
    )
    (said,) = bench.stuck()
    assert said["message"] == text
    assert bench.killed == ["n"]
    assert bench.dog.reason("tcp://n", "else") == text


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        pytest.param((tag(),), [], id="it is stopped"),
        pytest.param(
            (tag(),),
            [Seen(name="s/sea/sea", condition="waits", stack=STACK)],
            id="only its model answers",
        ),
        pytest.param(
            (None, tag(watched=False)),
            [Seen(name="", condition="computes", stack=STACK)],
            id="it computes no segment",
        ),
    ],
)
async def test_a_frozen_node_is_killed(
    bench: Bench, labels: tuple[Tag | None, ...], seen: list[Seen]
) -> None:
    """Nothing hung that is known of: it is the node."""
    bench.scheduler.worker("n", *labels)
    bench.stacks = {"n": seen}
    await bench.after(14)
    assert bench.stuck() == []
    assert bench.alarms() == ["node n is frozen: no heartbeat for 11.0 s"]
    assert bench.killed == ["n"]


@pytest.mark.parametrize(
    ("answer", "alarms"),
    [
        ("OK", 1),
        ("removed", 2),
    ],
)
async def test_what_cannot_be_killed_at_once_is_restarted_or_fenced(
    bench: Bench, answer: str, alarms: int
) -> None:
    """Dask's own way is polite first; without a nanny the node is only removed."""
    bench.scheduler.worker("n")
    bench.scheduler.answer, bench.dies = answer, False
    await bench.after(12)
    assert bench.scheduler.restarts == ["tcp://n"]
    assert len(bench.alarms()) == alarms
    assert (
        bench.alarms()[1:]
        == [
            "the process of tcp://n could not be killed from here; it is fenced and "
            "leaves when it wakes up"
        ][: alarms - 1]
    )


@pytest.mark.parametrize("address", ["inproc://10.0.0.1/1/9", "tcp://10.0.0.1:9"])
async def test_a_node_in_this_process_is_only_told_of(
    bench: Bench, address: str
) -> None:
    """Nobody can kill it; it says where it stands itself."""
    worker = bench.scheduler.worker("n", tag())
    worker.address, worker.pid, worker.host = address, os.getpid(), "10.0.0.1"
    bench.scheduler.workers = {address: worker}
    await bench.after(22)
    (said,) = bench.alarms()
    assert said.startswith(f"{TEXT}; stands at ")
    assert said.endswith("restarted: end the campaign and run it again")
    assert bench.killed == []


async def test_a_node_is_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen and stuck at a time; or gone before its turn comes."""
    bench = Bench(monkeypatch, Watch(frozen_s=20.0, limits_s={"sea": 20.0}))
    bench.scheduler.worker("n", tag())
    bench.scheduler.worker("m", tag(), tag())
    await bench.after(22)
    assert sorted(bench.killed) == ["m", "n"]
    assert bench.errors == []


async def test_what_goes_wrong_here_is_told_to_the_driver(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it looks, and while it acts."""

    async def broken(*_: Any) -> bool:
        raise ValueError("kill")

    monkeypatch.setattr(inquest, "kill", broken)
    bench.scheduler.worker("n", tag())
    await bench.after(12)
    assert [(where, str(error)) for where, error in bench.errors] == [
        ("watchdog", "kill")
    ]
    bench.scheduler.workers["tcp://n"].processing = None
    bench.dog.check()
    assert len(bench.errors) == 2


async def test_a_task_without_a_limit_that_is_called_stuck_is_our_bug(
    bench: Bench,
) -> None:
    """Labels do not change while a task runs."""
    worker = bench.scheduler.worker("n", tag(watched=False))
    (task,) = worker.processing
    verdict = Stuck(
        worker=worker.address, task=(task.key, task.run_id), seconds=2.0, limit_s=1.0
    )
    with pytest.raises(InternalError, match="is watched and has no limit"):
        bench.dog._stuck(verdict)


async def test_it_looks_again_and_again_until_it_is_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as its shortest limit asks for."""
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    bench.dog.start()
    while len(waits) < 3:
        await real(0)
    bench.dog.stop()
    await real(0)
    seen = len(waits)
    await real(0)
    assert set(waits) == {2.5}
    assert len(waits) == seen


async def test_a_kill_under_way_ends_with_the_watch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was never started can be stopped too."""
    begun = asyncio.Event()

    async def endless(*_: Any) -> bool:
        begun.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(inquest, "kill", endless)
    bench.scheduler.worker("n")
    await bench.after(12)
    assert begun.is_set()
    (kill,) = bench.dog._kills
    bench.dog.stop()
    await asyncio.wait([kill])
    assert kill.cancelled()
