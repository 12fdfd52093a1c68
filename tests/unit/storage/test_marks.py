"""Whether a node can write a campaign's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from climorch.storage.marks import close_marks, leave_mark, open_marks, remove_mark


def test_a_node_that_can_write_leaves_a_mark_that_can_be_removed(
    tmp_path: Path,
) -> None:
    """Nothing of it is left, however often."""
    place = open_marks(tmp_path)
    for _ in range(2):
        assert leave_mark(place, "n1") == ""
        assert sorted(p.name for p in place.iterdir()) == ["n1", "word"]
        assert sorted(p.name for p in (place / "n1").iterdir()) == ["second"]
        assert remove_mark(place, "n1") == ""
    # It was removed by somebody else.
    assert remove_mark(place, "n1") == ""
    close_marks(place)
    assert list(tmp_path.iterdir()) == []


def test_what_drivers_before_left_is_removed(tmp_path: Path) -> None:
    """They died without closing it."""
    left = open_marks(tmp_path)
    place = open_marks(tmp_path)
    assert list(tmp_path.iterdir()) == [place]
    assert left != place


def test_another_folder_of_the_same_name_is_told_apart(tmp_path: Path) -> None:
    """As where each machine has one of its own."""
    place = tmp_path / ".nodes-0123"
    told = leave_mark(place, "n1")
    assert told == f"cannot read {tmp_path}: No such file or directory"
    place.mkdir()
    (place / "word").write_text("4567")
    assert leave_mark(place, "n1") == f"{tmp_path} is another folder there"


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the half of a mark is no mark."""
    place = open_marks(tmp_path)

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("climorch.storage.durable.rename", refused)
        told = leave_mark(place, "n1")
    assert told == f"cannot write in {tmp_path}: Permission denied"
    assert [p.name for p in place.iterdir()] == ["word"]


def test_a_mark_that_cannot_be_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then all else that the node writes could not be either."""
    place = open_marks(tmp_path)
    assert leave_mark(place, "n1") == ""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("climorch.storage.durable.remove_tree", refused)
        told = remove_mark(place, "n1")
    assert told == "leaves what cannot be removed here: Permission denied"
    assert os.listdir(place / "n1") == ["second"]
