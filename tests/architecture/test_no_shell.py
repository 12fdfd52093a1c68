"""No shell reads what we start: programs get lists of words, wherever they come from.

A script for a batch system is a shell's, and the only one: its words are quoted in
`dialects`, and `tests/conformance` shows that they arrive as they were.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, imports, sources

FOLDERS = ("climorch", "examples", "benchmarks")
SHELLS = {"sh", "bash", "dash", "zsh", "csh", "tcsh", "ksh"}
STARTERS = {"Popen", "call", "check_call", "check_output", "run"}
# Modules, and functions of modules, that hand a line to a shell.
LINES = {
    "commands",
    "pexpect",
    *(f"os.{name}" for name in ("popen", "system")),
    *(f"subprocess.{name}" for name in ("getoutput", "getstatusoutput")),
    "asyncio.create_subprocess_shell",
    "asyncio.subprocess.create_subprocess_shell",
}
NAMES = {line.rpartition(".")[2] for line in LINES}
# Where a shell reads a line of ours, by path: which, and why.
ELSEWHERE = {
    "climorch/testing/fault_stage.py": "mounts for a test; all that varies is a word",
}


def shells(source: Source) -> Iterator[str]:
    """Find what may come before a shell."""
    for line, name in imports(source.tree):
        if name in LINES or name.partition(".")[0] in LINES:
            yield f"{source.path}:{line}: {name}"
    for node in ast.walk(source.tree):
        where = f"{source.path}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Attribute(attr=name) if (
                name in NAMES and ast.unparse(node) in LINES
            ):
                yield f"{where}: {ast.unparse(node)}"
            case ast.keyword(arg="shell", value=value) if not _is_false(value):
                yield f"{where}: shell={ast.unparse(value)}"
            case ast.List(elts=words) | ast.Tuple(elts=words) if _is_shell(words):
                yield f"{where}: {ast.unparse(node)}"
            case ast.Call() if _starts(node) and node.args and _is_line(node.args[0]):
                yield f"{where}: {ast.unparse(node.args[0])} is no list"


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _is_shell(words: list[ast.expr]) -> bool:
    """Whether words begin with a shell that is given its line."""
    texts = [w.value if isinstance(w, ast.Constant) else None for w in words[:2]]
    if len(texts) < 2 or not all(isinstance(text, str) for text in texts):
        return False
    program, option = (str(text) for text in texts)
    return program.rpartition("/")[2] in SHELLS and option.startswith("-")


def _starts(call: ast.Call) -> bool:
    """Whether a call starts a program."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="subprocess" | "psutil"), attr=name):
            return name in STARTERS
    return False


def _is_line(value: ast.expr) -> bool:
    """Whether it is a text, and not words."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str)
    return isinstance(value, ast.JoinedStr | ast.BinOp)


def test_no_shell_reads_what_we_start(project_root: Path) -> None:
    """In the package, its examples and its benchmarks."""
    found = sources(project_root, *FOLDERS)
    assert len(found) > 300
    faults = [
        fault
        for source in found
        if source.path not in ELSEWHERE
        for fault in shells(source)
    ]
    assert faults == []


def test_every_exception_is_one(project_root: Path) -> None:
    """It still has what it is excepted for, once, in what serves tests alone."""
    for source in sources(project_root, "climorch"):
        if source.path in ELSEWHERE:
            assert source.path.startswith("climorch/testing/")
            assert len([*shells(source)]) == 1


def test_programs_are_started(project_root: Path) -> None:
    """There is something to be looked at: the test above is about these."""
    started = [
        f"{source.path}"
        for source in sources(project_root, "climorch")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _starts(node)
    ]
    assert "climorch/engine/programs/running.py" in started
    assert "climorch/sites/batch/agent.py" in started


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("import os\nos.system('rm -r x')", 1),
        ("from os import system", 1),
        ("import os\nos.popen(x)", 1),
        ("import subprocess\nsubprocess.run(words, shell=True)", 1),
        ("import subprocess\nsubprocess.run(words, shell=wanted)", 1),
        ("import subprocess\nsubprocess.run(words, shell=False)", 0),
        ("import subprocess\nsubprocess.run('ls x')", 1),
        ("import subprocess\nsubprocess.Popen(f'ls {x}')", 1),
        ("import subprocess\nsubprocess.check_output('ls ' + x)", 1),
        ("import subprocess\nsubprocess.run(['/bin/sh', '-c', x])", 1),
        ("argv = ('bash', '-lc', line)", 1),
        ("import subprocess\nsubprocess.getoutput(x)", 1),
        ("import asyncio\nasyncio.create_subprocess_shell(x)", 1),
        ("from subprocess import getstatusoutput", 1),
        ("import subprocess\nsubprocess.run(['ls', x])", 0),
        ("names = ['sh', 'bash']", 0),
        ("platform.system()", 0),
    ],
)
def test_shells_are_found(code: str, count: int) -> None:
    """In each way in which one can be started."""
    source = Source(path="x.py", text=code, tree=ast.parse(code))
    assert len([*shells(source)]) == count
