"""Codecs off their optimum: where that is true, where it is not, and what it gains.

The gain is checked by playing the same campaign with the codecs that are suggested.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from climorch.core.progress import Policies
from climorch.forecast.insights.finding import Gain, Kind
from climorch.model.codec import LZ4, Codec
from climorch.policy.checkpointing import EverySegments
from climorch.twin.costs import Amdahl, Overheads
from climorch.twin.packing import Packed, Variable, packed
from tests.twin.insightful import Outcome, played
from tests.unit.core.script import UNLIMITED
from tests.unit.twin.stage import FREE, Play, stage

GB, MB = 10**9, 10**6
CORES = 8
ZSTD, STRONG, NONE = Codec("zstd", 1), Codec("zstd", 9), Codec("none")

TRACER = Variable(
    stage="a",
    name="tracer",
    size_bytes=8 * GB,
    made={
        LZ4: Packed(share=0.8, bytes_per_s=500 * MB),
        ZSTD: Packed(share=0.3, bytes_per_s=250 * MB),
        NONE: Packed(share=1.0),
    },
)
NOISE = Variable(
    stage="a",
    name="noise",
    size_bytes=2 * GB,
    made={
        LZ4: Packed(share=0.98, bytes_per_s=1000 * MB),
        ZSTD: Packed(share=0.97, bytes_per_s=400 * MB),
        STRONG: Packed(share=0.96, bytes_per_s=20 * MB),
        NONE: Packed(share=1.0),
    },
)


def compressed(
    *variables: Variable, segment_s: float, overheads: Overheads = FREE
) -> Outcome:
    """Play a stage on one node of eight cores, with a checkpoint at each boundary."""
    play = Play(
        nodes=1,
        cores=CORES,
        cost=Amdahl(seconds=segment_s),
        overheads=packed(overheads, variables, cores=CORES) if variables else overheads,
        policies=Policies(checkpointing=EverySegments(), limits=UNLIMITED),
    )
    play.submit(stage(segments=64))
    return played(play)


def changed(
    variables: tuple[Variable, ...], codecs: Mapping[tuple[str, str], Codec]
) -> tuple[Variable, ...]:
    """Return the variables with the codecs that a finding suggests."""
    return tuple(
        dataclasses.replace(v, codec=codecs.get((v.stage, v.name), v.codec))
        for v in variables
    )


def written(outcome: Outcome) -> int:
    """Return the bytes of all checkpoints."""
    return outcome.times.of["s"].sets["a"].bytes_written


def test_compressing_in_vain_is_found_with_the_time_that_it_takes() -> None:
    """100 CPU seconds for each minute of computing, for 4 % of the bytes of noise."""
    state = (dataclasses.replace(NOISE, codec=STRONG),)
    before = compressed(*state, segment_s=60.0)

    finding = before.one(Kind.CODEC)
    assert finding.of is Gain.TIME
    assert finding.codecs == {("a", "noise"): NONE}
    assert finding.change == 'stage \'a\': Scope(codecs={"noise": Codec("none")})'
    # Of 60 s and 100 s of eight cores.
    assert finding.gain == pytest.approx(12.5 / 72.5, rel=0.02)
    after = compressed(*changed(state, finding.codecs), segment_s=60.0)
    gained = 1 - after.span_s / before.span_s
    assert gained == pytest.approx(finding.gain, abs=0.01)
    assert after.found.of(Kind.CODEC) == ()


def test_a_codec_that_leaves_more_than_it_must_is_found_with_the_bytes() -> None:
    """Of 8 GB of a tracer LZ4 leaves 80 %, Zstandard 30 %, in 2 s more on 8 cores."""
    state = (TRACER, NOISE)
    before = compressed(*state, segment_s=900.0)

    finding = before.one(Kind.CODEC)
    assert finding.of is Gain.BYTES
    assert finding.codecs == {("a", "tracer"): ZSTD}
    assert finding.gain == pytest.approx(4.0 / (6.4 + 1.96), rel=0.001)
    assert finding.evidence["time_share"] == pytest.approx(-2.0 / 902.25, rel=0.02)
    after = compressed(*changed(state, finding.codecs), segment_s=900.0)
    gained = 1 - written(after) / written(before)
    assert gained == pytest.approx(finding.gain, abs=0.01)
    slower = after.span_s / before.span_s - 1
    assert slower == pytest.approx(-finding.evidence["time_share"], abs=0.001)
    assert after.found.of(Kind.CODEC) == ()


def test_codecs_that_are_right_or_were_not_tried_are_left_alone() -> None:
    """Also one that would leave less, but takes longer than segments can spare."""
    best = (dataclasses.replace(TRACER, codec=ZSTD), NOISE)

    assert compressed(*best, segment_s=900.0).found.of(Kind.CODEC) == ()
    assert compressed(TRACER, segment_s=120.0).found.of(Kind.CODEC) == ()
    plain = dataclasses.replace(FREE, stall_s=12.5)
    assert compressed(segment_s=60.0, overheads=plain).found.of(Kind.CODEC) == ()
