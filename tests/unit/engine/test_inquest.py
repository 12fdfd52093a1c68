"""What nannies are asked about nodes, and what is told of it."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, Self

import pytest
from distributed.protocol import pickle

from climorch.engine import inquest, stacks
from climorch.engine.inquest import Seen

STACK = 'File "/home/u/a.py", line 7 in f'


class Nanny:
    """Runs what it is asked to, as a nanny does, for the process of this test."""

    pid = os.getpid()
    broken: BaseException | None = None

    def __init__(self, address: str, **_: Any) -> None:
        self.address = address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, *, function: bytes, args: bytes) -> dict[str, Any]:
        """Run a function."""
        if self.broken is not None:
            raise self.broken
        if self.address == "tcp://confused":
            return {"status": "error"}
        work, given = pickle.loads(function), pickle.loads(args)
        nanny = SimpleNamespace(pid=self.pid)
        return {"status": "OK", "result": await work(*given, dask_worker=nanny)}


@pytest.fixture
def nanny(monkeypatch: pytest.MonkeyPatch) -> type[Nanny]:
    """In place of connections."""
    monkeypatch.setattr(inquest, "rpc", Nanny)
    monkeypatch.setattr(Nanny, "broken", None)
    return Nanny


SCHEDULER: Any = SimpleNamespace(connection_args={})


def worker(nanny: str | None = "tcp://n", pid: int = os.getpid()) -> Any:
    """A worker as the Dask scheduler knows it."""
    return SimpleNamespace(nanny=nanny, pid=pid)


async def test_all_processes_of_a_node_that_listen_are_looked_at(
    nanny: type[Nanny], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker and what it has started; who does not listen is left alone."""
    own = os.getpid()
    names = {own: "", 7: "s/air/air"}
    monkeypatch.setattr(stacks, "below", lambda pid: [7, 8])
    monkeypatch.setattr(stacks, "name_of", names.get)
    monkeypatch.setattr(stacks, "condition", lambda pid: f"does {pid}")
    monkeypatch.setattr(stacks, "stack_of", lambda pid: f"{STACK}{pid}")
    found = await inquest.survey(SCHEDULER, {"a": worker(), "b": worker(pid=1)})
    assert found == {
        "a": [
            Seen(name="", condition=f"does {own}", stack=f"{STACK}{own}"),
            Seen(name="s/air/air", condition="does 7", stack=f"{STACK}7"),
        ],
        # It has another process by now.
        "b": [],
    }


@pytest.mark.parametrize(
    ("asked", "broken"),
    [
        pytest.param(worker(None), None, id="no nanny"),
        pytest.param(worker("tcp://confused"), None, id="it fails"),
        pytest.param(worker(), OSError("gone"), id="it is gone"),
        pytest.param(worker(), TimeoutError(), id="it does not answer"),
    ],
)
async def test_where_no_nanny_answers_nothing_is_known_or_killed(
    nanny: type[Nanny],
    monkeypatch: pytest.MonkeyPatch,
    asked: Any,
    broken: BaseException | None,
) -> None:
    """The node is fenced then."""
    monkeypatch.setattr(nanny, "broken", broken)
    assert await inquest.survey(SCHEDULER, {"a": asked}) == {"a": []}
    assert not await inquest.kill(SCHEDULER, asked)


async def test_a_worker_is_killed_unless_it_is_another_one_by_now(
    nanny: type[Nanny], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nanny may have started it again."""
    killed: list[int] = []

    def kill(pid: int, *, wait_s: float) -> bool:
        killed.append(pid)
        return True

    monkeypatch.setattr(stacks, "kill_group", kill)
    assert await inquest.kill(SCHEDULER, worker())
    assert await inquest.kill(SCHEDULER, worker(pid=1))
    assert killed == [os.getpid()]


def test_what_was_seen_is_told_node_by_node() -> None:
    """Only what runs something of a user."""
    seen = {
        "n1": [
            Seen(name="", condition="waits", stack=STACK),
            Seen(name="s/air/air", condition="computes", stack=STACK),
        ],
        "n0": [Seen(name="", condition="is stopped", stack="")],
    }
    assert inquest.told(seen) == (
        f"n1, tasks, waits:\n{STACK}\n\nn1, s/air/air, computes:\n{STACK}"
    )
    assert inquest.worth_telling(inquest.told(seen)) == "; stands at a.py:7 in f"
    assert inquest.worth_telling("") == ""
