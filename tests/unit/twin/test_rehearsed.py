"""What a rehearsal found, as tables."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from climorch.errors import NotFoundError
from climorch.twin.ledger import DAY_S, Span
from climorch.twin.rehearsed import Fate, Rehearsal, Rehearsed

BEGIN_S = 1_800_000_000.0


def fate(name: str, finished_s: float, **more: float) -> Fate:
    """Make what became of a simulation."""
    numbers = {
        "segments": 3,
        "useful_node_s": 30.0,
        "lost_s": 0.0,
        "worst_loss_s": 0.0,
        "waited_s": 0.0,
        "longest_wait_s": 0.0,
    }
    status = "running" if math.isnan(finished_s) else "finished"
    return Fate(
        simulation=name,
        status=status,
        finished_s=finished_s,
        interruptions=((BEGIN_S, "nodes lost"),),
        **{**numbers, **more},  # type: ignore[arg-type]
    )


def run(seed: int, *fates: Fate, ended: bool = True, useful: float = 60.0) -> Rehearsed:
    """Make what became of a campaign."""
    return Rehearsed(
        seed=seed,
        ended=ended,
        stop_s=BEGIN_S + 100.0 * (seed + 1),
        up_node_s=100.0,
        spent={"useful": useful, "lost": 100.0 - useful},
        days=((80.0, 50.0), (20.0, 10.0))[: 2 - seed % 2],
        fates=fates,
        spans=(Span(simulation="a", nodes=2, start_s=BEGIN_S, stop_s=BEGIN_S + 50.0),),
        notes=("something",),
    )


def three() -> Rehearsal:
    """Make a rehearsal in which ``b`` ends under two of three seeds."""
    return Rehearsal(
        begin_s=BEGIN_S,
        until_s=1000.0,
        runs=(
            run(0, fate("a", BEGIN_S + 10, lost_s=1.0), fate("b", BEGIN_S + 50)),
            run(
                1, fate("a", BEGIN_S + 20, lost_s=2.0), fate("b", math.nan), ended=False
            ),
            run(
                2,
                fate("a", BEGIN_S + 30, lost_s=6.0),
                fate("b", BEGIN_S + 70),
                useful=90.0,
            ),
        ),
    )


def at(seconds: float) -> pd.Timestamp:
    """Return a date so many seconds after the beginning."""
    return pd.Timestamp(BEGIN_S + seconds, unit="s", tz="UTC")


def test_a_table_has_a_row_for_each_simulation_and_quantiles_over_seeds() -> None:
    """An end that some seeds did not reach is no date in the upper quantiles."""
    table = three().to_pandas()

    assert list(table.index) == ["a", "b"]
    assert table["finished"].tolist() == pytest.approx([1.0, 2 / 3])
    assert table.loc["a", "end_p10"] == at(10)
    assert table.loc["a", "end_p50"] == at(20)
    assert table.loc["a", "end_p90"] == at(30)
    assert table.loc["b", "end_p50"] == at(70)
    assert pd.isna(table.loc["b", "end_p90"])
    assert table.loc["a", "lost_s_p50"] == 2.0
    assert table.loc["a", "interruptions_p50"] == 1.0


def test_other_quantiles_can_be_asked_for() -> None:
    """Each names its column."""
    table = three().to_pandas(quantiles=(0.25, 1.0))

    assert [c for c in table if c.startswith("end")] == ["end_p25", "end_p100"]
    assert table.loc["a", "lost_s_p100"] == 6.0


def test_a_dataset_has_everything_by_seed() -> None:
    """Utilisation, parts and days; NaN and NaT where a seed has nothing."""
    dataset = three().to_xarray()

    assert dict(dataset.sizes) == {"seed": 3, "simulation": 2, "spent_on": 2, "day": 2}
    assert dataset["utilisation"].values.tolist() == [0.6, 0.6, 0.9]
    assert dataset["node_s"].sel(seed=2, spent_on="lost").item() == pytest.approx(10.0)
    assert dataset["up_node_s_of_day"].sel(seed=0).values.tolist() == [80.0, 20.0]
    assert dataset["useful_node_s_of_day"].sel(seed=1).values.tolist() == [50.0, 0.0]
    assert dataset["finished"].isnull().values.tolist() == [
        [False, False],
        [False, True],
        [False, False],
    ]
    assert pd.Timestamp(dataset["day"].values[1], tz="UTC") == at(DAY_S)
    assert dataset["lost_s"].attrs["units"] == "s"
    assert dataset["up_node_s_of_day"].attrs["units"] == "node s"
    assert dataset["lost_s"].quantile(0.5, "seed").values.tolist() == [2.0, 0.0]


def test_timelines_are_a_table_of_leases() -> None:
    """A row for each lease and seed."""
    table = three().timelines()

    assert table["seed"].tolist() == [0, 1, 2]
    assert table.loc[0, "nodes"] == 2
    assert table.loc[0, "stop"] - table.loc[0, "start"] == pd.Timedelta(seconds=50)


def test_it_tells_in_a_line_when_it_is_over_and_how_well_nodes_are_used() -> None:
    """The median over the seeds, and each note once."""
    rehearsal = three()

    assert rehearsal.end() == at(300)
    assert pd.isna(rehearsal.end(0.9))
    assert rehearsal.utilisation() == 0.6
    assert str(rehearsal) == (
        "rehearsed with 3 seeds, over in 2 of them; median end "
        f"{at(300):%Y-%m-%d %H:%M} UTC, utilisation 60.0%\n"
        "  b is finished in 2 of 3\n"
        "  something"
    )


def test_those_that_never_finish_are_named() -> None:
    """With what they are at the end, together."""
    rehearsal = Rehearsal(
        begin_s=BEGIN_S,
        until_s=10.0,
        runs=tuple(
            run(seed, fate("a", math.nan), fate("b", math.nan), ended=False)
            for seed in (0, 1)
        ),
    )

    assert str(rehearsal).splitlines()[1:] == [
        "  never finished, but running at the end: a, b",
        "  something",
    ]


def test_one_that_is_over_under_few_seeds_has_no_median_end() -> None:
    """It is said under how many it is."""
    rehearsal = Rehearsal(
        begin_s=BEGIN_S, until_s=10.0, runs=(run(0, ended=False), run(2))
    )

    text = str(rehearsal).splitlines()[0]

    assert text == "rehearsed with 2 seeds, over in 1 of them; utilisation 60.0%"


def test_a_run_is_found_by_its_seed() -> None:
    """One that was not rehearsed is an error that says so."""
    assert three()[2].utilisation == 0.9
    with pytest.raises(NotFoundError, match="seed 9 was not rehearsed"):
        three()[9]


def test_a_simulation_that_only_some_seeds_have_counts_as_unfinished_elsewhere() -> (
    None
):
    """A rule may add it under one seed and not under another."""
    rehearsal = Rehearsal(
        begin_s=BEGIN_S,
        until_s=10.0,
        runs=(run(0, fate("a", BEGIN_S + 10)), run(1)),
    )

    table = rehearsal.to_pandas(quantiles=(0.5, 0.9))

    assert table.loc["a", "finished"] == 0.5
    assert table.loc["a", "end_p50"] == at(10)
    assert pd.isna(table.loc["a", "end_p90"])


def test_nothing_rehearsed_is_an_empty_table() -> None:
    """No seeds, or no simulations."""
    nothing = Rehearsal(begin_s=BEGIN_S, until_s=10.0, runs=())

    assert nothing.to_pandas().empty
    assert nothing.timelines().empty
    assert dict(nothing.to_xarray().sizes)["seed"] == 0
    assert math.isnan(nothing.utilisation())
    assert pd.isna(nothing.end())
    assert math.isnan(dataclasses.replace(run(0), up_node_s=0.0).utilisation)
