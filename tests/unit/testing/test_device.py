from __future__ import annotations

import numpy as np
import pytest

from climorch.testing.device import KEPT, Device, Loss, Tree, losses
from climorch.testing.recording import ROOT, Flushed, Names, Operation, Written

NOTHING = Loss(frozenset())


def made(node: int, name: str, parent: int = ROOT) -> Names:
    return Names(((parent, name, node),), f"create {name}")


def device(*operations: Operation) -> Device:
    found = Device()
    for operation in operations:
        found.take(operation)
    return found


def test_a_name_lasts_once_its_directory_was_flushed() -> None:
    """Before, it may be lost although its file was flushed; afterwards never."""
    before = device(made(1, "a"), Written(1, 0, b"x"), Flushed(1))

    assert before.tree(NOTHING) == {}
    assert before.tree(Loss(frozenset({0}))) == {"a": (1, b"x")}

    before.take(Flushed(ROOT))
    assert before.pending_names == []
    assert before.tree(NOTHING) == {"a": (1, b"x")}


@pytest.mark.parametrize(
    ("kept", "content"),
    [
        ("none", b"old"),
        ("zeros", b"old\0\0\0\0"),
        ("half", b"oldne"),
        ("torn", b"old\0\0w!"),
    ],
)
def test_bytes_that_were_not_flushed_may_be_anything(kept: str, content: bytes) -> None:
    """What was flushed stays; what came after is missing, zeros, cut or torn."""
    found = device(
        made(1, "a"),
        Flushed(ROOT),
        Written(1, 0, b"old"),
        Flushed(1),
        Written(1, 3, b"new!"),
    )

    assert found.pending_files == [1]
    assert found.tree(NOTHING) == {"a": (1, b"oldnew!")}
    assert found.tree(Loss(frozenset(), ((1, kept),))) == {"a": (1, content)}


def test_a_rename_changes_both_names_or_none() -> None:
    """To flush one of two directories is to flush the whole rename."""
    renamed = Names(((1, "a", None), (2, "b", 3)), "rename")
    folders = [
        Names(((ROOT, name, node),), "mkdir", directory=True, settled=True)
        for node, name in ((1, "from"), (2, "to"))
    ]
    before: list[Operation] = [*folders, made(3, "a", 1), Flushed(1), renamed]

    lost: Tree = {"from": None, "to": None, "from/a": (3, b"")}
    kept: Tree = {"from": None, "to": None, "to/b": (3, b"")}
    assert device(*before).tree(NOTHING) == lost
    assert device(*before).tree(Loss(frozenset({0}))) == kept
    for directory in (1, 2):
        assert device(*before, Flushed(directory)).tree(NOTHING) == kept


def test_a_flushed_rename_is_not_undone_by_what_came_before_it() -> None:
    """The old name, whose making was never flushed, does not come back."""
    folder = Names(((ROOT, "to", 1),), "mkdir", directory=True, settled=True)
    found = device(
        folder,
        made(2, "draft"),
        Names(((ROOT, "draft", None), (1, "b", 2)), "rename"),
        Flushed(1),
    )

    assert found.tree(Loss(frozenset(range(5)))) == {"to": None, "to/b": (2, b"")}


def test_changes_of_one_directory_happen_in_any_order() -> None:
    """A later change may have happened and an earlier one not."""
    found = device(made(1, "a"), made(2, "b"))

    assert found.pending_names == ["create a", "create b"]
    assert list(found.tree(Loss(frozenset({1})))) == ["b"]


def test_a_file_keeps_all_of_its_names() -> None:
    """Two names of one file are told as such."""
    found = device(made(1, "a"), made(1, "b"), Written(1, 0, b"x"), Flushed(ROOT))

    assert found.tree(NOTHING) == {"a": (1, b"x"), "b": (1, b"x")}


def test_losses_of_one_and_of_two_changes_are_all_there() -> None:
    """Cuts in order come first; then each single loss, and each pair."""
    rng = np.random.default_rng(0)
    one = list(losses(3, [], most=1, samples=0, rng=rng))
    two = list(losses(3, [7], most=2, samples=4, rng=rng))

    assert one[:4] == [Loss(frozenset(range(n))) for n in (3, 2, 1, 0)]
    every = frozenset(range(3))
    assert {every - {n} for n in range(3)} <= {loss.happened for loss in one}
    pairs = {every - {a, b} for a in range(3) for b in range(a)}
    assert pairs <= {loss.happened for loss in two}
    assert {((7, kept),) for kept in KEPT} <= {loss.kept for loss in two}
    assert list(losses(0, [], most=2, samples=9, rng=rng)) == [NOTHING]
