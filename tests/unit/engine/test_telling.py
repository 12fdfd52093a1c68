"""What went wrong is one line of the log that people read."""

from __future__ import annotations

import pytest

from climorch.engine.telling import line_of
from climorch.model import events as e

SEGMENT = e.SegmentFailed(
    simulation="m01",
    stage="sea",
    segment=3,
    attempt=1,
    cause=e.Cause.MODEL,
    message="ValueError: negative mass\nin layer 3 (box.py:5, in step)",
)
CHECKPOINT = e.CheckpointFailed(
    simulation="m01",
    set="sea",
    boundary=4,
    attempt=2,
    cause=e.Cause.STORAGE,
    message="BackendError: the disk is full",
)
SCRUBBED = e.CheckpointScrubbed(
    simulation="m01",
    set="sea",
    boundary=0,
    repaired=("a", "b"),
    bad=("c is missing",),
    damaged=True,
)


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        (
            SEGMENT,
            "segment failed simulation=m01 stage=sea segment=3 attempt=1 "
            "cause='error in the model' message=ValueError: negative mass | in layer 3 "
            "(box.py:5, in step)",
        ),
        (
            CHECKPOINT,
            "checkpoint failed simulation=m01 set=sea boundary=4 attempt=2 "
            "cause='storage' message=BackendError: the disk is full",
        ),
        (
            SCRUBBED,
            "checkpoint scrubbed simulation=m01 set=sea boundary=0 damaged=True "
            "repaired='a, b' bad='c is missing'",
        ),
    ],
)
def test_a_fact_is_told_in_a_line(fact: e.Fact, line: str) -> None:
    """Who, where, why and the message; what it does not say is left out."""
    assert line_of(fact) == line
