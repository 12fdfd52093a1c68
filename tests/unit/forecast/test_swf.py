"""Traces in the Standard Workload Format, good and bad."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from climorch.errors import BackendError, InvalidInputError, NotFoundError
from climorch.forecast.swf import Jobs, read_swf

HEADER = "; Version: 2.2\n;MaxNodes: 50\n; MaxProcs:  100 \n; MaxProcs: many\n;\n\n"


def line(
    job: object,
    submit: object,
    run: object,
    given: object = 4,
    asked: object = -1,
    request: object = -1,
) -> str:
    """Write a line of eighteen fields."""
    return f"{job} {submit} 7 {run} {given} 3.5 -1 {asked} {request}" + " -1" * 9 + "\n"


def read(folder: Path, text: str | bytes) -> Jobs:
    """Read a trace of some text."""
    path = folder / "t.swf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_swf(path)


def test_jobs_come_by_arrival_with_requests_and_processors(tmp_path: Path) -> None:
    """Requested processors count, else allocated ones; runs are cut at the request."""
    jobs = read(
        tmp_path,
        HEADER
        + line(1, 50, 30, given=4, asked=8, request=60)
        + line(2, 20, 90, given=4, asked=-1, request=60)
        + line(3, 50, 0, given=2, asked=0, request=0)
        + line(4, 20, 11.9, given=2, asked=1, request=-1),
    )

    assert jobs.number.tolist() == [2, 4, 1, 3]
    assert jobs.submit_s.tolist() == [20, 20, 50, 50]
    assert jobs.run_s.tolist() == [60, 11, 30, 0]
    assert jobs.request_s.tolist() == [60, 11, 60, 1]
    assert jobs.processors.tolist() == [4, 1, 8, 2]
    assert jobs.machine == 100
    assert jobs.dropped == {}
    assert len(jobs) == 4


def test_what_did_not_run_is_dropped_and_counted(tmp_path: Path) -> None:
    """Jobs without run time, processors or arrival are left out, by reason."""
    jobs = read(
        tmp_path,
        line(1, 5, -1)
        + line(2, 5, -1, given=0)
        + line(3, 5, 9, given=0)
        + line(4, -1, 9)
        + line(5, 6, 9),
    )

    assert jobs.number.tolist() == [5]
    assert jobs.machine == 0
    assert jobs.dropped == {"no run time": 2, "no processors": 1, "no arrival": 1}


def test_a_compressed_trace_is_known_by_its_content(tmp_path: Path) -> None:
    """Whatever its name, what gzip made is unpacked."""
    jobs = read(tmp_path, gzip.compress((HEADER + line(1, 5, 9)).encode()))

    assert jobs.number.tolist() == [1]


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    """One error lists all lines that are no jobs."""
    text = HEADER + "1 2 3\n" + line(1, 5, 9) + line(2, "x", 9) + line(3, 5, "1e16")
    text += line(4, 5, "nan") + line(5, "inf", 9)

    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path, text)

    assert [str(fault) for fault in caught.value.faults] == [
        "t.swf, line 7: 3 fields, expected 18; comments begin with ';'",
        "t.swf, line 9: could not convert string to float: b'x'; "
        "fields are numbers below 1e15, -1: unknown",
        "t.swf, line 10: 10000000000000000 is too large; "
        "fields are numbers below 1e15, -1: unknown",
        "t.swf, line 11: cannot convert float NaN to integer; "
        "fields are numbers below 1e15, -1: unknown",
        "t.swf, line 12: cannot convert float infinity to integer; "
        "fields are numbers below 1e15, -1: unknown",
    ]


def test_of_very_many_faults_the_first_are_shown(tmp_path: Path) -> None:
    """Junk gives an error of twenty faults that counts the rest."""
    with pytest.raises(
        InvalidInputError, match="5 more faults are not shown"
    ) as caught:
        read(tmp_path, "junk\n" * 25)

    assert len(caught.value.faults) == 20


def test_bytes_of_any_kind_are_faults_and_nothing_worse(tmp_path: Path) -> None:
    """A binary file without line ends is refused, in pieces of bounded size."""
    with pytest.raises(InvalidInputError, match="line 1: 1 fields, expected 18"):
        read(tmp_path, b"\xff\x00\x80" * 5000)


@pytest.mark.parametrize("text", ["", HEADER, line(1, 5, -1)])
def test_a_trace_without_jobs_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing to replay is an error."""
    with pytest.raises(InvalidInputError, match=r"t\.swf: it holds no job that ran"):
        read(tmp_path, text)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """A compressed file that is cut off or changed is never read in part."""
    whole = gzip.compress((HEADER + line(1, 5, 9) * 300).encode())
    changed = whole[:40] + bytes(byte ^ 0xFF for byte in whole[40:60]) + whole[60:]

    for content in (whole[:-20], changed):
        with pytest.raises(InvalidInputError, match="the compressed file is damaged"):
            read(tmp_path, content)


def test_a_trace_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file is not found; what is no file cannot be read."""
    with pytest.raises(NotFoundError, match=r"there is no trace .*gone\.swf"):
        read_swf(tmp_path / "gone.swf")
    with pytest.raises(BackendError, match="cannot read the trace"):
        read_swf(str(tmp_path))
