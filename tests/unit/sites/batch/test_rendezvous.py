"""What driver and agents tell each other by files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from climorch.sites.batch.rendezvous import Notice, Rendezvous


def made(folder: Path) -> Rendezvous:
    """Make a folder to meet in."""
    meeting = Rendezvous(folder / "deep" / "cmip")
    meeting.prepare()
    return meeting


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    """Keys lie there; a key that was readable before is not again."""
    meeting = made(tmp_path)
    path = meeting.keep_secret("session.pem", "key")
    path.chmod(0o644)
    path = meeting.keep_secret("session.pem", "another")

    assert meeting.folder.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "another"


def test_a_beacon_beats(tmp_path: Path) -> None:
    """The same is told, and shows life; the end is told too."""
    meeting = made(tmp_path)
    meeting.announce(epoch="a", address="tls://x")
    first = json.loads((meeting.folder / "scheduler.json").read_text())
    meeting.beat()
    second = json.loads((meeting.folder / "scheduler.json").read_text())
    meeting.leave()
    last = json.loads((meeting.folder / "scheduler.json").read_text())

    assert first.pop("beat") != second.pop("beat")
    assert first == second == {"epoch": "a", "address": "tls://x"}
    assert last["over"] is True
    assert "address" not in last
    assert not list(meeting.folder.glob("*.tmp"))


def told(meeting: Rendezvous, name: str, content: str) -> Path:
    """Write what an agent may have written."""
    path = meeting.folder / "notices" / f"{name}.json"
    path.write_text(content)
    return path


def test_notices_are_taken_once(tmp_path: Path) -> None:
    """What lay there for a while has so much less left."""
    meeting = made(tmp_path)
    fresh = {"node": "n1.7", "left_s": 60, "why": "SIGTERM"}
    path = told(meeting, "n1.7.SIGTERM", json.dumps(fresh))
    os.utime(path, (time.time() - 20, time.time() - 20))

    (notice,) = meeting.notices()
    assert notice.node == "n1.7"
    assert 30 < notice.left_s < 41
    assert notice.why == "SIGTERM"
    assert meeting.notices() == []


def test_what_is_no_notice_is_thrown_away(tmp_path: Path) -> None:
    """Half written, huge, or of a name that is no node's."""
    meeting = made(tmp_path)
    told(meeting, "a", '{"node": "n1')
    told(meeting, "b", '{"node": "../../x", "left_s": 1}')
    told(meeting, "c", '{"node": "n", "left_s": -1}')
    told(meeting, "d", '{"node": "n", "left_s": NaN}')
    told(meeting, "e", '{"node": "n", "left_s": 1, "why": "' + "x" * 9999 + '"}')
    told(meeting, "f", "[]")

    assert meeting.notices() == []
    assert not list((meeting.folder / "notices").iterdir())


def test_notices_for_an_earlier_driver_are_not_heard(tmp_path: Path) -> None:
    """Preparing throws them away."""
    meeting = made(tmp_path)
    told(meeting, "a", '{"node": "n", "left_s": 1}')
    meeting.prepare()

    assert meeting.notices() == []
    assert Notice(node="n", left_s=1.0, why="").left_s == 1.0
