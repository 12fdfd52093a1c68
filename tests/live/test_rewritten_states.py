"""A model that writes into what it has returned, while that is checkpointed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch import Advance, Campaign, Scenario, Segment
from climorch.model import events as e
from climorch.storage import chunks, codec
from climorch.testing.faults import committed_twice
from tests.live.cases import column, here, kinds, policies, records, state_of

# Arrays that the model has returned and still has.
KEPT: list[Any] = []


def keeps(block: Any) -> Any:
    """Compute a new array, and keep it."""
    mine = block + 1.0
    KEPT.append(mine)
    return mine


def step(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Count, block by block."""
    heat = state["heat"]
    counted = heat.data.map_blocks(keeps, dtype=float, meta=np.empty(0))
    return Advance(state=state.assign(heat=heat.copy(data=counted)))


def test_a_state_that_changes_while_it_is_written_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashed again after it was encoded; tried again, and right in the end."""
    struck: list[float] = []

    def encode_beside_the_model(block: Any, *more: Any) -> Any:
        encoded = codec.encode(block, *more)
        shared = [mine for mine in KEPT if np.shares_memory(mine, block)]
        if shared and not struck:
            struck.append(float(block[0]))
            shared[0] += 99.0
        return encoded

    monkeypatch.setattr(chunks, "encode", encode_beside_the_model)
    KEPT.clear()
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(column(step, segments=4), scenario=Scenario("s"))
    assert campaign.run(here()).finished

    assert len(struck) == 1
    (failed,) = kinds(records(campaign), e.CheckpointFailed)
    assert failed.cause is e.Cause.MODEL
    assert "its values changed while they were written" in failed.message
    assert "let the step return new arrays" in failed.message
    assert state_of(campaign, "s", "box").tolist() == [4.0] * 4
    assert committed_twice(records(campaign)) == []
