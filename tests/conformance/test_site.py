"""Every site passes the suite of the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from climorch.core.site_ports import UNKNOWN_NODES, Site
from climorch.errors import InvalidInputError
from climorch.sites.dask import DaskSite
from climorch.sites.local import LocalSite
from climorch.testing.site_suite import SiteSuite
from tests.live.outside import cluster


class TestInProcess(SiteSuite):
    @pytest.fixture
    def make_site(self) -> Callable[[int], Site]:
        return lambda nodes: LocalSite(nodes=nodes, in_process=True)


@pytest.mark.live
class TestProcesses(SiteSuite):
    @pytest.fixture
    def make_site(self) -> Callable[[int], Site]:
        return lambda nodes: LocalSite(nodes=nodes)


@pytest.mark.live
class TestMixed(SiteSuite):
    @pytest.fixture
    def make_site(self) -> Callable[[int], Site]:
        return lambda nodes: LocalSite(nodes=nodes, in_process=1)


class TestExistingCluster(SiteSuite):
    @pytest.fixture
    def make_site(self) -> Iterator[Callable[[int], Site]]:
        with ExitStack() as stack:
            yield lambda nodes: DaskSite(
                stack.enter_context(cluster(nodes)), min_nodes=nodes
            )


def test_refuses_a_site_without_nodes_or_threads() -> None:
    """All faults of a local site are told at once."""
    with pytest.raises(InvalidInputError) as caught:
        LocalSite(nodes=0, threads=0, in_process=2)
    assert [fault.place for fault in caught.value.faults] == [
        "LocalSite.nodes",
        "LocalSite.threads",
        "LocalSite.in_process",
    ]


@pytest.mark.parametrize(("in_process", "here"), [(False, 0), (True, 3), (1, 1)])
def test_a_number_says_how_many_nodes_are_in_this_process(
    in_process: bool | int, here: int
) -> None:
    """True is all of them, 1 is one."""
    assert LocalSite(nodes=3, in_process=in_process).nodes_here == here


def test_refuses_what_is_no_dask_cluster() -> None:
    """All faults of an existing cluster are told at once."""
    with pytest.raises(InvalidInputError) as caught:
        DaskSite("localhost:8786", nodes=1, min_nodes=2, patience_s=-1.0)
    assert [fault.place for fault in caught.value.faults] == [
        "DaskSite.address_or_cluster",
        "DaskSite.nodes",
        "DaskSite.patience_s",
    ]
    with pytest.raises(InvalidInputError, match="a dict has no scheduler_address"):
        DaskSite({})


class Adaptive:
    maximum = 7.0


class Object:
    """A cluster object as others make them."""

    scheduler_address = "tcp://127.0.0.1:1"
    plan: tuple[int, ...] = ()
    _adaptive: Adaptive | None = None


def test_most_nodes_are_what_is_given_planned_or_adapted_to() -> None:
    """An address alone says nothing: no simulation is refused for its size."""
    planned, adaptive = Object(), Object()
    planned.plan = (0, 1, 2)
    adaptive._adaptive = Adaptive()

    assert DaskSite(planned).most_nodes == 3
    assert DaskSite(adaptive).most_nodes == 7
    assert DaskSite(adaptive, nodes=2).most_nodes == 2
    assert DaskSite("tcp://127.0.0.1:1").most_nodes == UNKNOWN_NODES
