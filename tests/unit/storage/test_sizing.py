"""How much checkpoints hold, and what all of a campaign takes."""

from __future__ import annotations

from pathlib import Path

from climorch.storage.sizing import encoded_bytes, freed_by, physical_bytes, raw_bytes
from climorch.storage.usage import StorageReport, TierUse, storage_of
from tests.unit.storage.checkpoint_cases import CHUNKS, open_store, request, save


def on_disk(root: Path) -> int:
    """Bytes of all files below, each once."""
    found = {p.stat().st_ino: p.stat().st_size for p in root.rglob("*") if p.is_file()}
    return sum(found.values())


def test_a_shared_file_counts_once(tmp_path: Path) -> None:
    """Told by manifests, and equal to what the disk says."""
    store = open_store(tmp_path)
    first = save(store, request(1))
    second = save(store, request(2, shift=1.0, previous=first))
    third = save(store, request(3, shift=1.0, previous=second, full=True))
    both = physical_bytes([first, second])
    lengths = [first.manifest.entries[key].length for key in CHUNKS]
    own = [second.manifest.entries[key].length for key in CHUNKS if "ocean/T" in key]

    assert physical_bytes([]) == 0
    assert physical_bytes([first]) == sum(lengths)
    assert both == sum(lengths) + sum(own)
    assert physical_bytes([first, second, third]) == both + physical_bytes([third])
    for checkpoint in (first, second, third):
        files = [p for p in checkpoint.path.rglob("*") if p.is_file()]
        assert encoded_bytes(checkpoint.manifest) == sum(
            p.stat().st_size for p in files if p.name != "MANIFEST.json"
        )
        # 12 float32, 3 bool, 3 float64.
        assert raw_bytes(checkpoint.manifest) == 48 + 3 + 24


def test_what_a_deletion_frees_is_what_no_other_has(tmp_path: Path) -> None:
    """In the middle of a chain, at its end, and of a copy of its own."""
    store = open_store(tmp_path)
    first = save(store, request(1))
    second = save(store, request(2, shift=1.0, previous=first))
    third = save(store, request(3, shift=2.0, previous=second))
    full = save(store, request(4, shift=2.0, previous=third, full=True))
    all_of_them = [first, second, third, full]
    changing = [k for k in CHUNKS if "ocean/T" in k]

    for checkpoint in (first, second, third):
        own = sum(checkpoint.manifest.entries[k].length for k in changing)
        assert freed_by(checkpoint, all_of_them) == own
    assert freed_by(full, all_of_them) == physical_bytes([full])
    before = physical_bytes(all_of_them)
    assert physical_bytes(all_of_them[1:]) == before - freed_by(first, all_of_them)


def test_a_report_finds_every_file_once(tmp_path: Path) -> None:
    """Tier by tier; what two tiers share counts for the first."""
    store = open_store(tmp_path)
    first = save(store, request(1))
    second = save(store, request(2, shift=1.0, previous=first))
    save(store, request(3, shift=2.0, previous=second))
    store.delete("m01", "earth", 1, now_s=1.0)
    store.set_aside("m01", "earth", 2)
    uses = storage_of(tmp_path, "cmip", [("m01", "earth"), ("m02", "earth")])
    report = StorageReport(uses=uses, budget_bytes=10, counted_bytes=5)
    table = report.to_pandas()

    assert [(u.tier, u.simulation, u.items) for u in uses] == [
        ("checkpoints", "m01", 1),
        ("trash", "", 1),
        ("damaged", "", 1),
        ("inflight", "", 1),
    ]
    assert report.physical_bytes == on_disk(tmp_path)
    assert table.loc["checkpoints", "m01"]["logical_bytes"] == 75
    # It has three chunks of the one that was deleted.
    assert (
        table.loc["trash", ""]["physical_bytes"]
        < (table.loc["trash", ""]["encoded_bytes"])
    )


def test_a_campaign_without_a_folder_keeps_nothing(tmp_path: Path) -> None:
    """Before it has run."""
    assert storage_of(tmp_path, "cmip", [("m01", "earth")]) == ()


def test_what_links_and_codec_save_is_told_apart() -> None:
    """Over checkpoints alone; archives do not lie on this disk."""
    numbers = {"items": 2, "logical_bytes": 100, "encoded_bytes": 70}
    report = StorageReport(
        uses=(
            TierUse(tier="checkpoints", simulation="a", physical_bytes=40, **numbers),
            TierUse(tier="checkpoints", simulation="b", physical_bytes=50, **numbers),
            TierUse(tier="results", simulation="a", physical_bytes=7, **numbers),
            TierUse(tier="archive", simulation="a", physical_bytes=1000, **numbers),
        )
    )

    assert report.logical_bytes == 200
    assert report.saved_by_codec_bytes == 60
    assert report.saved_by_links_bytes == 50
    assert report.physical_bytes == 97


def test_a_file_that_vanishes_while_it_is_counted_is_none(tmp_path: Path) -> None:
    """A deletion may go on meanwhile; here a name stands for nothing."""
    trash = tmp_path / "cmip" / "trash"
    trash.mkdir(parents=True)
    (trash / "1-old").symlink_to(tmp_path / "nowhere")
    (use,) = storage_of(tmp_path, "cmip", [])

    assert (use.tier, use.items, use.physical_bytes) == ("trash", 1, 0)


def test_a_report_prints_sizes_that_people_read() -> None:
    """What is on the disk, what is saved, and a line for each tier that has any."""
    uses = (
        TierUse(
            tier="checkpoints",
            simulation="m01",
            items=3,
            logical_bytes=9_000_000_000,
            encoded_bytes=4_000_000_000,
            physical_bytes=2_500_000_000,
        ),
        TierUse(
            tier="results",
            simulation="m01",
            items=1,
            logical_bytes=0,
            encoded_bytes=1_500,
            physical_bytes=1_500,
        ),
        TierUse(
            tier="trash",
            simulation="",
            items=0,
            logical_bytes=0,
            encoded_bytes=0,
            physical_bytes=0,
        ),
    )
    assert str(StorageReport(uses=uses)) == (
        "2.5 GB on the disk; compression saves 5 GB of checkpoints, links 1.5 GB\n"
        "  checkpoints m01      3      2.5 GB\n"
        "  results     m01      1      1.5 kB"
    )
    budgeted = StorageReport(uses=(), budget_bytes=2 * 10**18, counted_bytes=999)
    assert str(budgeted) == (
        "0 B on the disk; compression saves 0 B of checkpoints, links 0 B; 999 B of a "
        "budget of 2,000 PB for checkpoints"
    )
