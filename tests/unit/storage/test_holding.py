from __future__ import annotations

from pathlib import Path

import pytest

from climorch.storage.holding import Checkpoints, Verification
from tests.unit.storage.checkpoint_cases import flip, open_store, request, save


@pytest.fixture
def two(tmp_path: Path) -> Checkpoints:
    store = open_store(tmp_path)
    first = save(store, request(1))
    second = save(store, request(2, shift=1))
    return Checkpoints([second.path, first.path])


def test_they_are_a_sequence_of_paths(two: Checkpoints) -> None:
    """They index, slice, compare and print as a list of paths."""
    newest, oldest = two

    assert (len(two), two[0], two[-1]) == (2, newest, oldest)
    assert two[1:] == [oldest]
    assert two == (newest, oldest)
    assert two == Checkpoints([newest, oldest])
    assert two != "paths"
    assert len({two, Checkpoints([newest, oldest])}) == 1
    assert repr(two) == f"Checkpoints(['{newest}', '{oldest}'])"


def test_good_ones_verify(two: Checkpoints) -> None:
    """Where every file is what was committed there is nothing bad."""
    assert two.verify() == Verification(checkpoints=(two[0], two[1]))
    assert two.verify().good
    assert two.verify().to_pandas()["good"].tolist() == [True, True]


def test_every_bad_file_is_named(two: Checkpoints) -> None:
    """The verification says which checkpoint, which file and what is wrong."""
    flip(two[1] / "state.zarr/ocean/T/c/0/0")
    (two[1] / "state.zarr/land/snow/c/0").unlink()

    found = two.verify()

    assert not found.good
    assert [(path, key) for path, key, _ in found.bad] == [
        (two[1], "state.zarr/land/snow/c/0"),
        (two[1], "state.zarr/ocean/T/c/0/0"),
    ]
    table = found.to_pandas()
    assert table["bad_files"].tolist() == [0, 2]
    assert table["what"][1].startswith("state.zarr/land/snow/c/0: is missing; ")


def test_a_verification_prints_what_is_bad(two: Checkpoints) -> None:
    """How many were read, then each bad file below its checkpoint."""
    assert str(two.verify()) == "2 checkpoints read, 2 good, 0 bad"
    (two[1] / "state.zarr/land/snow/c/0").unlink()

    first, path, file = str(two.verify()).splitlines()

    assert first == "2 checkpoints read, 1 good, 1 bad"
    assert path == f"  {two[1]}"
    assert file.startswith("    state.zarr/land/snow/c/0: is missing")
