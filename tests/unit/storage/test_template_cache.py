"""Templates that are rendered again with other values: little is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch.storage import encoding
from climorch.storage.template import (
    Rendered,
    TemplateCache,
    open_template,
    write_template,
)
from tests.unit.storage.checkpoint_cases import land, ocean


def counted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Names of the variables that are encoded, call by call."""
    calls: list[list[str]] = []
    whole = encoding.encode

    def encode(dataset: xr.Dataset, *args: Any, **kwargs: Any) -> dict[str, bytes]:
        calls.append(sorted(map(str, dataset.variables)))
        return whole(dataset, *args, **kwargs)

    monkeypatch.setattr("climorch.storage.template.encode", encode)
    return calls


def same(a: Rendered, b: Rendered) -> bool:
    return (a.files, a.arrays, a.hints) == (b.files, b.arrays, b.hints)


def test_equal_structure_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """New numbers need no Zarr, other new values in memory no more than theirs."""
    calls = counted(monkeypatch)
    cache = TemplateCache()
    first = cache.render(ocean())
    assert cache.render(ocean(shift=5)) is first
    later = cache.render(ocean(clock=4))
    assert calls == [["T", "clock", "lat", "mask"]]
    assert same(later, TemplateCache().render(ocean(clock=4)))
    named = [ocean().assign(name=text) for text in ("cold", "warm")]
    first, later = (cache.render(dataset) for dataset in named)
    assert calls[-1] == ["clock", "name"]
    assert same(later, TemplateCache().render(named[1]))


def test_plain_attributes_of_a_dataset_need_no_zarr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Members differ in what describes them: it is put into the known group."""
    calls = counted(monkeypatch)
    cache = TemplateCache()
    loose = ocean().assign_coords(height=2.0).drop_vars("T")
    told = [loose.assign_attrs(member=n, title=f"no {n}") for n in range(2)]
    for dataset in told:
        cache.render(dataset)
    assert len(calls) == 1
    assert same(cache.render(told[1]), TemplateCache().render(told[1]))
    odd = loose.assign_attrs(member=np.int64(3), title="no 3")
    assert same(cache.render(odd), TemplateCache().render(odd))
    assert len(calls) == 4


@pytest.mark.parametrize("dtype", ["float64", "int64"])
@pytest.mark.parametrize("calendar", ["noleap", None])
def test_new_dates_in_kept_units_need_no_zarr(
    calendar: str | None, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results grow by dates in the same units: only their numbers are encoded."""

    def dated(year: int) -> xr.Dataset:
        start = f"{year:04d}-01-01"
        times = (
            xr.date_range(start, periods=3, freq="YS", unit="us")
            if calendar is None
            else xr.date_range(
                start, periods=3, freq="YS", calendar=calendar, use_cftime=True
            )
        )
        dataset = xr.Dataset({"v": ("time", [1, 2, 3])}, coords={"time": times})
        encoding = {"units": "days since 1850-01-01", "dtype": dtype}
        dataset["time"].encoding = encoding | (
            {} if calendar is None else {"calendar": calendar}
        )
        return dataset

    calls = counted(monkeypatch)
    cache = TemplateCache()
    cache.render(dated(1850), keep_time_encoding=True)
    later = cache.render(dated(1901), keep_time_encoding=True)
    assert len(calls) == 1
    whole = TemplateCache().render(dated(1901), keep_time_encoding=True)
    assert same(later, whole)


def test_what_is_alike_is_linked(tmp_path: Path) -> None:
    """Beside a group that differs in a clock all else is one file with two names."""
    cache = TemplateCache()
    first = write_template(tmp_path / "a", ocean(), cache=cache)
    like = tmp_path / "a", first
    write_template(tmp_path / "b", ocean(clock=4), cache=cache, like=like)
    write_template(tmp_path / "c", ocean(clock=4))
    for path in (p for p in (tmp_path / "c").rglob("*") if p.is_file()):
        name = path.relative_to(tmp_path / "c")
        other = tmp_path / "b" / name
        assert other.read_bytes() == path.read_bytes()
        linked = other.stat().st_ino == (tmp_path / "a" / name).stat().st_ino
        assert linked is (name != Path("clock/c")), name
    gone = tmp_path / "gone", first
    write_template(tmp_path / "d", ocean(), like=gone)
    assert open_template(tmp_path / "d").identical(open_template(tmp_path / "a"))


def test_coordinates_keep_their_role_when_one_changes() -> None:
    """A variable in memory that changes keeps its coordinates."""

    def dataset(value: float) -> xr.Dataset:
        return xr.Dataset(
            {"v": ("x", np.array([value, 1.0])), "w": ("x", np.zeros(2))},
            coords={"clock": 1, "h": ("x", np.array([3.0, value])), "y": [1, 2]},
        )

    cache = TemplateCache()
    cache.render(dataset(1))
    assert same(cache.render(dataset(2)), TemplateCache().render(dataset(2)))


def test_bounds_and_chunked_coordinates_are_rendered_whole() -> None:
    """Where one variable's encoding depends on another's, all are encoded again."""

    def bounded(day: str) -> xr.Dataset:
        dates = np.array([day, "2000-02-01"], "M8[ns]")
        return xr.Dataset(
            {"time_bnds": (("time", "n"), np.stack([dates, dates], 1))},
            coords={"time": ("time", dates, {"bounds": "time_bnds"})},
        )

    def with_area(clock: int) -> xr.Dataset:
        area = xr.DataArray(np.zeros(2), dims="x").chunk(x=1)
        return xr.Dataset({"v": area}, coords={"area": area, "clock": clock})

    for first, second in (
        (bounded("2000-01-01"), bounded("2000-01-01T12")),
        (with_area(1), with_area(2)),
    ):
        cache = TemplateCache()
        cache.render(first)
        assert same(cache.render(second), TemplateCache().render(second))


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest structures are forgotten."""
    monkeypatch.setattr("climorch.storage.template._STRUCTURES_KEPT", 1)
    calls = counted(monkeypatch)
    cache = TemplateCache()
    for dataset in (ocean(), land(), ocean()):
        cache.render(dataset)
    assert len(calls) == 3
