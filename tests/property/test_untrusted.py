"""Manifests, zip files and journals from elsewhere: refused, never believed.

A few hundred inputs of each kind by default, with ``-m benchmark`` ten thousand in all.
Whatever comes, there is one of our errors or a value that keeps all promises: no other
exception, no path that leaves its folder, no size beyond the file.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from climorch.errors import ClimorchError, CorruptDataError
from climorch.storage.journal import SqliteJournal
from climorch.storage.manifest import decode_manifest, encode_manifest
from climorch.storage.names import is_safe_key
from climorch.storage.zips import ZipReader, write_zip
from tests.unit.storage.journal_cases import written
from tests.unit.storage.test_manifest import GOOD

FEW, MANY = 150, 3500
AMOUNTS = [
    pytest.param(FEW, id="few"),
    pytest.param(MANY, id="many", marks=pytest.mark.benchmark),
]

Change = tuple[str, int, bytes]

changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "repeat", "end"]),
        st.integers(0, 2**16),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)
hostile: st.SearchStrategy[Any] = st.sampled_from(
    [
        "../../etc/passwd",
        "/etc/passwd",
        "state.zarr/../../x",
        "state.zarr/a\0b",
        "C:\\x",
        "~/x",
        "a" * 5000,
        "",
        ".",
        "state.zarr//x",
        2**63,
        -1,
        1e308,
        None,
        [],
        {},
        True,
    ]
)


def changed(data: bytes, how: list[Change]) -> bytes:
    """Return bytes after some changes."""
    for kind, place, piece in how:
        at = place % max(len(data), 1)
        match kind:
            case "set":
                data = data[:at] + piece + data[at + len(piece) :]
            case "cut":
                data = data[:at] + data[at + len(piece) :]
            case "insert":
                data = data[:at] + piece + data[at:]
            case "repeat":
                data = data[:at] + data[at : at + 64] * piece[0] + data[at:]
            case _:
                data = data[:at]
    return data


def tried(count: int, test: Any) -> None:
    """Try a property with so many inputs."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(max_examples=count, suppress_health_check=health)(test)()


def believed(data: bytes) -> None:
    """Decode a manifest; what is not refused keeps its promises."""
    try:
        manifest = decode_manifest(data, "x")
    except CorruptDataError:
        return
    for key, entry in manifest.entries.items():
        assert is_safe_key(key)
        assert 0 <= entry.length < 2**63


@pytest.mark.parametrize("count", AMOUNTS)
def test_a_manifest_is_refused_or_right(count: int) -> None:
    """Broken anywhere, or with its hash right and something else wrong."""
    good = encode_manifest(GOOD)
    plain: dict[str, Any] = msgspec.to_builtins(GOOD)

    @given(how=changes)
    def broken(how: list[Change]) -> None:
        believed(changed(good, how))

    @given(
        field=st.sampled_from(sorted(plain)),
        value=hostile | st.dictionaries(hostile.map(str), hostile, max_size=3),
    )
    def forged(field: str, value: object) -> None:
        body = msgspec.json.encode({**plain, field: value})
        digest = xxhash.xxh3_128_hexdigest(body)
        believed(msgspec.json.encode({"xxh3": digest, "manifest": msgspec.Raw(body)}))

    tried(count, broken)
    tried(count, forged)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"manifest":['])
def test_what_is_nested_without_end_is_refused(opening: bytes) -> None:
    """Before it fills the stack."""
    with pytest.raises(CorruptDataError):
        decode_manifest(opening * 100_000, "x")


def unpacked(data: bytes) -> None:
    """Read all members of a zip; what is not refused is not larger than it is."""
    try:
        reader = ZipReader(io.BytesIO(data), len(data), "x")
        total = 0
        for key in reader:
            assert is_safe_key(key)
            total += len(reader.read(key, len(data)))
        assert total <= len(data)
    except CorruptDataError:
        return


@pytest.mark.parametrize("count", AMOUNTS)
def test_a_zip_is_refused_or_right(count: int) -> None:
    """Lengths that lie, members that overlap, names that lead elsewhere."""
    target = io.BytesIO()
    members = [("MANIFEST.json", b"{}"), ("state.zarr/a/c/0", b"x" * 40), ("b", b"")]
    write_zip(target, members)
    good = target.getvalue()

    @given(how=changes)
    def broken(how: list[Change]) -> None:
        unpacked(changed(good, how))

    tried(count, broken)


@pytest.mark.parametrize("count", AMOUNTS)
def test_a_journal_is_refused_or_right(count: int, tmp_path: Path) -> None:
    """Whatever was done to its pages, and nothing else is written."""
    good = written(tmp_path / "good.sqlite").read_bytes()
    folder = tmp_path / "untrusted"
    folder.mkdir()
    path = folder / "journal.sqlite"

    @given(how=changes)
    def broken(how: list[Change]) -> None:
        for old in folder.iterdir():
            old.unlink()
        path.write_bytes(changed(good, how))
        try:
            reader = SqliteJournal.open_readonly(path)
            try:
                reader.verify()
                for row in reader.read():
                    assert row.serial > 0
                reader.latest_snapshot()
            finally:
                reader.close()
        except ClimorchError:
            pass
        assert {p.name.partition("-")[0] for p in folder.iterdir()} == {path.name}
        assert {p.name for p in tmp_path.iterdir()} <= {
            "good.sqlite",
            "good.sqlite-wal",
            "good.sqlite-shm",
            "untrusted",
        }

    tried(max(count // 3, 50), broken)
