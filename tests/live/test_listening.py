"""Nothing on this machine listens to others, unless it is asked to."""

from __future__ import annotations

import psutil
import pytest

from climorch import LocalSite
from climorch.sites import local


def listening() -> set[str]:
    """Addresses at which this process and all that it has started listen."""
    me = psutil.Process()
    return {
        contact.laddr.ip
        for process in (me, *me.children(recursive=True))
        for contact in process.net_connections(kind="tcp")
        if contact.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize(
    "in_process", [True, pytest.param(False, marks=pytest.mark.benchmark)]
)
async def test_nothing_listens_outside_of_this_machine(in_process: bool) -> None:
    """Neither Dask nor its pages, which need no key."""
    site = LocalSite(nodes=1, in_process=in_process)
    await site.open()
    try:
        await site.start_nodes()
        assert listening() == {"127.0.0.1"}
    finally:
        await site.close()


async def test_what_listens_to_others_would_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Dask's pages do where nothing is said."""
    monkeypatch.setattr(local, "PAGES", ":0")
    site = LocalSite(nodes=1, in_process=True)
    await site.open()
    try:
        await site.start_nodes()
        assert listening() & {"0.0.0.0", "::"}
    finally:
        await site.close()
