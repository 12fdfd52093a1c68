"""What writers noted of the chunks that they finished."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from climorch.storage import durable
from climorch.storage.jobs import ReceiptLine
from climorch.storage.names import is_safe_key

__all__ = ["read_receipts"]

# Made once, at import, as in the manifest: threads must not.
_LINE = msgspec.json.Decoder(ReceiptLine)


def read_receipts(directory: Path) -> Iterator[ReceiptLine]:
    """Read the notes of all writers of a folder.

    Parameters
    ----------
    directory : Path
        Of the receipts; a missing one holds none.

    Yields
    ------
    ReceiptLine
        In no order that means anything; a chunk may come twice. What cannot be
        read is left out, which costs writing one chunk.

    Raises
    ------
    BackendError
        If the file system fails.
    """
    with durable.translated("read receipts", directory):
        try:
            names = sorted(n for n in os.listdir(directory) if n.endswith(".jsonl"))
        except (FileNotFoundError, NotADirectoryError):
            return
        lines = [ln for n in names for ln in (directory / n).read_bytes().splitlines()]
    for text in lines:
        try:
            line = _LINE.decode(text)
        except msgspec.MsgspecError:
            # The last line of a writer that was killed.
            continue
        if is_safe_key(line.key):
            yield line
