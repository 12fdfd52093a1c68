"""A few cells of the matrix of programs; all of them are in ``benchmarks/``."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mpi_matrix import BAR_S, CELLS, QUICK, cell_named, overheads_s, try_cell
from mpi_model import compiled, main

FEW: list[Any] = [
    QUICK[0],
    *(pytest.param(name, marks=pytest.mark.benchmark) for name in QUICK[1:]),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in C, compiled once."""
    made = compiled(tmp_path_factory.mktemp("program"))
    if made is None:
        pytest.skip("mpicc and cc are needed: Debian's gcc, and mpich from PyPI")
    return made


@pytest.mark.parametrize("name", FEW)
def test_whatever_is_killed_the_bits_are_the_same(
    program: Path, tmp_path: Path, name: str
) -> None:
    """And nothing is left, nothing is committed twice."""
    problems, _ = try_cell(tmp_path, program, cell_named(name))
    assert problems == []


def test_all_kill_points_are_there_for_all_placements() -> None:
    """Twelve placements, five points; one rank has no launcher."""
    assert len(CELLS) == 12 * 5 - 3
    assert set(QUICK) <= {cell.name for cell in CELLS}


@pytest.mark.benchmark
def test_little_time_goes_beside_the_program(program: Path, tmp_path: Path) -> None:
    """Less than 200 ms per segment, in the median."""
    assert statistics.median(overheads_s(tmp_path, program, 11)) < BAR_S


def test_the_example_runs_and_finds_its_work_done(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the guide names it; the second time nothing is computed."""
    argv = ["--root", str(tmp_path), "--years", "2"]
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert told.count("as NumPy bit by bit: True") == 2
    assert main(argv) == 0
    assert capsys.readouterr().out == told


def test_the_example_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a compiler there is no model."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["--root", str(tmp_path)]) == 2
    assert "mpicc and cc are needed" in capsys.readouterr().err
