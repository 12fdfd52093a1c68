"""Zip files that come from somewhere else."""

from __future__ import annotations

import io
import warnings
import zipfile

import pytest

from climorch.errors import CorruptDataError
from climorch.storage.zips import ZipReader, write_zip

MEMBERS = [("MANIFEST.json", b"{}"), ("state.zarr/ocean/T/c/0/0", b"\x00\xff" * 50)]


def written(members: list[tuple[str, bytes]]) -> bytes:
    """Make a file as an archive does."""
    file = io.BytesIO()
    write_zip(file, members)
    return file.getvalue()


def reader(data: bytes) -> ZipReader:
    """Open a file that somebody gave."""
    return ZipReader(io.BytesIO(data), len(data), "file:///a.zip")


def foreign(
    *members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    """Make a file as somebody else would, with whatever names."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as made:
        # That a name is there twice.
        warnings.simplefilter("ignore")
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def test_members_come_back_as_they_were() -> None:
    """Names, lengths and content, whatever else zip keeps."""
    found = reader(written(MEMBERS))

    assert list(found) == [key for key, _ in MEMBERS]
    assert found.lengths == {key: len(content) for key, content in MEMBERS}
    assert [(key, found.read(key, 100)) for key in found] == MEMBERS
    found.refuse_others(key for key, _ in MEMBERS)


def test_equal_members_give_equal_bytes() -> None:
    """Whenever they are written: there is no date in it; the hash is of all of it."""
    first, second = io.BytesIO(), io.BytesIO()
    told = write_zip(first, MEMBERS)

    assert told == write_zip(second, MEMBERS)
    assert first.getvalue() == second.getvalue()
    assert told[0] == len(first.getvalue())
    assert told[1] != write_zip(io.BytesIO(), MEMBERS[:1])[1]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is no zip file"),
        (b"PK\x03\x04" + b"\x00" * 100, "is no zip file"),
        (written(MEMBERS)[:-30], "is no zip file"),
        (foreign(("../../etc/passwd", b"x")), "not safe in a path"),
        (foreign(("/etc/passwd", b"x")), "not safe in a path"),
        (foreign(("a/../../b", b"x")), "not safe in a path"),
        (foreign(("a", b"x"), ("a", b"y")), "is there twice"),
        # A megabyte of zeros in a kilobyte.
        (
            foreign(("a", bytes(10**6)), compression=zipfile.ZIP_DEFLATED),
            "is compressed, which our archives are not",
        ),
    ],
)
def test_what_no_archive_of_ours_is_is_refused(data: bytes, problem: str) -> None:
    """Cut off, escaping its folder, doubled, or larger inside than outside."""
    with pytest.raises(CorruptDataError, match=problem):
        reader(data)


def edited(data: bytes, offset: int, new: bytes) -> bytes:
    """Change the first entry of the directory at the end of a zip file."""
    place = data.index(b"PK\x01\x02") + offset
    return data[:place] + new + data[place + len(new) :]


def test_members_that_claim_more_than_there_is_are_refused() -> None:
    """Overlapping ones, as bombs without compression have them."""
    data = foreign(("a", b"x" * 1000), ("b", b"y" * 1000))
    size = (5000).to_bytes(4, "little")
    lying = edited(edited(data, 20, size), 24, size)

    with pytest.raises(CorruptDataError, match="claim 6000 bytes"):
        reader(lying)


def test_an_encrypted_member_is_refused() -> None:
    """Nobody has a key."""
    with pytest.raises(CorruptDataError, match="is encrypted"):
        reader(edited(foreign(("a", b"x")), 8, b"\x01\x00"))


def test_a_member_that_is_damaged_missing_or_too_long_is_refused() -> None:
    """Before more than that is read."""
    data = written(MEMBERS)
    bad = data.replace(b"\x00\xff\x00\xff", b"\x00\xff\x01\xff", 1)
    key = MEMBERS[1][0]

    with pytest.raises(CorruptDataError, match="is damaged"):
        reader(bad).read(key, 100)
    with pytest.raises(CorruptDataError, match="has no member 'b'"):
        reader(data).read("b", 100)
    with pytest.raises(CorruptDataError, match="has 100 bytes, expected at most 99"):
        reader(data).read(key, 99)


def test_members_that_nobody_listed_are_refused() -> None:
    """With their names."""
    with pytest.raises(CorruptDataError, match="1 unlisted members: 'state"):
        reader(written(MEMBERS)).refuse_others(["MANIFEST.json"])


def test_a_file_whose_beginning_is_missing_is_damaged() -> None:
    """Its members begin before it: on a disk that would look as if that failed."""
    with pytest.raises(CorruptDataError, match="begins before the file"):
        reader(written(MEMBERS)[1:])
