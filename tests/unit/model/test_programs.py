"""A step that is a program is checked when it is declared."""

from __future__ import annotations

import math
from typing import Any

import cftime
import cloudpickle
import pytest

from climorch.errors import InvalidInputError
from climorch.model.advance import Segment
from climorch.model.programs import (
    CHECKPOINTED,
    DONE,
    FAIL,
    RETRY,
    Command,
    Host,
    kind_of,
)
from climorch.model.rendering import rendered

GOOD: dict[str, Any] = {"argv": ["heat", "${index}"], "restart": {"new.nc": "old.nc"}}


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"argv": []}, "argv"),
        ({"argv": "heat --all"}, "argv"),
        ({"argv": ["bin/heat"]}, "argv"),
        ({"argv": ["a\0b"]}, "argv"),
        ({"argv": ["heat", "${where}"]}, "argv[1], ${where}"),
        ({"restart": {}}, "restart"),
        ({"restart": {"../new": "old"}}, "restart, '../new'"),
        ({"restart": {"new": "/etc/old"}}, "restart, '/etc/old'"),
        ({"restart": {"new": "log.txt"}}, "files, 'log.txt'"),
        ({"ranks": 0}, "ranks"),
        ({"ranks": 2.0}, "ranks"),
        ({"threads": True}, "threads"),
        ({"keep_failed": -1}, "keep_failed"),
        ({"launcher": "qsub"}, "launcher"),
        ({"launcher": "none", "ranks": 2}, "launcher"),
        ({"inputs": {"air": "air.txt"}}, "inputs['air']"),
        ({"inputs": {"air": "old.nc"}}, "files, 'old.nc'"),
        ({"outputs": "history.txt"}, "outputs"),
        ({"metrics": "/m.json"}, "metrics, '/m.json'"),
        ({"files": {"namelist": "${who}"}}, "files['namelist'], ${who}"),
        ({"files": {"namelist": 3}}, "files['namelist']"),
        ({"env": {"A": "${b}"}}, "env['A'], ${b}"),
        ({"codes": {3: "perhaps"}}, "codes[3]"),
        ({"progress": "("}, "progress"),
        ({"stall_s": 3.0}, "stall_s"),
        ({"stall_s": 0.0, "progress": "x"}, "stall_s"),
        ({"timeout_s": -1.0}, "timeout_s"),
        ({"grace_s": math.inf}, "grace_s"),
        ({"stop_signal": "SIGNOT"}, "stop_signal"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    given: dict[str, Any], place: str
) -> None:
    """Each alone: nothing else is found."""
    with pytest.raises(InvalidInputError) as caught:
        Command(**{**GOOD, **given})
    assert [fault.place for fault in caught.value.faults] == [f"Command.{place}"]
    assert all(fault.remedy for fault in caught.value.faults)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """In the order of the rules."""
    with pytest.raises(InvalidInputError) as caught:
        Command(argv=["x"], restart={}, ranks=0, codes={1: "?"})
    assert [fault.place for fault in caught.value.faults] == [
        "Command.ranks",
        "Command.codes[1]",
        "Command.restart",
    ]


def test_exit_codes_mean_what_was_said() -> None:
    """0 is done and others are failures where nothing was."""
    step = Command(**GOOD, codes={2: RETRY, 75: CHECKPOINTED, 3: DONE})
    assert [step.meaning(code) for code in (0, 1, 2, 3, 75, -9)] == [
        DONE,
        FAIL,
        RETRY,
        DONE,
        CHECKPOINTED,
        FAIL,
    ]


@pytest.mark.parametrize(
    ("restart", "fields"),
    [
        ({"new.nc": "old.nc"}, True),
        ({"new.zarr": "old.zarr"}, True),
        ({"new.bin": "old.bin"}, False),
        ({"a.nc": "b.nc", "c.nc": "d.nc"}, False),
    ],
)
def test_one_file_of_fields_is_the_state(restart: dict[str, str], fields: bool) -> None:
    """Anything else is kept byte for byte."""
    assert Command(argv=["x"], restart=restart).fields is fields


@pytest.mark.parametrize(
    ("launcher", "ranks", "together"),
    [
        # The site decides, whatever the ranks: it may share a lease with others.
        ("", 1, True),
        ("srun", 4, True),
        ("/opt/bin/jsrun", 4, True),
        ("mpiexec", 4, False),
        ("none", 1, False),
    ],
)
def test_some_launchers_stay_within_a_job(
    launcher: str, ranks: int, together: bool
) -> None:
    """Then the nodes of its lease are of one, where there are jobs."""
    step = Command(argv=["a"], restart={"b": "c"}, launcher=launcher, ranks=ranks)
    assert step.together is together


def test_files_are_read_by_the_ends_of_their_names() -> None:
    """Whatever their folder is called."""
    names = ("a.nc", "b/c.nc4", "d.zarr", "e.nc/f", "g")
    assert [kind_of(name) for name in names] == [
        "netcdf",
        "netcdf",
        "zarr",
        "bytes",
        "bytes",
    ]


def test_it_can_be_sent_to_other_processes() -> None:
    """With all that it was given."""
    step = Command(**GOOD, env={"A": "b"}, codes={3: RETRY})
    again = cloudpickle.loads(cloudpickle.dumps(step))
    assert (again.argv, again.env, again.codes) == (step.argv, step.env, step.codes)


SEGMENT = Segment(
    start=cftime.DatetimeNoLeap(2000, 1, 1),
    end=cftime.DatetimeNoLeap(2001, 1, 1),
    index=4,
    params={"k": 0.5, "evil": "../../x"},
)


def test_a_segment_fills_all_places() -> None:
    """Of arguments, files, environment and names of restart files."""
    step = Command(
        argv=["heat", "${params.k}", "${ranks}x${threads}", "${hosts}"],
        restart={"new-${end:%Y}.nc": "old.nc"},
        files={"namelist": "year=${start:%Y}"},
        env={"STEP": "${index}"},
        ranks=2,
        threads=3,
    )
    found = rendered(step, SEGMENT, [Host(node="a"), Host(node="b", address="n2")])
    assert found.argv == ("heat", "0.5", "2x3", "localhost,n2")
    assert found.files == {"namelist": "year=2000"}
    assert found.env == {"STEP": "4"}
    assert found.restart == {"new-2001.nc": "old.nc"}


def test_a_parameter_names_no_file_elsewhere() -> None:
    """What it puts into the name of a restart file is looked at again."""
    step = Command(argv=["${params.none}"], restart={"${params.evil}": "old"})
    with pytest.raises(InvalidInputError) as caught:
        rendered(step, SEGMENT)
    assert [(fault.place, fault.problem) for fault in caught.value.faults] == [
        ("argv[0], ${params.none}", "is not known"),
        ("restart, '../../x'", "leaves the run folder"),
    ]
