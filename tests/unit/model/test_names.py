"""Which names may be given."""

from __future__ import annotations

import pytest

from climorch.model.names import name_fault


@pytest.mark.parametrize(
    "name", ["a", "7", "ocean", "ssp245-m01", "r1i1p1f1", "A.b_c-9", "x" * 64]
)
def test_a_name_that_is_a_file_name_everywhere_may_be_used(name: str) -> None:
    """Letters, digits, dot, underscore and hyphen, up to 64, make a name."""
    assert name_fault(name, place="here") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 65,
        ".",
        "..",
        ".hidden",
        "-a",
        "_a",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "é",
        "a:b",
        "a\0",
        None,
        7,
        b"a",
    ],
)
def test_any_other_name_is_a_fault_with_its_place(name: object) -> None:
    """What could leave its folder, or is no text, is refused with a remedy."""
    fault = name_fault(name, place="stage 3")

    assert fault is not None
    assert str(fault) == (
        f"stage 3: name {name!r} cannot be a file name everywhere; use 1 to 64 "
        "letters, digits, '.', '_' or '-', first a letter or digit"
    )
