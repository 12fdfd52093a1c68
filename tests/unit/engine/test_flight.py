"""What becomes of tasks on the cluster when nobody waits for them any more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, futures_of

from climorch.engine.steps import in_flight, settle

LONGEST_S = 20.0
# Of the tasks, which are sent by name.
GO = threading.Event()


def wait(block: Any) -> Any:
    """Wait until it may go on."""
    GO.wait(LONGEST_S)
    return block


async def kept_by_a_traceback(*, guarded: bool) -> tuple[int, int]:
    """Cancel who waits for two tasks, keep him; count the tasks then and later."""
    GO.clear()
    async with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            asynchronous=True,
            dashboard_address=None,
        ) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        scheduler = cluster.scheduler

        async def advance() -> None:
            blocks = da.zeros((4,), chunks=2).map_blocks(wait, meta=np.empty(0))
            (held,) = client.persist([blocks])
            futures = futures_of(held)
            with in_flight(futures) if guarded else contextlib.nullcontext():
                await settle(futures)

        async def until(count: int) -> None:
            async with asyncio.timeout(LONGEST_S):
                while len(scheduler.tasks) != count:
                    await asyncio.sleep(0.01)

        waiting = asyncio.ensure_future(advance())
        await until(2)
        waiting.cancel()
        await asyncio.wait([waiting])
        if guarded:
            await until(0)
        # Whatever the client has sent was received before it is answered.
        kept = len((await client.run_on_scheduler(_names))["names"])
        assert waiting.cancelled()
        del waiting
        await until(0)
        GO.set()
    return kept, len(scheduler.tasks)


def _names(dask_scheduler: Any) -> dict[str, list[str]]:
    return {"names": [str(key) for key in dask_scheduler.tasks]}


@pytest.mark.parametrize(("guarded", "kept"), [(True, 0), (False, 2)])
def test_who_is_cancelled_lets_go_though_somebody_keeps_him(
    guarded: bool, kept: int
) -> None:
    """Else his tasks would begin anew wherever the node that hung with them is lost."""
    assert asyncio.run(kept_by_a_traceback(guarded=guarded)) == (kept, 0)


def test_what_went_well_is_held_on() -> None:
    """Only an error or a cancellation lets go."""
    released = []

    class Held:
        def release(self) -> None:
            released.append(self)

    held: Any = Held()
    with in_flight([held]):
        pass
    assert released == []
    with pytest.raises(ValueError, match="no"), in_flight([held]):
        raise ValueError("no")
    assert released == [held]
