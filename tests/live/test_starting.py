"""Nodes that do not start: tried again; where none does, the run says why it ends."""

from __future__ import annotations

from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from distributed import Worker

from climorch import Campaign, LocalSite, Resources, Scenario
from climorch.errors import BackendError
from tests.live.cases import add_one, column, policies


class Fails(Worker):
    """A node that does not start as long as some tries are left."""

    left = 0

    async def start_unsafe(self) -> Any:
        """Start, or not."""
        if Fails.left > 0:
            Fails.left -= 1
            raise OSError("no room for another process")
        return await super().start_unsafe()  # type: ignore[no-untyped-call]


def test_a_node_that_does_not_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One of two fails; a simulation that needs both has them a little later."""
    monkeypatch.setattr(Fails, "left", 1)
    monkeypatch.setattr("climorch.sites.local.Worker", Fails)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(
        column(add_one, segments=2, resources=Resources(nodes=2)),
        scenario=Scenario("s"),
    )

    assert campaign.run(LocalSite(nodes=2, in_process=True)).finished

    (told,) = [r.message for r in caplog.records if "did not start" in r.message]
    assert "OSError: no room for another process; trying again in 0.5 s" in told


@pytest.mark.parametrize("in_process", [True, False])
def test_without_any_node_the_run_ends_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: bool
) -> None:
    """Not a campaign that waits for ever, with one line in its log."""

    def fails() -> None:
        raise OSError("no room for another process")

    monkeypatch.setattr(Fails, "left", 10**6)
    monkeypatch.setattr("climorch.sites.local.Worker", Fails)
    monkeypatch.setattr(forkserver._forkserver, "ensure_running", fails)
    monkeypatch.setattr(LocalSite, "patience_s", 1.0)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(column(add_one, segments=2), scenario=Scenario("s"))

    with pytest.raises(BackendError, match="OSError: no room for another process"):
        campaign.run(LocalSite(nodes=2, in_process=in_process))
