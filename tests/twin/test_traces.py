"""Published averages on a real workload; it is found through CLIMORCH_TRACES."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from climorch.forecast.swf import Jobs, read_swf
from climorch.twin.swf_replay import replay

KTH = "KTH-SP2-1996-2.swf.gz"


@pytest.fixture(scope="module")
def kth() -> Jobs:
    """Read the trace of the IBM SP2 of KTH (L. Malinowsky), 1996 to 1997."""
    folder = os.environ.get("CLIMORCH_TRACES")
    if folder is None:
        pytest.skip(
            "REAL TRACES NOT CHECKED: set CLIMORCH_TRACES to a folder that holds "
            f"{KTH} from the Parallel Workloads Archive"
        )
    path = Path(folder) / KTH
    # The variable is a promise: where the trace is missing, that is a failure.
    assert path.exists(), f"CLIMORCH_TRACES is set, and {path} is not there"
    return read_swf(path)


def test_the_trace_is_read_whole(kth: Jobs) -> None:
    """All jobs of the trace ran on the hundred processors of the machine."""
    assert len(kth) == 28_489
    assert kth.machine == 100
    assert kth.dropped == {}
    assert int(kth.processors.max()) == 100


# Gaussier et al. (2015), SC'15, article 64: mean bounded slowdown, all jobs.
@pytest.mark.parametrize(
    ("policy", "clairvoyant", "published", "tolerance"),
    [
        ("easy", False, 92.58, 0.03),
        ("easy", True, 71.72, 0.03),
        ("sjbf", False, 69.41, 0.05),
        ("sjbf", True, 49.85, 0.05),
    ],
)
def test_the_published_averages_come_out(
    kth: Jobs, policy: str, clairvoyant: bool, published: float, tolerance: float
) -> None:
    """The mean bounded slowdown is the published one within the tolerance."""
    found = replay(kth, policy=policy, clairvoyant=clairvoyant)

    assert found.mean_bounded_slowdown == pytest.approx(published, rel=tolerance)
    assert found.utilisation == pytest.approx(0.6856, abs=0.0005)


def test_without_backfill_waits_are_far_longer(kth: Jobs) -> None:
    """First come, first served gives what an independent replay found, 6,822."""
    found = replay(kth, policy="fcfs")

    assert found.mean_bounded_slowdown == pytest.approx(6822.0, rel=0.01)
