"""One nursery for all tests here: importing takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from climorch.engine import nursery
from climorch.engine.children import Children
from climorch.testing.faults import until
from tests.unit.engine.model_cases import gone


@pytest.fixture(scope="session", autouse=True)
def kept_nursery() -> Iterator[None]:
    """Keep it between tests; nothing of it is left at the end."""
    keeper = object()
    home = nursery.join(keeper)
    yield
    nursery.leave(keeper)
    assert gone(home.pid)


@pytest.fixture
def children() -> Iterator[Children]:
    """The processes of one node; none is left after the test."""
    found = Children()
    yield found
    pids = found.pids().values()
    found.close()
    until(lambda: all(map(gone, pids)), what="every process is gone")
