"""What compressing costs a virtual cluster."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.model.codec import LZ4, Codec
from climorch.twin.costs import Overheads
from climorch.twin.packing import Packed, Variable, packed

GB, MB = 10**9, 10**6
CORES = 8
HALF = Packed(share=0.5, bytes_per_s=1000 * MB)


def test_smaller_files_are_read_and_written_sooner() -> None:
    """Half of the bytes, half of the seconds; a stall takes the cores."""
    half = Variable(
        stage="a",
        name="x",
        size_bytes=4 * GB,
        made={LZ4: HALF},
    )
    overheads = Overheads(checkpoint_s=40.0, restore_s=20.0, stall_s=0.5)

    found = packed(overheads, [half], cores=CORES)

    assert (found.checkpoint_s, found.restore_s, found.stall_s) == (20.0, 10.0, 1.0)
    assert (found.state_bytes, found.written_bytes) == (4 * GB, 2 * GB)
    (trial,) = found.tried
    assert (trial.raw_bytes, trial.stored_bytes, trial.used) == (2**20, 2**19, True)


def test_what_makes_no_sense_is_refused_all_at_once() -> None:
    """Shares and speeds above zero, a codec that something is known of, cores."""
    with pytest.raises(InvalidInputError) as caught:
        Packed(share=0.0, bytes_per_s=math.nan)
    assert [fault.place for fault in caught.value.faults] == [
        "Packed.share",
        "Packed.bytes_per_s",
    ]
    with pytest.raises(InvalidInputError) as caught:
        Variable(
            stage="a", name="x", size_bytes=0, made={LZ4: HALF}, codec=Codec("none")
        )
    assert [fault.place for fault in caught.value.faults] == [
        "Variable.size_bytes",
        "Variable.codec",
    ]
    with pytest.raises(InvalidInputError) as caught:
        packed(Overheads(), [], cores=0)
    assert [fault.place for fault in caught.value.faults] == [
        "packed.cores",
        "packed.variables",
    ]
