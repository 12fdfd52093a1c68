"""What a checkpoint will be, noted before its chunks are written.

With it another driver can tell whether a folder that was left in flight is
complete, and finish it. Read from a disk on which anything may have happened.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import xxhash

from climorch.storage.jobs import RECEIPTS
from climorch.storage.manifest import Manifest
from climorch.storage.names import is_safe_key

__all__ = ["DRAFT", "Draft", "encode_draft", "read_draft"]

DRAFT = f"{RECEIPTS}/draft.json"
"""Its name in the folder; it goes with the receipts at the commit."""

_MAX_BYTES = 512 * 2**20


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint without its chunks.

    Attributes
    ----------
    manifest : Manifest
        As it will be, without entries; its outputs are those that shall come in.
    fixed : dict of str to str
        Key to hash of every file that was written beforehand.
    finite : dict of str to int
        Array, such as ``"state.zarr/ocean/T"``, to how many of its values may be
        NaN or infinite; any number in those that are not named.
    """

    manifest: Manifest
    fixed: dict[str, str]
    finite: dict[str, int]


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    xxh3: str
    draft: msgspec.Raw


# Made once, at import, as in the manifest: threads must not.
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_DRAFT = msgspec.json.Decoder(Draft)


def encode_draft(draft: Draft) -> bytes:
    """Encode a draft together with its own hash.

    Parameters
    ----------
    draft : Draft
        What is planned.

    Returns
    -------
    bytes
        JSON.
    """
    body = msgspec.json.encode(draft)
    digest = xxhash.xxh3_128_hexdigest(body)
    return msgspec.json.encode(_Envelope(xxh3=digest, draft=msgspec.Raw(body)))


def read_draft(directory: Path) -> Draft | None:
    """Read the draft of an in-flight folder.

    Parameters
    ----------
    directory : Path
        The folder.

    Returns
    -------
    Draft or None
        None where there is none that can be trusted: then nobody knows whether
        the folder is complete.

    Raises
    ------
    OSError
        If the file system fails.
    """
    try:
        with (directory / DRAFT).open("rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    try:
        envelope = _ENVELOPE.decode(data)
        body = bytes(envelope.draft)
        if xxhash.xxh3_128_hexdigest(body) != envelope.xxh3:
            return None
        draft = _DRAFT.decode(body)
    except msgspec.MsgspecError:
        return None
    safe = all(is_safe_key(key) for key in draft.fixed)
    return draft if safe and not draft.manifest.entries else None
