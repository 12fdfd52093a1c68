"""Wishes as files: there fully or not at all, and nothing else passes for one."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from climorch import BackendError
from climorch.model import events as e
from climorch.storage import durable, inbox

PAUSE = e.PauseRequested(simulation="s")
NAME = "00000000000000000001-0123456789ab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The inbox of a campaign that does not exist yet."""
    return tmp_path / "c" / "inbox"


def write(folder: Path, name: str = NAME, **changed: Any) -> Path:
    """Lay down what may or may not be a wish."""
    content = {
        "type": "WishTaken",
        "id": NAME,
        "by": "ada@h (9)",
        "given_s": 1.0,
        "wish": {"type": "PauseRequested", "simulation": "s"},
        **changed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.encode(content))
    return path


def problem(folder: Path) -> str:
    """What is wrong with the only thing that lies there."""
    found = inbox.look(folder)
    assert found.wishes == ()
    (junk,) = found.junk
    return junk.problem


WISHES: tuple[e.Wish, ...] = (
    PAUSE,
    e.ResumeRequested(simulation="s"),
    e.CancelRequested(simulation="s"),
    e.PriorityRequested(simulation="s", priority=-3),
    e.DrainRequested(node="tcp://10.0.0.1:4000"),
    e.UndrainRequested(node="n"),
)


def test_wishes_are_found_as_and_in_the_order_they_were_given(folder: Path) -> None:
    """Every kind survives, with who gave it and when, until it is removed."""
    given = [inbox.put(folder, wish, by="ada@h (9)") for wish in WISHES]

    assert inbox.look(folder) == inbox.Found(wishes=tuple(given))
    assert [taken.wish for taken in given] == list(WISHES)
    assert len({taken.id for taken in given}) == len(WISHES)
    assert {taken.by for taken in given} == {"ada@h (9)"}
    inbox.remove(folder, given[0].id)
    inbox.remove(folder, given[0].id)
    assert inbox.look(folder).wishes == tuple(given[1:])


def test_names_ascend_though_the_clock_stands_still(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two wishes of one process are never in the wrong order."""
    monkeypatch.setattr("time.time_ns", lambda: 5)
    given = [inbox.put(folder, PAUSE, by="me").id for _ in range(20)]

    assert given == sorted(given)
    assert len(set(given)) == 20


def test_a_wish_is_durable_when_it_was_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is flushed, takes its name, and then its folder is flushed."""
    done: list[str] = []
    write_durably, fsync_directory = durable.write_durably, durable.fsync_directory

    def writing(path: Any, data: Any) -> Any:
        done.append("file")
        return write_durably(path, data)

    def flushing(path: Any) -> None:
        done.append(f"folder {Path(path).name}")
        fsync_directory(path)

    monkeypatch.setattr(durable, "write_durably", writing)
    monkeypatch.setattr(durable, "fsync_directory", flushing)
    inbox.put(folder, PAUSE, by="me")

    assert done[-2:] == ["file", "folder inbox"]
    assert "folder c" in done


def test_a_full_disk_is_told_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wish that could not be written was not given."""

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(BackendError, match="No space left"):
        inbox.put(folder, PAUSE, by="me")
    assert list(folder.iterdir()) == []


def test_an_empty_or_missing_inbox_is_nothing(folder: Path) -> None:
    """Before the first wish there is no folder."""
    assert inbox.look(folder) == inbox.Found()
    folder.mkdir(parents=True)
    (folder / f"{durable.TEMPORARY_PREFIX}half").write_bytes(b"{")
    assert inbox.look(folder) == inbox.Found()


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"id": "another"}, "it says that it is 'another'"),
        ({"by": ""}, "it does not say who gave it and when"),
        ({"by": "x" * 257}, "it does not say who gave it and when"),
        ({"by": "a\nforged line"}, "it does not say who gave it and when"),
        ({"given_s": None}, r"it cannot be read: Expected `float`"),
        ({"wish": {"type": "StopRequested"}}, "it cannot be read: Invalid value"),
        ({"wish": {"type": "PauseRequested"}}, "missing required field `simulation`"),
        ({"wish": {"type": "PauseRequested", "simulation": "../s"}}, "no simulation"),
        ({"wish": {"type": "DrainRequested", "node": ""}}, "it names no node"),
        ({"wish": {"type": "UndrainRequested", "node": "n\x00"}}, "it names no node"),
        (
            {
                "wish": {
                    "type": "PriorityRequested",
                    "simulation": "s",
                    "priority": 2**40,
                }
            },
            "its priority is out of range",
        ),
        ({"type": "NodeLost"}, "it cannot be read: Invalid value 'NodeLost'"),
    ],
)
def test_what_is_no_proper_wish_is_junk(
    folder: Path, changed: dict[str, Any], wrong: str
) -> None:
    """Forms, names and ranges are checked before anything is believed."""
    write(folder, **changed)

    assert re.search(wrong, problem(folder))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 50_000, b'"text"', b"null"]
)
def test_bytes_that_are_no_json_of_ours_are_junk(folder: Path, content: bytes) -> None:
    """Whatever was written there is named, not raised."""
    write(folder).write_bytes(content)

    assert problem(folder).startswith("it cannot be read: ")


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    """Its size is looked at before its content."""
    path = write(folder)
    os.truncate(path, 10 * 2**30)

    assert problem(folder) == f"it has {10 * 2**30} bytes, at most 65536"


def test_other_names_links_pipes_and_folders_are_junk(folder: Path) -> None:
    """Nothing is followed and nothing is waited for."""
    elsewhere = write(folder.parent / "elsewhere")
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("hello")
    (folder / f"{NAME}.json").symlink_to(elsewhere)
    os.mkfifo(folder / f"{NAME[:-1]}c.json")
    (folder / f"{NAME[:-1]}d.json").mkdir()

    found = inbox.look(folder)

    assert found.wishes == ()
    assert [
        (junk.name[-6:], junk.problem.partition(":")[0]) for junk in found.junk
    ] == [
        ("b.json", "it cannot be opened"),
        ("c.json", "it is no file"),
        ("d.json", "it is no file"),
        ("es.txt", "its name is not that of a wish"),
    ]


def test_junk_is_set_aside_and_kept(folder: Path) -> None:
    """It is evidence; the inbox is clean afterwards, however long the name."""
    names = ["notes.txt", "x" * 255]
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
        kept = inbox.set_aside(folder, name)
        assert kept.read_text() == name
        assert kept.parent == folder / "junk"

    assert inbox.look(folder) == inbox.Found()


def test_a_flood_is_taken_in_portions(folder: Path) -> None:
    """The oldest thousand first; what is removed makes room for the rest."""
    for number in range(1003):
        name = f"{number:020d}-0123456789ab"
        write(folder, name, id=name)
    first = inbox.look(folder).wishes
    assert (len(first), first[-1].id[:20]) == (1000, f"{999:020d}")

    for wish in first:
        inbox.remove(folder, wish.id)
    assert len(inbox.look(folder).wishes) == 3


def test_a_folder_that_cannot_be_read_is_told(folder: Path) -> None:
    """A broken disk is an error that passes, not an empty inbox."""
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")

    with pytest.raises(BackendError, match="cannot read the inbox"):
        inbox.look(folder)
