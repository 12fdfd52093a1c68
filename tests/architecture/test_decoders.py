"""Decoders of msgspec are made at import.

What it learns of a type it learns when the type is first used. Two threads that do
this at the same time end the process: seen in msgspec 0.22, where a manifest was read
twice at once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, sources


def decoders_made_late(source: Source) -> Iterator[str]:
    """Find what makes msgspec learn a type while the program runs."""
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                typed = any(word.arg == "type" for word in node.keywords)
                name = node.func.attr
                if name == "Decoder" or (name in ("decode", "convert") and typed):
                    yield f"{source.path}:{node.lineno}: {name}"


def test_decoders_are_made_at_import(project_root: Path) -> None:
    """Threads read manifests, drafts and receipts side by side."""
    found = [
        fault
        for source in sources(project_root, "climorch")
        for fault in decoders_made_late(source)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("D = msgspec.json.Decoder(T)", 0),
        ("def f(b):\n    return D.decode(b)", 0),
        ("def f(b):\n    return msgspec.json.decode(b, type=T)", 1),
        ("def f(b):\n    return msgspec.convert(b, type=T)", 1),
        ("async def f(b):\n    return msgspec.json.Decoder(T).decode(b)", 1),
    ],
)
def test_a_decoder_that_is_made_late_is_found(text: str, count: int) -> None:
    """Within a function, whatever it is called."""
    source = Source(path="x.py", text=text, tree=ast.parse(text))

    assert len(list(decoders_made_late(source))) == count
