"""The whole project's syntax trees are kept no longer than one file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.architecture.sources import read


@pytest.fixture(autouse=True, scope="module")
def sources_are_forgotten() -> Iterator[None]:
    """Let go of them: hundreds of megabytes that every collection looks through."""
    yield
    read.cache_clear()
