"""What a Dask worker is as a node."""

from __future__ import annotations

import pytest

from climorch.engine.nodes import loss_reason, missing_resources, node_name
from climorch.model.names import PATTERN


@pytest.mark.parametrize("worker", ["node007", "a.b-c_d", "x" * 64])
def test_a_worker_with_a_usable_name_is_the_node_of_that_name(worker: str) -> None:
    """Names that a site gives stay as they are."""
    assert node_name(worker) == worker


def test_a_number_is_a_name() -> None:
    """Dask's own clusters count their workers."""
    assert node_name(3) == "3"


@pytest.mark.parametrize(
    ("worker", "begins"),
    [
        ("tcp://10.0.0.1:40123", "tcp-10.0.0.1-40123-"),
        ("big machine/7", "big-machine-7-"),
        ("../..", "node-"),
        ("größe", "gr-e-"),
        ("y" * 500, "y" * 48 + "-"),
        ("", "node-"),
    ],
)
def test_any_other_name_becomes_one_that_can_name_a_file(
    worker: str, begins: str
) -> None:
    """What can be kept is kept, with a hash that tells names apart."""
    name = node_name(worker)

    assert name.startswith(begins)
    assert len(name) == len(begins) + 8
    assert PATTERN.fullmatch(name)


def test_names_that_look_alike_stay_apart() -> None:
    """Two workers are never one node."""
    assert len({node_name(n) for n in ("a b", "a/b", "a:b", "a-b")}) == 4


@pytest.mark.parametrize(
    ("threads", "offered", "missing"),
    [
        (4, {}, {"cpu": 3.0, "io": 1.0}),
        (1, {}, {"cpu": 1.0, "io": 1.0}),
        (4, {"GPU": 1.0, "io": 2.0}, {"cpu": 3.0}),
        (4, {"cpu": 2.0, "io": 1.0}, {}),
    ],
)
def test_one_thread_is_for_io_and_the_rest_computes(
    threads: int, offered: dict[str, float], missing: dict[str, float]
) -> None:
    """What a worker offers itself is not touched."""
    assert missing_resources(threads, offered) == missing


@pytest.mark.parametrize(
    ("stimulus", "reason"),
    [
        ("retire-workers-1795671011.2724502", "retired by whoever runs the cluster"),
        ("handle-worker-cleanup-1795671027.85", "its connection ended"),
        ("nanny-close-1795671027", "it was closed"),
        ("check-worker-ttl-1.79e+09", "no heartbeat"),
        ("something-new-12.5", "something-new"),
        ("died", "died"),
        ("", ""),
    ],
)
def test_why_a_worker_went_is_said_in_words(stimulus: str, reason: str) -> None:
    """Dask names what it was busy with, and when; people want to know why."""
    assert loss_reason(stimulus) == reason
