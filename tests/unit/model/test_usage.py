"""Usage in a journal: small, and not there in older ones."""

from __future__ import annotations

import msgspec

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.usage import Usage

FINISHED = e.SegmentFinished(
    simulation="s", stage="a", segment=3, attempt=1, seconds=60.0
)


def test_an_older_journal_has_no_usage() -> None:
    """It reads as not measured."""
    row = msgspec.json.decode(c.encode_record(FINISHED))
    del row["usage"]

    assert c.decode_record(msgspec.json.encode(row)) == FINISHED


def test_usage_comes_back_and_takes_few_bytes() -> None:
    """What is nothing is not written."""
    usage = Usage(
        task_s=119.875,
        transfer_s=1.5,
        io_s=0.25,
        cpu_s=118.125,
        memory_bytes=3_221_225_472,
        output_bytes=134_217_728,
    )
    measured = msgspec.structs.replace(FINISHED, usage=usage)
    encoded = c.encode_record(measured)

    assert c.decode_record(encoded) == measured
    assert len(encoded) - len(c.encode_record(FINISHED)) < 130
    assert msgspec.json.encode(Usage(cpu_s=1.5)) == b'{"cpu_s":1.5}'
