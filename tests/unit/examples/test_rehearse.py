"""The example of a rehearsal prints a line for each site it tries."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import rehearse


def test_the_example_tells_what_each_site_would_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Four nodes end sooner than three and later than eight; nothing is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rehearse.py", "--members", "2", "--seeds", "2"])

    rehearse.main()

    lines = capsys.readouterr().out.splitlines()
    days = {line[:14].strip(): float(line[14:].split()[0]) for line in lines[1:6]}
    assert list(days) == [
        "4 nodes",
        "8 nodes",
        "3 nodes",
        "4, a day off",
        "4, bad ones",
    ]
    assert days["8 nodes"] < days["4 nodes"] < days["3 nodes"]
    assert list(tmp_path.iterdir()) == []
