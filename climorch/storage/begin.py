"""The first step of a checkpoint: all of it but the chunks of fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import xxhash

from climorch.model.codec import Storing
from climorch.storage import durable
from climorch.storage.chunks import RECEIPTS
from climorch.storage.draft import DRAFT, encode_draft
from climorch.storage.fencing import give_up, left_of
from climorch.storage.inflight import CheckpointRequest, InFlight, plan_jobs
from climorch.storage.layout import Layout
from climorch.storage.manifest import STATE
from climorch.storage.template import (
    GROUP,
    Rendered,
    TemplateCache,
    tree_metadata,
    write_rendered,
)

__all__ = ["begin"]


def begin(
    layout: Layout, epoch: int, templates: TemplateCache, request: CheckpointRequest
) -> InFlight:
    """Make the folder of an attempt; see `CheckpointStore.begin`."""
    rendered = {
        tree: {
            stage: templates.render(
                dataset,
                place=f"{tree} of stage '{stage}'",
                storing=_storing(request, tree, stage),
            )
            for stage, dataset in stages.items()
        }
        for tree, stages in request.trees.items()
    }
    whose = (request.simulation, request.set)
    directory = layout.attempt(epoch, *whose, request.boundary, request.attempt)
    # The same attempt may have tried this before.
    give_up(layout, epoch, directory, request.simulation)
    left = left_of(layout, epoch, *whose)
    jobs = plan_jobs(
        rendered, request, [f for f in left if f.boundary == request.boundary]
    )
    with durable.translated("begin checkpoint", directory):
        try:
            fixed = _write_groups(directory, rendered)
            in_flight = InFlight(
                directory=directory,
                final=layout.final(
                    *whose, request.boundary, request.model_time.isoformat()
                ),
                # The datasets may hold gigabytes on the cluster.
                request=dataclasses.replace(
                    request, states={}, exports={}, previous=None
                ),
                jobs=jobs,
                rendered=rendered,
                fixed=fixed,
            )
            draft = in_flight.draft(layout.campaign.name, epoch)
            durable.write_durably(directory / DRAFT, encode_draft(draft))
            durable.fsync_tree(directory)
            durable.fsync_directory(directory.parent)
            durable.fsync_directory(directory.parent.parent)
        except BaseException:
            with suppress(OSError):
                durable.remove_tree(directory)
            raise
    return in_flight


def _storing(
    request: CheckpointRequest, tree: str, stage: str
) -> Mapping[str, Storing]:
    """Say how variables are stored; only states are rounded by what was said."""
    found = request.storing.get(stage, {})
    if tree == STATE:
        return found
    return {name: Storing(codec=storing.codec) for name, storing in found.items()}


def _write_groups(
    directory: Path, rendered: dict[str, dict[str, Rendered]]
) -> dict[str, str]:
    """Write the groups into a new folder; return the hash of each file."""
    durable.make_directory(directory.parent)
    durable.make_new_directory(directory)
    durable.make_directory(directory / RECEIPTS)
    fixed: dict[str, str] = {}
    for tree, stages in rendered.items():
        root = f"{tree}.zarr"
        durable.make_directory(directory / root)
        metadata = tree_metadata(stages)
        durable.write_durably(directory / root / GROUP, metadata)
        fixed[f"{root}/{GROUP}"] = xxhash.xxh3_128_hexdigest(metadata)
        for stage, group in stages.items():
            write_rendered(directory / root / stage, group)
            for key, content in group.files.items():
                digest = xxhash.xxh3_128_hexdigest(content)
                fixed[f"{root}/{stage}/{key}"] = digest
    return fixed
