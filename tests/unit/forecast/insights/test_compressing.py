"""When another codec would do better."""

from __future__ import annotations

import dataclasses

import pytest

from climorch.forecast.insights.compressing import codecs
from climorch.forecast.insights.finding import Finding, Gain, Study
from climorch.forecast.timings import SimulationTimes, Stored, Times, Tried
from climorch.model.codec import LZ4, Codec
from tests.unit.forecast.insights.made import simulation, study

ZSTD, STRONG, NONE = Codec("zstd", 1), Codec("zstd", 9), Codec("none")
MB = 10**6


def tried(share: float, cpu_s: float, pieces: int = 2) -> Tried:
    """Say what a codec made of 100 MB: the share that is left, and the time."""
    return Tried(pieces, 100 * MB, round(share * 100 * MB), cpu_s)


def computed(stored: dict[str, Stored], **more: int) -> SimulationTimes:
    """Make a simulation: 1000 s on two nodes, ten checkpoints."""
    made = simulation()
    s = made.sets["a"]
    s.run_s, s.whole_node_s, s.checkpoints = 1000.0, 2000.0, 10
    s.stored = {("a", name): x for name, x in stored.items()}
    for name, value in more.items():
        setattr(s, name, value)
    return made


def with_cores(*made: SimulationTimes, cores: int = 4) -> Study:
    """Make a study of simulations on nodes of so many cores."""
    given = study(Times(of={f"s{k}": one for k, one in enumerate(made)}), useful=2000.0)
    (entry,) = given.entries
    entry = dataclasses.replace(entry, simulation="s0", core_s=2000.0 * cores)
    return dataclasses.replace(given, entries=(entry,))


def one(stored: dict[str, Stored], **more: int) -> Finding:
    """Return the only finding about a simulation."""
    (finding,) = codecs(with_cores(computed(stored, **more)))
    return finding


SLOW = Stored(STRONG, 100 * MB, {STRONG: tried(0.96, 16.0), NONE: tried(1.0, 0.0)})
LARGE = Stored(LZ4, 100 * MB, {LZ4: tried(0.8, 0.2), ZSTD: tried(0.4, 0.6)})


def test_time_that_is_spared_is_that_of_the_cores_of_the_lease() -> None:
    """16 CPU seconds for each of ten checkpoints, of 8 cores for 1000 s: 2 %."""
    finding = one({"x": SLOW})

    assert finding.gain == pytest.approx(0.02)
    assert finding.of is Gain.TIME
    assert finding.codecs == {("a", "x"): NONE}
    assert finding.evidence["bytes_share"] == pytest.approx(-0.04 / 0.96)
    assert finding.evidence["stored_bytes"] == 96 * MB


def test_only_what_is_written_is_compressed() -> None:
    """Half of the bytes are linked: half of the time."""
    finding = one({"x": SLOW}, bytes_written=50, bytes_linked=50)
    assert finding.gain == pytest.approx(0.01)


def test_bytes_that_are_spared_are_those_of_all_variables() -> None:
    """40 of the 80 MB of one, of 80 and 20 MB in all; it takes 0.05 % of the time."""
    fine = Stored(LZ4, 20 * MB, {LZ4: tried(1.0, 0.2), ZSTD: tried(0.99, 0.6)})

    finding = one({"x": LARGE, "y": fine})

    assert finding.gain == pytest.approx(0.4)
    assert finding.of is Gain.BYTES
    assert finding.codecs == {("a", "x"): ZSTD}
    assert finding.evidence["time_share"] == pytest.approx(-0.4 * 10 / 8000)


def test_time_for_smaller_files_goes_to_those_that_gain_most_for_it() -> None:
    """0.5 % of the time: the second one is left as it is, though it gains more."""
    cheap = Stored(LZ4, 100 * MB, {LZ4: tried(0.8, 0.2), ZSTD: tried(0.5, 2.2)})
    dear = Stored(LZ4, 100 * MB, {LZ4: tried(0.8, 0.2), ZSTD: tried(0.4, 3.9)})

    assert one({"cheap": cheap, "dear": dear}).codecs == {("a", "cheap"): ZSTD}
    assert one({"dear": dear}).codecs == {("a", "dear"): ZSTD}


def test_both_may_be_found_each_of_its_own_variables() -> None:
    """What is made faster is not made smaller as well."""
    again = Stored(STRONG, 100 * MB, {**SLOW.tried, ZSTD: tried(0.5, 4.0)})
    found = list(codecs(with_cores(computed({"x": again, "y": LARGE}))))

    assert [(x.of, x.codecs) for x in found] == [
        (Gain.TIME, {("a", "x"): NONE}),
        (Gain.BYTES, {("a", "y"): ZSTD}),
    ]


def test_simulations_that_are_alike_are_taken_together() -> None:
    """One piece of each is enough; the newest says what is used."""
    pieces = {LZ4: tried(0.8, 0.2, pieces=1), ZSTD: tried(0.4, 0.6, pieces=1)}
    former = Stored(ZSTD, 50 * MB, dict(pieces))
    newest = Stored(LZ4, 100 * MB, dict(pieces))
    both = with_cores(computed({"x": former}), computed({"x": newest}))

    (finding,) = codecs(both)
    assert finding.evidence["stored_bytes"] == 80 * MB


@pytest.mark.parametrize(
    ("stored", "more"),
    [
        # Nothing was tried, or on too little, or the one in use was not.
        ({}, {}),
        ({"x": Stored(LZ4, 1, {LZ4: tried(0.8, 0.2, 1), ZSTD: tried(0.1, 0.2)})}, {}),
        ({"x": Stored(LZ4, 1, {LZ4: tried(0.8, 0.2), ZSTD: tried(0.1, 0.2, 1)})}, {}),
        ({"x": Stored(LZ4, 1, {ZSTD: tried(0.1, 0.2)})}, {}),
        # Too few checkpoints.
        ({"x": LARGE}, {"checkpoints": 2}),
        # Faster, but for too many bytes, and not much smaller.
        (
            {"x": Stored(LZ4, 10**8, {LZ4: tried(0.9, 16.0), NONE: tried(1.0, 0.0)})},
            {},
        ),
        # Smaller by less than a tenth; in too much time.
        ({"x": Stored(LZ4, 10**8, {LZ4: tried(0.8, 0.2), ZSTD: tried(0.73, 0.2)})}, {}),
        ({"x": Stored(LZ4, 10**8, {LZ4: tried(0.8, 0.2), ZSTD: tried(0.4, 4.3)})}, {}),
        # Faster by too little.
        ({"x": SLOW}, {"checkpoints": 4}),
    ],
)
def test_nothing_is_found_where_too_little_is_gained(
    stored: dict[str, Stored], more: dict[str, int]
) -> None:
    """Nor where too little is known."""
    assert list(codecs(with_cores(computed(stored, **more)))) == []


def test_nodes_whose_cores_nobody_knows_tell_nothing() -> None:
    """CPU seconds are no seconds then."""
    assert list(codecs(with_cores(computed({"x": SLOW}), cores=0))) == []


def test_what_is_to_be_changed_is_told_by_stage() -> None:
    """Ready to be copied; of many variables the first ones."""
    many = {f"v{k}": LARGE for k in range(5)}

    assert one({"v0": LARGE}).change == (
        'stage \'a\': Scope(codecs={"v0": Codec("zstd", 1)})'
    )
    assert one(many).change == (
        'stage \'a\': Scope(codecs={"v0": Codec("zstd", 1), "v1": Codec("zstd", 1), '
        '"v2": Codec("zstd", 1), "v3": Codec("zstd", 1), ...})'
    )
