"""A test that fails leaves no campaign running behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from climorch import Campaign, LocalSite, Run


@pytest.fixture(autouse=True)
def no_run_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End at once whatever a test started and did not end."""
    runs: list[Run] = []
    start = Campaign.start

    def noting(self: Campaign, site: LocalSite) -> Run:
        run = start(self, site)
        runs.append(run)
        return run

    monkeypatch.setattr(Campaign, "start", noting)
    yield
    for run in runs:
        if run.alive:
            run.kill()
            run.wait(timeout_s=20)
