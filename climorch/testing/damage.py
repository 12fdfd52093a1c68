"""Damage to what is on the disk, and what a campaign makes of it.

Decides what damage is, and on which rung of the ladder a restore has to end: the
newest checkpoint of which no file that is read is changed, or the initial state.
The ladder is climbed down as the engine does: load, open, read every chunk; what is
damaged is set aside, and the one before is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from climorch.core.ports import Row
from climorch.errors import ClimorchError, CorruptDataError
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.journal import SqliteJournal
from climorch.storage.manifest import MANIFEST, OUTPUTS
from climorch.storage.owner import Owner
from climorch.storage.verify import verify
from climorch.testing.device import Tree
from climorch.testing.power_loss import write_tree
from climorch.testing.small_campaign import (
    CAMPAIGN,
    SET,
    SIMULATION,
    SmallCampaign,
    mixed,
)

__all__ = [
    "KINDS",
    "Damage",
    "Journal",
    "Look",
    "Scene",
    "damages",
    "harm_journal",
    "look",
    "make_scene",
    "write_journal",
]

KINDS = ("flip", "cut", "zeroed", "empty", "missing", "swapped", "stale", "longer")
"""Ways in which one file is damaged."""

BOUNDARIES = (3, 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Damage to one file.

    Attributes
    ----------
    kind : str
        One of `KINDS`. ``"stale"``: an older checkpoint's file of this name.
    file, other : float
        Which file, and which one it is swapped with: a share of all, in [0, 1).
    at, size : float
        Where, and how much: shares of the file, in [0, 1).
    """

    kind: str
    file: float
    other: float
    at: float
    size: float


_SHARES = st.floats(0, 1, exclude_max=True, allow_subnormal=False)

damages = st.lists(
    st.builds(
        Damage,
        kind=st.sampled_from(KINDS),
        file=_SHARES,
        other=_SHARES,
        at=_SHARES,
        size=_SHARES,
    ),
    min_size=1,
    max_size=3,
)
"""Hypothesis strategy: one to three damages at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Three checkpoints on a disk; the second shares no file with the first.

    Attributes
    ----------
    tree : dict
        All files and folders, as `climorch.testing.device.Tree`.
    files : tuple of str
        Files of checkpoints, which are damaged.
    """

    tree: Tree
    files: tuple[str, ...]


def make_scene(folder: Path) -> Scene:
    """Write the checkpoints, and take the disk in.

    Parameters
    ----------
    folder : Path
        Empty.

    Returns
    -------
    Scene
        The folder is of no use any more.
    """
    campaign = SmallCampaign(folder)
    for boundary, full in ((1, False), (2, True), (3, False)):
        campaign.publish(campaign.commit(boundary, full=full))
    tree: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        tree[name] = None if path.is_dir() else (path.stat().st_ino, path.read_bytes())
    own = f"{CAMPAIGN}/checkpoints/"
    files = tuple(n for n, c in tree.items() if c is not None and n.startswith(own))
    return Scene(tree=tree, files=files)


def _inflict(scene: Scene, damage: Damage, tree: Tree) -> None:
    """Damage a file under all of its names; a missing one loses this name only."""
    name = scene.files[int(damage.file * len(scene.files))]
    found = tree.get(name)
    if found is None:
        return
    node, content = found
    at = int(damage.at * len(content))
    end = at + 1 + int(damage.size * (len(content) - at))
    match damage.kind:
        case "flip" if content:
            bit = 1 << int(damage.size * 8)
            new = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        case "cut":
            new = content[:at]
        case "zeroed":
            new = content[:at] + bytes(len(content[at:end])) + content[end:]
        case "empty":
            new = b""
        case "missing":
            del tree[name]
            return
        case "swapped":
            other = scene.files[int(damage.other * len(scene.files))]
            twin = tree.get(other)
            if twin is None:
                return
            _set(tree, twin[0], content)
            new = twin[1]
        case "stale":
            new = _older(scene, name) or content
        case _:
            new = content + content[at:end]
    _set(tree, node, new)


def _set(tree: Tree, node: int, content: bytes) -> None:
    for name, found in tree.items():
        if found is not None and found[0] == node:
            tree[name] = (node, content)


def _older(scene: Scene, name: str) -> bytes | None:
    parts = name.split("/")
    for other in scene.files:
        if other.split("/")[5:] == parts[5:] and other.split("/")[4] < parts[4]:
            found = scene.tree[other]
            return found[1] if found else None
    return None


def _boundary(name: str) -> int:
    return int(name.split("/")[4].rpartition("-")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What became of a damaged disk.

    Attributes
    ----------
    damaged : int
        Files that are not what they were.
    rung : int
        Boundary that was restored; 0: the initial state.
    faults : tuple of str
        What was not detected, or not restored as it should have been.
    """

    damaged: int
    rung: int
    faults: tuple[str, ...]


def look(scene: Scene, inflicted: Sequence[Damage], folder: Path) -> Look:
    """Damage a disk, verify it and restore from it.

    Parameters
    ----------
    scene : Scene
        The disk.
    inflicted : sequence of Damage
        What happens to it.
    folder : Path
        Empty; best in memory.

    Returns
    -------
    Look
        What was found.
    """
    tree = dict(scene.tree)
    for damage in inflicted:
        _inflict(scene, damage, tree)
    changed = {n for n in scene.files if tree.get(n) != scene.tree[n]}
    write_tree(tree, folder)
    store = CheckpointStore(folder, CAMPAIGN, 2)
    store.fence()
    faults = [*_undetected(store, changed)]
    read = {_boundary(n) for n in changed if n.split("/")[5] != OUTPUTS}
    expected = max({*BOUNDARIES, 0} - read)
    rung, problem = _restore(store)
    if (rung, problem) != (expected, ""):
        faults.append(f"restored {rung} {problem}, expected {expected}: {changed}")
    return Look(damaged=len(changed), rung=rung, faults=tuple(faults))


def _undetected(store: CheckpointStore, changed: set[str]) -> Iterator[str]:
    """Verify every checkpoint; say what it should have reported, or should not."""
    for boundary, path in store.layout.boundaries(SIMULATION, SET).items():
        reported = {key for key, _ in verify(path).bad}
        own = {"/".join(n.split("/")[5:]) for n in changed if _boundary(n) == boundary}
        if bool(reported) != bool(own):
            yield f"checkpoint {boundary}: reported {reported}, changed {own}"
        # By another manifest all is judged otherwise.
        if MANIFEST not in own and reported != own:
            yield f"checkpoint {boundary}: reported {reported}, changed {own}"


def _restore(store: CheckpointStore) -> tuple[int, str]:
    """Climb the ladder down; return the rung, and what is wrong with its values."""
    for boundary in BOUNDARIES:
        try:
            checkpoint = store.load(SIMULATION, SET, boundary)
            store.opened(checkpoint)
            problem = mixed(checkpoint)
        except CorruptDataError:
            store.set_aside(SIMULATION, SET, boundary)
        except ClimorchError as error:
            return boundary, str(error)
        else:
            return boundary, problem
    return 0, ""


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal that was closed, and what its rows were.

    Attributes
    ----------
    content : bytes
        Of the file.
    rows : tuple of Row
        All of them.
    """

    content: bytes
    rows: tuple[Row, ...]


def write_journal(path: Path, count: int = 200) -> Journal:
    """Write a journal and close it.

    Parameters
    ----------
    path : Path
        Where; nothing is there yet.
    count : int
        Rows.

    Returns
    -------
    Journal
        The file may go.
    """
    rows = tuple(
        Row(kind="Fact", payload=b"row %06d " % n * 20, now_s=float(n))
        for n in range(count)
    )
    with closing(_open(path)) as journal:
        journal.append(rows)
    return Journal(path.read_bytes(), rows)


def harm_journal(journal: Journal, damage: Damage, path: Path) -> str:
    """Damage a journal, most of the time near its end, and open it.

    Parameters
    ----------
    journal : Journal
        What it was.
    damage : Damage
        Of kind cut, zeroed, empty, longer or flip; any other flips a bit.
    path : Path
        Where to write it; removed again.

    Returns
    -------
    str
        ``"same"``: nothing was changed. ``"refused"``: the damage is told.
        ``"harmless"``: every row is there unchanged. ``"wrong"``: none of these.
    """
    content = journal.content
    start = len(content) * 3 // 4 if damage.file < 0.7 else 0
    at = start + int(damage.at * (len(content) - start))
    end = at + 1 + int(damage.size * (len(content) - at))
    bit = 1 << int(damage.other * 8)
    flipped = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
    harmed = {
        "cut": content[:at],
        "empty": b"",
        "zeroed": content[:at] + bytes(len(content[at:end])) + content[end:],
        "longer": content + content[at:end],
    }.get(damage.kind, flipped)
    if harmed == content:
        return "same"
    path.write_bytes(harmed)
    try:
        with closing(_open(path)) as opened:
            if not opened.verify().good:
                return "refused"
            rows = tuple(opened.read())
    except ClimorchError:
        return "refused"
    finally:
        for name in path.parent.glob(f"{path.name}*"):
            name.unlink()
    same = [(r.kind, r.payload, r.now_s) for r in rows]
    return (
        "harmless"
        if same == [(r.kind, r.payload, r.now_s) for r in journal.rows]
        else "wrong"
    )


def _open(path: Path) -> SqliteJournal:
    return SqliteJournal.open(
        path,
        campaign=CAMPAIGN,
        owner=Owner(host="node1", boot_id="boot1", pid=4242, start_ticks=7),
        now_s=100.0,
        alive=lambda owner: False,
        ballast_bytes=0,
    )
