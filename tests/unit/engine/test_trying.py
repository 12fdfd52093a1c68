"""On which chunks of a checkpoint codecs are tried."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import xarray as xr

from climorch.engine import trying
from climorch.engine.trying import pieces_of
from climorch.storage.checkpoints import CheckpointRequest
from climorch.storage.trials import Piece
from tests.unit.storage.checkpoint_cases import open_store, request

T_CHUNKS = {"state.zarr/ocean/T/c/0/0", "state.zarr/ocean/T/c/1/0"}


def chosen(root: Path, asked: CheckpointRequest) -> dict[str, Piece]:
    """Begin a checkpoint and choose."""
    datasets: dict[tuple[str, str], xr.Dataset] = {
        (tree, stage): dataset
        for tree, stages in asked.trees.items()
        for stage, dataset in stages.items()
    }
    return pieces_of(open_store(root).begin(asked), datasets)


def test_one_chunk_of_each_variable_is_tried_of_a_full_checkpoint(
    tmp_path: Path,
) -> None:
    """Of states alone, and each with the bytes of the whole variable."""
    found = chosen(tmp_path, request(full=True, exports=True))

    sizes = {(p.stage, p.variable): p.whole_bytes for p in found.values()}
    assert sizes == {("ocean", "T"): 48, ("ocean", "mask"): 3, ("land", "snow"): 24}
    assert all(
        key.startswith(f"state.zarr/{p.stage}/{p.variable}/c/")
        for key, p in found.items()
    )


def test_nothing_is_tried_of_one_that_is_linked(tmp_path: Path) -> None:
    """What is linked is not compressed."""
    assert chosen(tmp_path, request(full=False)) == {}


def test_another_chunk_is_tried_each_time_and_the_same_again(tmp_path: Path) -> None:
    """Drawn by the boundary: so that one that is unlike others does not decide."""
    keys = [
        {
            key
            for key in chosen(tmp_path / f"{n}", request(boundary, full=True))
            if "/T/" in key
        }
        for n, boundary in enumerate([1, 2, 3, 4, 1])
    ]
    assert set.union(*keys) == T_CHUNKS
    assert all(len(each) == 1 for each in keys)
    assert keys[0] == keys[-1]


def test_of_many_variables_some_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others at another boundary."""
    monkeypatch.setattr(trying, "MOST_PIECES", 1)
    asked = request(full=True)
    names = set()
    for boundary in range(1, 9):
        found = chosen(tmp_path / f"{boundary}", replace(asked, boundary=boundary))
        (piece,) = found.values()
        names.add(piece.variable)
    assert names == {"T", "mask", "snow"}
