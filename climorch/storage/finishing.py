"""What a dead driver left in flight, finished by the next one where it is complete.

Decides whether nothing is missing: with a manifest, that all is as it says; without
one, that every chunk of the draft has its receipt and every output is whole, and
that the values may be committed. Else the folder is left for its chunks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from climorch.errors import ConflictError, CorruptDataError
from climorch.storage import durable
from climorch.storage.chunks import RECEIPTS, read_chunk
from climorch.storage.commit import collect_entries, promote, seal, sweep
from climorch.storage.draft import Draft, read_draft
from climorch.storage.growth import grid, members_of
from climorch.storage.inflight import Checkpoint
from climorch.storage.jobs import ChunkJob, ChunkReceipt, ReceiptLine
from climorch.storage.layout import Layout, output_notes, staging_folder
from climorch.storage.manifest import OUTPUTS, Manifest, read_manifest
from climorch.storage.receipts import read_receipts
from climorch.storage.template import GROUP
from climorch.storage.verify import verify

__all__ = ["finish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is in a folder, for `collect_entries`."""

    directory: Path
    expected: set[str]
    fixed: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """A whole output and where it belongs."""

    group: Path
    target: Path
    receipts: tuple[ChunkReceipt, ...]


def finish(layout: Layout, epoch: int, path: Path) -> Checkpoint | None:
    """Finish what a dead driver began; see `CheckpointStore.complete`."""
    try:
        manifest: Manifest | None = read_manifest(path)
    except FileNotFoundError:
        manifest = _sealed_now(layout, path)
    except CorruptDataError:
        return None
    if manifest is None:
        return None
    sweep(path)
    bad = [key for key, _ in verify(path).bad if not key.startswith(f"{RECEIPTS}/")]
    if bad or manifest.campaign != layout.campaign.name:
        return None
    try:
        return promote(layout, epoch, path, manifest)
    except ConflictError:
        # Something else was committed there meanwhile, and that is what counts.
        return None


def _sealed_now(layout: Layout, path: Path) -> Manifest | None:
    """Write the manifest of a complete folder; None: it is not complete."""
    with durable.translated("look at what was left", path):
        draft = read_draft(path)
        if draft is None or _name(layout, draft.manifest) != (
            layout.campaign.name,
            path.parent.name,
            # One that was given up has more behind it: it was not to be committed.
            path.name,
        ):
            return None
        receipts = _receipts(path, draft)
        outputs = None if receipts is None else _outputs(path, draft)
        if receipts is None or outputs is None or not _may_be(path, draft, receipts):
            return None
        for output in outputs:
            if output.group != output.target:
                durable.make_directory(path / OUTPUTS)
                durable.make_directory(output.target.parent)
                durable.remove_tree(output.group / RECEIPTS)
                durable.rename_durably(output.group, output.target)
    given = [*receipts.values(), *(r for o in outputs for r in o.receipts)]
    expected = {receipt.key for receipt in given}
    found = _Found(directory=path, expected=expected, fixed=draft.fixed)
    try:
        entries = collect_entries(found, given)
    except CorruptDataError:
        return None
    manifest = msgspec.structs.replace(draft.manifest, entries=entries)
    seal(path, manifest)
    return manifest


def _name(layout: Layout, manifest: Manifest) -> tuple[str, str, str]:
    folder = layout.attempt(
        manifest.epoch,
        manifest.simulation,
        manifest.set,
        manifest.boundary,
        manifest.attempt,
    )
    return manifest.campaign, manifest.simulation, folder.name


def _receipts(path: Path, draft: Draft) -> dict[str, ChunkReceipt] | None:
    """Find the receipt of every chunk; None if one is missing or of another form."""
    manifest = draft.manifest
    noted: dict[str, ReceiptLine] = {
        line.key: line
        for line in read_receipts(path / RECEIPTS)
        if line.params_digest == manifest.params_digest
    }
    blocks = sum(
        math.prod(spec.blocks)
        for stages in manifest.arrays.values()
        for specs in stages.values()
        for spec in specs
    )
    # Compared before they are counted one by one: shapes may claim anything.
    if blocks > len(noted):
        return None
    receipts: dict[str, ChunkReceipt] = {}
    for key, (spec, index) in manifest.chunks().items():
        job = ChunkJob(
            key=key,
            dtype=spec.dtype,
            shape=spec.block_shape(index),
            chunk_shape=spec.chunk_shape,
            codec=spec.codec,
        )
        line = noted.get(key)
        if line is None or line.form != job.form:
            return None
        receipts[key] = _plain(line, key)
    return receipts


def _plain(line: ReceiptLine, key: str) -> ChunkReceipt:
    fields = {name: getattr(line, name) for name in ChunkReceipt.__struct_fields__}
    return ChunkReceipt(**{**fields, "key": key})


def _may_be(path: Path, draft: Draft, receipts: dict[str, ChunkReceipt]) -> bool:
    """Read the states whose values are limited; no state that blew up is committed."""
    counts: dict[str, int] = {}
    for key, (spec, index) in draft.manifest.chunks().items():
        array = key.removesuffix("/".join(("", "c", *map(str, index))))
        if array not in draft.finite or np.dtype(spec.dtype).kind not in "fc":
            continue
        try:
            block = read_chunk(
                path / key,
                receipts[key],
                spec.dtype,
                spec.chunk_shape,
                spec.block_shape(index),
                spec.codec,
            )
        except CorruptDataError:
            return False
        bad = block.size - int(np.count_nonzero(np.isfinite(block)))
        counts[array] = counts.get(array, 0) + bad
    return all(bad <= draft.finite[array] for array, bad in counts.items())


def _outputs(path: Path, draft: Draft) -> list[_Output] | None:
    """Find every output that shall be part of it; None if one is not whole."""
    manifest = draft.manifest
    staging = path.with_name(staging_folder(manifest.set, manifest.attempt))
    found = []
    for stage, segments in manifest.outputs.items():
        for segment in segments:
            target = path / OUTPUTS / stage / str(segment)
            if target.is_dir():
                group, notes = target, output_notes(path, stage, segment)
            else:
                group = staging / stage / str(segment)
                notes = group / RECEIPTS
            if not _whole(group):
                return None
            receipts = {
                line.key: _plain(line, f"{OUTPUTS}/{stage}/{segment}/{line.key}")
                for line in read_receipts(notes)
            }
            found.append(
                _Output(group=group, target=target, receipts=tuple(receipts.values()))
            )
    return found


def _whole(group: Path) -> bool:
    """Whether a group has every file that its metadata speak of.

    A file that has its name has its whole content: names are given last.
    """
    try:
        return (group / GROUP).is_file() and all(
            (group / key).is_file() for key in _keys(group)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _keys(group: Path) -> Iterator[str]:
    for name, member in members_of(group).items():
        yield f"{name}/{GROUP}"
        counts = [
            -(-int(length) // int(chunk))
            for length, chunk in zip(member["shape"], grid(member), strict=True)
        ]
        for index in itertools.product(*map(range, counts)):
            yield "/".join((name, "c", *map(str, index)))
