"""Lists of hosts, as batch systems shorten them."""

from __future__ import annotations

import pytest

from climorch.sites.batch.hosts import expand


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("n1", ("n1",)),
        ("n[1-3]", ("n1", "n2", "n3")),
        ("n[08-10,12],gpu4", ("n08", "n09", "n10", "n12", "gpu4")),
        ("r[1-2]c[1-2]", ("r1c1", "r1c2", "r2c1", "r2c2")),
        ("a-b[1]-x,c", ("a-b1-x", "c")),
    ],
)
def test_a_list_is_written_out(text: str, hosts: tuple[str, ...]) -> None:
    """A range keeps the zeros that its first number begins with."""
    assert expand(text) == hosts


@pytest.mark.parametrize(
    "text", ["n[1-", "n[3-1]", "n[a-b]", "n]", ",n1", "n[1-999999999]", "n[[1]]", "n[]"]
)
def test_what_is_no_list_is_refused(text: str) -> None:
    """Also one that would fill the memory."""
    with pytest.raises(ValueError, match="host"):
        expand(text)


def test_ranges_that_multiply_are_bounded() -> None:
    """Three ranges of a thousand are a thousand million hosts."""
    with pytest.raises(ValueError, match="more than"):
        expand("a[1-1000]b[1-1000]c[1-1000]")
