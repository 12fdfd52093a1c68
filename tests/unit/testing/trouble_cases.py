"""What tests of troubles share: folders, what is refused in them, a storage."""

from __future__ import annotations

from pathlib import Path

from climorch.testing.trouble import TROUBLES, TroubledStorage

FOLDERS = {
    "checkpoints": "inflight/1/s/box-2.1",
    "results": "results/s/box",
    "none": "elsewhere",
}

REFUSED: dict[str, tuple[str, set[str]]] = {
    "full": ("ENOSPC", {"create", "mkdir", "link", "write", "reserve"}),
    "quota": ("EDQUOT", {"create", "mkdir", "link", "write", "reserve"}),
    "failing": ("EIO", {"write", "reserve", "flush", "flush names", "rename"}),
    "read-only": (
        "EROFS",
        {"create", "mkdir", "link", "write", "reserve", "rename", "unlink"},
    ),
}


def storage_of(tmp_path: Path, name: str) -> TroubledStorage:
    """A trouble of a campaign, off."""
    return TroubledStorage(tmp_path / "control", tmp_path / "c", TROUBLES[name])


def prepared(tmp_path: Path, place: str) -> Path:
    """A folder with two files in it."""
    folder = tmp_path / "c" / FOLDERS[place]
    folder.mkdir(parents=True)
    for name in ("old", "gone"):
        (folder / name).write_bytes(b"1")
    return folder
