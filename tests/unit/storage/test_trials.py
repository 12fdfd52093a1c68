"""What codecs make of a piece of a variable."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.model.codec import LZ4, Codec
from climorch.storage.codec import encode
from climorch.storage.trials import (
    CANDIDATES,
    LEAST_BYTES,
    MOST_BYTES,
    Piece,
    try_codecs,
)

PIECE = Piece(stage="air", variable="tracer", whole_bytes=10**9)


@pytest.mark.parametrize("used", [LZ4, Codec("zstd", 9)])
def test_all_are_tried_on_the_first_megabyte_the_one_in_use_first(used: Codec) -> None:
    """And each result is what would be stored of it."""
    values = np.arange(2**19, dtype="f4").reshape(2, -1)

    found = try_codecs(PIECE, values, used)

    others = [codec for codec in CANDIDATES if codec != used]
    assert [trial.codec for trial in found] == [used, *others]
    assert [trial.used for trial in found] == [True] + [False] * len(others)
    assert {trial.raw_bytes for trial in found} == {MOST_BYTES}
    assert {trial.whole_bytes for trial in found} == {10**9}
    assert {(trial.stage, trial.variable) for trial in found} == {("air", "tracer")}
    assert all(trial.cpu_s >= 0.0 for trial in found)
    first = values.reshape(-1)[: 2**18]
    assert [trial.stored_bytes for trial in found] == [
        len(encode(first, first.shape, codec).payload) + 4 for codec in (used, *others)
    ]
    by_name = {trial.codec.name: trial.stored_bytes for trial in found}
    assert by_name["zstd"] < by_name["none"] == MOST_BYTES + 4


def test_a_chunk_that_is_small_is_not_tried() -> None:
    """From the least bytes on it is, whole."""
    assert try_codecs(PIECE, np.zeros(LEAST_BYTES - 1, "u1"), LZ4) == ()
    found = try_codecs(PIECE, np.zeros(LEAST_BYTES, "u1"), LZ4)
    assert {trial.raw_bytes for trial in found} == {LEAST_BYTES}
