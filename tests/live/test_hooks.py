"""An exception of our own on the Dask scheduler stops the campaign loudly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Scheduler

from climorch import Campaign, InternalError, LocalSite, Scenario, Watch
from climorch.engine.ordering import Order
from climorch.engine.plugin import LeasePlugin
from climorch.engine.recall import Recaller
from climorch.engine.watchdog import Watchdog
from climorch.model import events as e
from climorch.testing.faults import until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, policies, same


def wait(scheduler: Scheduler) -> None:
    """Hooks that come by themselves, with the next segment or look."""


def lose(scheduler: Scheduler) -> None:
    """A node dies."""
    address = next(iter(scheduler.workers))
    task = scheduler.remove_worker(address, stimulus_id="died", close=True)
    scheduler.loop.add_callback(lambda: asyncio.ensure_future(task))


def join(scheduler: Scheduler) -> None:
    """A node that is there is told of again, as Dask does for a new one."""
    address = next(iter(scheduler.workers))

    def tell() -> None:
        for plugin in list(scheduler.plugins.values()):
            if isinstance(plugin, LeasePlugin):
                with pytest.raises(RuntimeError):
                    plugin.add_worker(scheduler, address)

    scheduler.loop.add_callback(tell)


def shrink(scheduler: Scheduler) -> None:
    """Somebody asks which nodes may be closed."""

    def ask() -> None:
        with pytest.raises(RuntimeError):
            scheduler.workers_to_close(n=1)

    scheduler.loop.add_callback(ask)


def answer(scheduler: Scheduler) -> None:
    """A worker answers to a recall."""
    handler = scheduler.stream_handlers["steal-response"]
    scheduler.loop.add_callback(
        lambda: handler(key="k", state=None, stimulus_id="s", worker="w")
    )


HOOKS: dict[str, tuple[Any, str, Callable[[Scheduler], None]]] = {
    "add_worker": (LeasePlugin, "_joined", join),
    "remove_worker": (LeasePlugin, "_left", lose),
    "update_graph": (LeasePlugin, "_stamp_all", wait),
    "valid_workers_downscaling": (LeasePlugin, "_offered", shrink),
    "watchdog": (Watchdog, "_sight", wait),
    "recall": (Recaller, "_take", answer),
}


def broken(*args: Any, **kwargs: Any) -> None:
    """Stand in for a rule with a bug."""
    raise RuntimeError("a hook is broken")


def begin(root: Path) -> tuple[Campaign, LocalSite, Any]:
    """Run a campaign that would take a minute."""
    rules = policies(watch=Watch(frozen_s=0.2))
    campaign = Campaign("c", root=root, policies=rules)
    campaign.submit(box_workflow(segments=600, work_s=0.02), scenario=Scenario("s"))
    site = here()
    run = campaign.start(site)
    until_record(root, "c", e.SegmentFinished, run=run)
    return campaign, site, run


@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_in_any_hook_stops_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    """Dask swallows what hooks raise; the campaign ends with that error instead."""
    owner, name, provoke = HOOKS[hook]
    _, site, run = begin(tmp_path)
    scheduler = site.scheduler
    assert scheduler is not None
    monkeypatch.setattr(owner, name, broken)
    provoke(scheduler)

    with pytest.raises(InternalError, match=f"{hook}: RuntimeError: a hook is broken"):
        run.wait(timeout_s=240)


def test_an_exception_while_leases_are_set_stops_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reaches the driver that sets them."""
    campaign, _, run = begin(tmp_path)
    monkeypatch.setattr(Order, "change", broken)
    campaign.prioritize("s", priority=3)

    with pytest.raises(RuntimeError, match="a hook is broken"):
        run.wait(timeout_s=240)


def test_without_the_latch_dask_swallows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign goes on as if its rules were kept: the latch is what stops it."""
    monkeypatch.setattr(LeasePlugin, "failed", lambda self, where, error: None)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=8, work_s=0.02), scenario=Scenario("s"))
    site = here()
    run = campaign.start(site)
    until_record(tmp_path, "c", e.SegmentFinished, run=run)
    monkeypatch.setattr(LeasePlugin, "_stamp_all", broken)

    assert run.wait(timeout_s=240)
    assert same(ended(campaign, "s"), reference_run("s", segments=8))
