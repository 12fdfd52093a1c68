"""What becomes of results when a simulation goes back after a blow-up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from climorch.storage.lengths import Lengths
from tests.unit.storage.result_cases import Rig, output, tas

TRIES = [
    {
        "try": 1,
        "found": "NaN in tas",
        "computed again from boundary": 1,
        "params": {"dt": 450},
        "other seeds": False,
        "at": 0.0,
        "in force": True,
    }
]


def test_results_of_a_course_that_was_given_up_go_before_others_come(
    tmp_path: Path,
) -> None:
    """Cut back and continued by the next publication; every try is an attribute."""
    rig = Rig(tmp_path)
    rig.publish(1, {0: output(0)}, done=1)
    rig.publish(2, {1: output(2)}, done=2)
    rig.publish(3, {2: output(4)}, done=3)
    assert rig.read().sizes["time"] == 6
    assert "climorch_tries" not in rig.read().attrs

    rig.checkpoints.delete("m01", "ocean", 2)
    rig.checkpoints.delete("m01", "ocean", 3)
    other = output(2)
    other["tas"] = other["tas"] + np.float32(100)
    again = rig.commit(2, {1: other}, done=2)
    for _ in range(2):
        rig.results.publish(again, tries=TRIES)
        data = rig.read()
        assert data.sizes["time"] == 4
        assert data["tas"].values[2:].tolist() == [
            [v + 100 for v in row] for row in tas(2, 3)
        ]
        assert data["tas"].values[:2].tolist() == tas(0, 1)
        assert json.loads(data.attrs["climorch_tries"]) == TRIES
        assert data.attrs["history"] == (
            "1970-01-01T00:00:00Z climorch: try 1 from boundary 1, params "
            '{"dt": 450}, other seeds False, since NaN in tas'
        )
    rig.results.publish(rig.commit(3, {2: output(4)}, done=3), tries=TRIES)
    assert rig.read().sizes["time"] == 6


def test_a_stage_without_new_outputs_is_cut_back_too(tmp_path: Path) -> None:
    """To what its checkpoint has."""
    rig = Rig(tmp_path)
    rig.publish(1, {0: output(0)}, done=1)
    rig.publish(2, {1: output(2)}, done=2)
    rig.checkpoints.delete("m01", "ocean", 2)
    rig.checkpoints.delete("m01", "ocean", 1)
    rig.results.publish(rig.commit(1, {}, done=1), tries=TRIES)
    assert rig.read()["tas"].values.tolist() == tas(0, 1)


def test_lengths_are_cut_to_the_first_segments() -> None:
    """Within a run, between two, and to nothing."""
    lengths = Lengths(runs=[[2, 3], [1, 2]])
    assert [lengths.cut(n).runs for n in (0, 2, 3, 4, 9)] == [
        [],
        [[2, 2]],
        [[2, 3]],
        [[2, 3], [1, 1]],
        [[2, 3], [1, 2]],
    ]
