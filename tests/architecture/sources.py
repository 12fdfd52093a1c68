"""What the architecture tests read: source files as syntax trees, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "Source",
    "imports",
    "is_type_checking",
    "read",
    "runtime_imports",
    "sources",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Python file.

    Attributes
    ----------
    path : str
        Relative to the root, with forward slashes.
    text : str
        Its content.
    tree : ast.Module
        The same, parsed.
    """

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Dotted name, ``climorch.model`` for ``climorch/model/__init__.py``."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(root: Path, *folders: str) -> list[Source]:
    """Read all Python files of some folders, sorted by path.

    Parameters
    ----------
    root : pathlib.Path
        Root of the project.
    *folders : str
        Relative to it; one that does not exist has no files.

    Returns
    -------
    list of Source
        Without caches and hidden folders.
    """
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            inside = path.relative_to(root / folder).parts
            if any(part.startswith((".", "__pycache__")) for part in inside):
                continue
            name = path.relative_to(root).as_posix()
            found.append(read(path, name, path.stat().st_mtime_ns))
    return found


@cache
def read(path: Path, name: str, changed_ns: int) -> Source:
    """Read a file that was last changed then, once per file of tests.

    Parameters
    ----------
    path : pathlib.Path
        Of the file.
    name : str
        What it is called in faults.
    changed_ns : int
        When it was changed, so that a file that is written anew is read anew.
    """
    text = path.read_text(encoding="utf-8")
    return Source(path=name, text=text, tree=ast.parse(text, name))


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Name every module that the code under a node imports, at any depth.

    Parameters
    ----------
    node : ast.AST
        A whole file or a part of it.

    Yields
    ------
    int
        Line number, from 1.
    str
        Dotted name; ``from a import b`` gives ``a.b``, as b may be a module.
    """
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            for alias in inner.names:
                yield inner.lineno, alias.name
        elif isinstance(inner, ast.ImportFrom):
            for alias in inner.names:
                yield inner.lineno, f"{inner.module or ''}.{alias.name}"


def runtime_imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Name every module that the code under a node imports when it runs.

    Parameters
    ----------
    node : ast.AST
        A whole file or a part of it.

    Yields
    ------
    int
        Line number, from 1.
    str
        Dotted name, as `imports` gives it; blocks for the type checker left out.
    """
    for inner in ast.iter_child_nodes(node):
        if not is_type_checking(inner):
            yield from (
                imports(inner)
                if isinstance(inner, ast.Import | ast.ImportFrom)
                else runtime_imports(inner)
            )


def is_type_checking(node: ast.AST) -> bool:
    """Tell whether a node is a block for the type checker alone.

    Parameters
    ----------
    node : ast.AST
        Any node.

    Returns
    -------
    bool
        True for ``if TYPE_CHECKING:``, with or without ``typing.`` before it.
    """
    if not isinstance(node, ast.If):
        return False
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"
