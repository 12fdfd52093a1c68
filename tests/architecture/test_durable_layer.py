"""Everything that lasts goes through one layer, which can be recorded and replayed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, sources

LAYER = "climorch/storage/files.py"

CHANGES = {
    "os": {
        *("fdatasync", "fsync", "ftruncate", "link", "makedirs", "mkdir", "pwrite"),
        *("remove", "removedirs", "rename", "renames", "replace", "rmdir", "symlink"),
        *("truncate", "unlink", "write", "writev", "O_APPEND", "O_CREAT", "O_RDWR"),
        *("O_TRUNC", "O_WRONLY", "posix_fallocate"),
    },
    "shutil": {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "move"}
    | {"rmtree"},
    "tempfile": {"mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory"},
}
# Of a path, whatever it is called. ``replace`` and ``open`` are those of others too.
METHODS = {
    *("hardlink_to", "mkdir", "rmdir", "symlink_to", "touch", "unlink"),
    *("write_bytes", "write_text"),
}

# Where something else than a durable file is written, by path: and what.
ELSEWHERE = {
    "climorch/engine/metering.py": "a word to the kernel, which is no file",
    "climorch/engine/wire.py": "memory that two processes share",
    "climorch/forecast/reporting.py": "reports, where a user says; made again any time",
    "climorch/engine/programs/folders.py": "where programs run; what lasts is read",
    "climorch/engine/programs/restarts.py": "files for a program, and what it has left",
    "climorch/engine/programs/running.py": "likewise",
    "climorch/storage/baton.py": "locks are tried, and nothing is written",
    "climorch/storage/probe.py": "files that are measured and removed again",
    "climorch/storage/depot.py": "objects in a bucket, which has no file system",
    "climorch/sites/batch/agent.py": "notes to the driver, which last as long as it",
    "climorch/sites/batch/preflight.py": "a file that shows that it can be written",
    "climorch/sites/batch/rendezvous.py": "notes to the nodes, likewise",
}


def changes_beside_the_layer(source: Source) -> Iterator[str]:
    """Find what changes a disk without the layer."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (
                name in CHANGES.get(module, ())
            ):
                yield f"{source.path}:{node.lineno}: {module}.{name}"
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if (
                name in METHODS and not _is_layer(value)
            ):
                yield f"{source.path}:{node.lineno}: .{name}()"
            case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="open")):
                modes = [*node.args, *(k.value for k in node.keywords)]
                if any(_writes(mode) for mode in modes):
                    yield f"{source.path}:{node.lineno}: open() to write"
            case _:
                pass


def _is_layer(value: ast.expr) -> bool:
    """Tell whether an operation is asked of the layer itself."""
    return "files.current()" in ast.unparse(value) or ast.unparse(value) == "disk"


def _writes(mode: ast.expr) -> bool:
    """Tell whether an argument is a mode in which files are changed."""
    text = mode.value if isinstance(mode, ast.Constant) else None
    return (
        isinstance(text, str)
        and len(text) <= 3
        and set(text) <= set("rwaxbt+")
        and bool(set(text) & set("wax+"))
    )


def test_nothing_reaches_the_disk_beside_the_durable_layer(project_root: Path) -> None:
    """No module but one changes files or directories by itself."""
    found = [
        fault
        for source in sources(project_root, "climorch")
        if source.path != LAYER
        and not source.path.startswith("climorch/testing/")
        and source.path not in ELSEWHERE
        for fault in changes_beside_the_layer(source)
    ]

    assert found == []


def test_every_exception_from_the_layer_is_still_needed(project_root: Path) -> None:
    """A file that may change other things than durable files does so."""
    needed = {
        source.path
        for source in sources(project_root, "climorch")
        if any(changes_beside_the_layer(source))
    }

    assert ELSEWHERE.keys() - needed == set()


@pytest.mark.parametrize(
    "code",
    [
        "os.rename(a, b)",
        "os.open(path, os.O_CREAT)",
        "path.unlink(missing_ok=True)",
        "path.write_bytes(b'')",
        "(root / 'a').mkdir()",
        "shutil.rmtree(path)",
        "open(path, 'wb')",
        "path.open(mode='r+')",
    ],
)
def test_a_planted_way_round_the_layer_is_found(code: str) -> None:
    """Each way to change a disk is seen, reading is not."""
    reading = "with open(path, 'rb') as f, store.open('m01', 'ocean'): os.listdir(path)"

    for text, count in ((code, 1), (reading, 0)):
        source = Source(path="a.py", text=text, tree=ast.parse(text))
        assert len(list(changes_beside_the_layer(source))) == count
