"""What is asked of the Dask scheduler about a segment, and what is known already."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from climorch.engine.measuring import measures_of
from climorch.engine.took import Took
from climorch.model.usage import Usage

SAID = Usage(task_s=4.0, cpu_s=1.0, memory_bytes=10)


def measured(
    took: Took | None,
    lease: tuple[str, ...],
    *,
    lost: bool = False,
    output: int | None = None,
) -> tuple[dict[str, float], Usage | None]:
    """Ask for the measures of a segment of three seconds."""

    async def answer(*_: object, client: str) -> tuple[dict[str, float], Usage]:
        assert client == "me"
        if lost:
            raise OSError("it is gone")
        return {"n1": 1.0, "n2": 2.0}, SAID

    services = SimpleNamespace(
        client=SimpleNamespace(run_on_scheduler=answer, id="me"), lease=lambda _: lease
    )
    attempt: Any = SimpleNamespace(
        took={} if took is None else {"a": took},
        outputs=SimpleNamespace(nbytes={} if output is None else {"a": output}),
        services=services,
        simulation="s",
    )
    found = asyncio.run(measures_of(attempt, "a", 3.0))
    assert attempt.took == attempt.outputs.nbytes == {}
    return found


@pytest.mark.parametrize(
    ("took", "lease", "paces"),
    [
        (None, ("n1", "n2"), {"n1": 1.0, "n2": 2.0}),
        # What one node takes is known without being asked.
        (None, ("n1",), {"n1": 3.0}),
        (Took(paces={"n2": 2.5}), ("n1", "n2"), {"n2": 2.5}),
    ],
)
def test_paces_come_from_who_knows_them(
    took: Took | None, lease: tuple[str, ...], paces: dict[str, float]
) -> None:
    """The Dask scheduler, unless one node did it all."""
    assert measured(took, lease) == (paces, SAID)


def test_what_a_model_used_is_added_to_what_its_node_did() -> None:
    """CPU seconds and memory; outputs only the attempt knows."""
    took = Took(cpu_s=2.0, memory_bytes=30)

    _, usage = measured(took, ("n1",), output=8)
    assert usage == Usage(task_s=4.0, cpu_s=3.0, memory_bytes=40, output_bytes=8)


def test_a_segment_counts_though_nobody_can_be_asked() -> None:
    """Its usage is not measured then."""
    assert measured(None, ("n1",), lost=True) == ({"n1": 3.0}, None)
    assert measured(None, ("n1", "n2"), lost=True) == ({}, None)
