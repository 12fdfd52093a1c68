"""Where archives are: names of a driver's own, and those that the journal has."""

from __future__ import annotations

import pytest

from climorch.storage.archive_names import ArchiveNames

PLACE = ("m01", "earth", "1850-01-01-1")
HOME = "cmip/checkpoints/m01/earth"


@pytest.mark.parametrize(
    ("epoch", "known", "path"),
    [
        # Nobody has archived it: it will be where this driver puts it.
        (3, None, f"{HOME}/1850-01-01-1.d3.zip"),
        # An older driver has; the depot may have moved since.
        (3, "s3://old/x/1850-01-01-1.d2.zip", f"{HOME}/1850-01-01-1.d2.zip"),
        # A version of climorch before names had numbers.
        (3, "file:///tape/1850-01-01-1.zip", f"{HOME}/1850-01-01-1.zip"),
        (0, None, f"{HOME}/1850-01-01-1.zip"),
    ],
)
def test_a_checkpoint_is_where_the_journal_says(
    epoch: int, known: str | None, path: str
) -> None:
    """Whoever has put it there."""
    names = ArchiveNames("cmip", epoch, {PLACE: known} if known else None)
    assert names.checkpoint(PLACE) == path


def test_what_a_driver_puts_itself_is_under_its_own_name_from_then_on() -> None:
    """Not before: while it writes, the older one is what there is."""
    url = "file:///tape/1850-01-01-1.d2.zip"
    names = ArchiveNames("cmip", 3, {PLACE: url})
    assert names.own(PLACE) == f"{HOME}/1850-01-01-1.d3.zip"
    assert names.checkpoint(PLACE) == f"{HOME}/1850-01-01-1.d2.zip"
    names.note(PLACE)
    assert names.checkpoint(PLACE) == f"{HOME}/1850-01-01-1.d3.zip"
    assert names.results("m01", "sea") == "cmip/results/m01/sea.d3.zip"


def test_no_two_drivers_and_stages_share_a_name() -> None:
    """Though a stage may be called as one with a number."""
    stages = ("sea", "sea.d1", "sea.d1.zip", "sea.d11")
    paths = [
        ArchiveNames("c", epoch, None).results("m", stage)
        for stage in stages
        for epoch in (1, 2, 11)
    ]
    assert len(set(paths)) == len(paths)
