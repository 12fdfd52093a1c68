"""What is wanted by wishes that no driver has taken yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.engine.control import windows_wanted
from climorch.model import events as e
from climorch.model.windows import Window
from climorch.storage import inbox


def window(name: str, node: str = "n") -> Window:
    """One hour of one node."""
    return Window(name=name, start_s=0.0, stop_s=3600.0, nodes=(node,))


def test_windows_of_wishes_that_wait_count(tmp_path: Path) -> None:
    """Declared, declared anew or withdrawn; other wishes change nothing."""
    state = CampaignState()
    for name in ("kept", "gone", "changed"):
        apply(state, e.WindowDeclared(window=window(name)), 0.0)
    for wish in (
        e.WindowWithdrawn(name="gone"),
        e.WindowWithdrawn(name="never"),
        e.WindowDeclared(window=window("changed", "m")),
        e.PauseRequested(simulation="s"),
        e.WindowDeclared(window=window("new")),
    ):
        inbox.put(tmp_path / inbox.FOLDER, wish, by="me")

    assert windows_wanted(state, tmp_path) == {
        "kept": window("kept"),
        "changed": window("changed", "m"),
        "new": window("new"),
    }


def test_a_wish_that_is_journaled_does_not_count_again(tmp_path: Path) -> None:
    """Its file may be there still, and other wishes may have come since."""
    state = CampaignState()
    taken = inbox.put(
        tmp_path / inbox.FOLDER, e.WindowDeclared(window=window("w")), by="me"
    )
    apply(state, taken, 0.0)
    apply(state, e.WindowWithdrawn(name="w"), 0.0)

    assert windows_wanted(state, tmp_path) == {}


def test_without_an_inbox_the_journal_says_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that cannot be read is logged."""
    state = CampaignState()
    apply(state, e.WindowDeclared(window=window("w")), 0.0)
    assert windows_wanted(state, tmp_path) == {"w": window("w")}
    assert not caplog.records
    (tmp_path / inbox.FOLDER).write_text("no folder")

    assert windows_wanted(state, tmp_path) == {"w": window("w")}
    assert "wishes that wait were not read" in caplog.text
