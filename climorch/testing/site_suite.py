"""What every site must do: the conformance suite of the `Site` port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from distributed import Client
from distributed.comm import connect
from distributed.security import Security

from climorch.core.site_ports import Site
from climorch.sites.settings import setting_faults

__all__ = ["SiteSuite"]

PATIENCE_S = 60.0


def _client(site: Site, address: str) -> Client:
    return Client(address, asynchronous=True, security=site.security)


def _arguments(site: Site) -> dict[str, Any]:
    """Return what a connection of one's own needs to get in."""
    if not isinstance(site.security, Security):
        return {}
    return dict(site.security.get_connection_args("client"))


class SiteSuite:
    """Derive from it and give a fixture ``make_site(nodes) -> Site``."""

    @pytest.fixture
    def make_site(self) -> Callable[[int], Site]:
        """Return what makes a site of the kind that is tested."""
        raise LookupError("a suite needs a fixture 'make_site' that returns a site")

    async def test_opens_with_our_settings(
        self, make_site: Callable[[int], Site]
    ) -> None:
        """Dask is set as campaigns need it; a scheduler of its own has no node."""
        site = make_site(1)
        async with _client(site, await site.open()) as client:
            assert await client.run_on_scheduler(setting_faults) == []
            if not site.shared:
                assert client.scheduler_info()["workers"] == {}
        await site.close()

    async def test_nodes_join_with_their_resources(
        self, make_site: Callable[[int], Site]
    ) -> None:
        """Each node joins under its own name, with cores for compute and one I/O."""
        site = make_site(2)
        assert site.most_nodes == 2
        async with _client(site, await site.open()) as client:
            await site.start_nodes()
            await asyncio.wait_for(client.wait_for_workers(2), PATIENCE_S)
            workers = client.scheduler_info()["workers"].values()
            assert len({str(worker["name"]) for worker in workers}) == 2
            for worker in workers if not site.shared else ():
                cores = worker["resources"]["cpu"]
                assert worker["resources"]["io"] == 1
                assert worker["nthreads"] == cores + 1
        await site.close()

    async def test_closing_ends_what_is_its_own_and_nothing_else(
        self, make_site: Callable[[int], Site]
    ) -> None:
        """A site's own Dask scheduler is gone, that of others has all its workers."""
        site = make_site(2)
        address = await site.open()
        await site.start_nodes()
        async with _client(site, address) as client:
            await asyncio.wait_for(client.wait_for_workers(2), PATIENCE_S)
        await site.close()

        if site.shared:
            async with _client(site, address) as client:
                await asyncio.wait_for(client.wait_for_workers(2), PATIENCE_S)
        else:
            with pytest.raises(OSError, match="Timed out"):
                await connect(address, timeout=0.2, **_arguments(site))

    async def test_can_be_opened_again_after_it_was_closed(
        self, make_site: Callable[[int], Site]
    ) -> None:
        """A site that was closed, also right after its nodes were asked for, opens."""
        site = make_site(1)
        await site.open()
        await site.start_nodes()
        await site.close()
        async with _client(site, await site.open()) as client:
            await site.start_nodes()
            await asyncio.wait_for(client.wait_for_workers(1), PATIENCE_S)
        await site.close()
