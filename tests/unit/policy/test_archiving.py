"""What goes to an archive, and what is asked back."""

from __future__ import annotations

import math
from typing import Any

import cftime
import pytest

from climorch.errors import InvalidInputError
from climorch.policy.archiving import Archive, worth_recalling
from climorch.policy.calendar import TIME_UNITS
from climorch.policy.retention import Kept

URL = "file:///tape"


def dated(year: int) -> int:
    """Model time of the first of July of a year."""
    date = cftime.DatetimeNoLeap(year, 7, 1)
    return int(cftime.date2num(date, TIME_UNITS, "noleap"))


def kept(
    *years: int, archived: tuple[int, ...] = (), bad: tuple[int, ...] = ()
) -> list[Kept]:
    """Checkpoints 1, 2, … in some years."""
    return [
        Kept(
            boundary=i,
            good=year not in bad,
            archived=year in archived,
            model_s=dated(year),
            calendar="noleap",
        )
        for i, year in enumerate(years, start=1)
    ]


@pytest.mark.parametrize(
    ("every", "have", "covered", "wanted"),
    [
        ("", kept(1850, 1851), (), ()),
        ("", kept(1850, 1851, 1852), (), (3,)),
        ("", kept(1850, 1851, 1852, archived=(1852,)), (1852,), ()),
        ("", kept(1850, 1851, 1852, bad=(1852,)), (), ()),
        ("1YS", kept(1850, 1850, 1851), (), (1, 3)),
        ("1YS", kept(1850, 1850, 1851, archived=(1850,)), (1850,), (3,)),
        # The end of a phase is, even where its unit has one already.
        ("10YS", kept(1850, 1851, 1852), (1850,), (3,)),
        # One whose unit was archived before it was deleted.
        ("10YS", kept(1858, 1859), (1851,), ()),
        ("10YS", kept(1858, 1860, bad=(1858,)), (), (2,)),
        ("10YS", [], (), ()),
    ],
)
def test_what_is_archived_next(
    every: str, have: list[Kept], covered: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    """Ends of phases (here boundary 3), and the first of each unit."""
    rules = Archive(url=URL, every=every)
    times = [dated(year) for year in covered]

    assert rules.wanted(have, last=3, archived_model_s=times) == wanted


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"url": "tape"}, "Archive.url"),
        ({"url": "file://host/tape"}, "Archive.url"),
        ({"url": "s3://key:hush@bucket/p"}, "Archive.url"),
        ({"every": "yearly"}, "Archive.every"),
        ({"bytes_per_s": 0.0}, "Archive.bytes_per_s"),
        ({"poll_s": 0.0}, "Archive.poll_s"),
        ({"poll_s": math.inf}, "Archive.poll_s"),
    ],
)
def test_an_archive_that_cannot_be_is_refused(
    given: dict[str, Any], place: str
) -> None:
    """With the place of each fault."""
    with pytest.raises(InvalidInputError, match=place):
        Archive(**{"url": URL, **given})


def test_credentials_are_not_shown() -> None:
    """Rules are logged; what opens a bucket is not."""
    assert "hush" not in repr(Archive(url="s3://b/p", options={"secret": "hush"}))
    with pytest.raises(InvalidInputError, match="a key stands in it") as refused:
        Archive(url="s3://key:hush@b/p")
    assert "hush" not in str(refused.value)
    assert Archive(url=URL, bytes_per_s=math.inf).bytes_per_s == math.inf


@pytest.mark.parametrize(
    ("archived", "unreadable", "committed", "found"),
    [
        ((), (), 0, None),
        ((3, 5), (), 0, 5),
        ((3, 5), (5,), 0, 3),
        ((3, 5), (), 3, 5),
        ((3, 5), (), 5, None),
        ((3, 5), (5,), 3, None),
        # Beyond an end that was moved.
        ((3, 9), (), 0, 3),
    ],
)
def test_what_is_worth_to_be_asked_back(
    archived: tuple[int, ...],
    unreadable: tuple[int, ...],
    committed: int,
    found: int | None,
) -> None:
    """The newest that is newer than all on the disk."""
    assert worth_recalling(archived, unreadable, committed=committed, last=8) == found
