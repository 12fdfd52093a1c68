"""Any damage to checkpoints is found, and the newest that is whole is restored.

A few hundred damages; thousands are in ``benchmarks/damage.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from climorch.storage import chunks, durable
from climorch.testing import damage as damaging
from climorch.testing.damage import (
    KINDS,
    Damage,
    Scene,
    damages,
    harm_journal,
    look,
    make_scene,
    write_journal,
)

MEMORY = Path("/dev/shm")
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder in memory, where there is one."""
    if not MEMORY.is_dir():
        yield tmp_path_factory.mktemp("damage")
        return
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def scene(folder: Path) -> Scene:
    """Give three checkpoints."""
    place = folder / "scene"
    place.mkdir()
    return make_scene(place)


def looked(scene: Scene, chosen: list[Damage], folder: Path) -> damaging.Look:
    place = folder / str(next(NUMBERS))
    place.mkdir()
    found = look(scene, chosen, place)
    durable.remove_tree(place)
    return found


def test_damage_is_found_and_the_newest_good_one_restored(
    scene: Scene, folder: Path
) -> None:
    """Every bad file is reported and no other; values are those of the rung."""

    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(damages)
    def inflict(chosen: list[Damage]) -> None:
        assert looked(scene, chosen, folder).faults == ()

    inflict()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_damage_to_every_file_is_found(
    scene: Scene, folder: Path, kind: str
) -> None:
    """One file after the other, each changed in its middle."""
    count = len(scene.files)
    seen = 0
    for number in range(0, count, 3):
        chosen = Damage(
            kind=kind,
            file=(number + 0.5) / count,
            other=(number + 7.5) % count / count,
            at=0.5,
            size=0.3,
        )
        found = looked(scene, [chosen], folder)
        assert found.faults == ()
        seen += found.damaged
    assert seen > 0


def test_damage_to_every_checkpoint_leaves_the_initial_state(
    scene: Scene, folder: Path
) -> None:
    """The last rung is the beginning."""
    count = len(scene.files)
    manifests = [n for n, name in enumerate(scene.files) if "MANIFEST" in name]
    chosen = [
        Damage(kind="flip", file=(n + 0.5) / count, other=0.0, at=0.5, size=0.0)
        for n in manifests
    ]

    found = looked(scene, chosen, folder)

    assert (found.rung, found.damaged, found.faults) == (0, 3, ())


def test_a_reader_that_does_not_compare_is_found_out(
    scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without checksums and hashes a flipped bit would be restored."""
    monkeypatch.setattr(chunks, "damage", lambda view, expected=None: None)
    monkeypatch.setattr(chunks, "raw_hash", lambda block: _Anything())
    count = len(scene.files)
    number = scene.files.index(
        "c/checkpoints/s/ocean/2003-01-01-3/state.zarr/ocean/T/c/0"
    )
    chosen = Damage(
        kind="flip", file=(number + 0.5) / count, other=0.0, at=0.6, size=0.0
    )

    assert len(looked(scene, [chosen], folder).faults) > 0


class _Anything(str):
    """Equal to every hash."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


@pytest.mark.parametrize("kind", ["flip", "cut", "zeroed", "empty", "longer"])
def test_a_damaged_journal_is_refused_or_whole(folder: Path, kind: str) -> None:
    """Wherever its file is damaged, no row is read that was not written."""
    journal = write_journal(folder / f"{kind}.sqlite")
    found = {
        harm_journal(
            journal,
            Damage(kind=kind, file=file, other=other, at=at / 20, size=0.2),
            folder / "harmed.sqlite",
        )
        for at in range(20)
        for file, other in ((0.1, 0.4), (0.9, 0.9))
    }

    assert "wrong" not in found
    assert found & {"refused", "harmless"}
