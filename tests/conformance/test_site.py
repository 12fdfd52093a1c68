"""Every site passes the suite of the port."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from climorch.core.ports import Site
from climorch.errors import InvalidInputError
from climorch.sites.local import LocalSite
from climorch.testing.site_suite import SiteSuite


class TestInProcess(SiteSuite):
    @pytest.fixture
    def make_site(self) -> Callable[[int], Site]:
        return lambda nodes: LocalSite(nodes=nodes, in_process=True)


@pytest.mark.live
class TestProcesses(SiteSuite):
    @pytest.fixture
    def make_site(self) -> Callable[[int], Site]:
        return lambda nodes: LocalSite(nodes=nodes)


def test_refuses_a_site_without_nodes_or_threads() -> None:
    """All faults of a local site are told at once."""
    with pytest.raises(InvalidInputError) as caught:
        LocalSite(nodes=0, threads=0)
    assert [fault.place for fault in caught.value.faults] == [
        "LocalSite.nodes",
        "LocalSite.threads",
    ]
