"""Where a program runs is said by the lease and the attempt."""

from __future__ import annotations

import pytest

from climorch.engine.opaque_jobs import _machine


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("tcp://127.0.0.1:4711", ""),
        ("tls://10.0.0.7:4711", "10.0.0.7"),
        ("tls://n7.cluster:4711", "n7.cluster"),
        ("tcp://[fe80::1]:4711", "fe80::1"),
        ("tcp://[::1]:4711", ""),
        ("inproc://10.0.0.7/1/2", ""),
        ("tcp://localhost:1", ""),
    ],
)
def test_a_machine_is_known_by_its_worker(address: str, expected: str) -> None:
    """The one at hand has no name."""
    assert _machine(address) == expected
