"""An attempt that is over while the folder of its checkpoint is being made."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from climorch import Campaign, Scenario
from climorch.model import commands as c
from climorch.storage.checkpoints import CheckpointStore
from climorch.testing.faults import until, until_record
from climorch.testing.models import box_workflow
from tests.live.cases import here, policies


def test_its_folder_does_not_stay_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No writer finds it, and the end of the campaign leaves nothing in flight."""
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=3), scenario=Scenario("s"))
    begin, calls = CheckpointStore.begin, 0
    made = threading.Event()

    def interrupted(self: CheckpointStore, request: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            campaign.cancel("s")
            until_record(tmp_path, "c", c.AbandonAttempt)
        found = begin(self, request)
        assert found.directory == tmp_path / "c" / "inflight" / "1" / "s" / "air-1.1"
        made.set()
        return found

    monkeypatch.setattr(CheckpointStore, "begin", interrupted)
    campaign.run(here())

    assert (calls, campaign.status()["s"].status) == (1, "cancelled")
    # The thread may go on for a moment after the driver has ended.
    assert made.wait(30)
    until(lambda: not [*tmp_path.glob("c/inflight/1/s/air-*")], what="it is given up")
