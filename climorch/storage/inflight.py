"""A checkpoint while it is being written: what is expected and what can be reused.

Decides which files a checkpoint will have and from which existing ones each may be
linked. Ignores who writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from climorch.model.codec import Storing
from climorch.storage.arrays import ArraySpec
from climorch.storage.chunks import RECEIPTS
from climorch.storage.draft import Draft
from climorch.storage.jobs import ChunkJob, LinkSource
from climorch.storage.layout import AttemptFolder
from climorch.storage.manifest import EXPORTS, STATE, Entry, Manifest
from climorch.storage.names import check_names
from climorch.storage.receipts import read_receipts
from climorch.storage.template import Rendered

if TYPE_CHECKING:
    import cftime
    import xarray as xr

__all__ = [
    "Checkpoint",
    "CheckpointRequest",
    "InFlight",
    "JobKey",
    "plan_jobs",
    "salvageable",
]

JobKey: TypeAlias = tuple[str, str, str, tuple[int, ...]]
"""Tree, stage, variable and position of a chunk in its grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A committed checkpoint.

    Attributes
    ----------
    path : Path
        Its directory, absolute.
    manifest : Manifest
        All that is in it.
    """

    path: Path
    manifest: Manifest

    @property
    def boundary(self) -> int:
        """Number of the common boundary."""
        return self.manifest.boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRequest:
    """What is to be checkpointed.

    Attributes
    ----------
    simulation, set : str
        Whose states.
    boundary : int
        Number k of the common boundary, >= 0.
    model_time : cftime.datetime
        Its date.
    attempt : int
        Of the set, >= 0.
    params_digest : str
        Of the parameters that the states were computed with.
    states : mapping of stage to Dataset
        Restart states; only their structure and small variables are looked at.
    exports : mapping of stage to Dataset
        Exports that PREVIOUS readers still need and that are not the state.
    segments : mapping of stage to int
        Segments done at this boundary.
    previous : Checkpoint or None
        Whose unchanged chunks are linked.
    full : bool
        Link nothing, so that this one shares no file with an older one.
    outputs : mapping of stage to tuple of int
        Segments whose staged diagnostics will be taken in.
    finite : mapping of str to int
        `Draft.finite`: what the states have to fulfil to be committed.
    storing : mapping of str to mapping of str to Storing
        By stage and variable, where anything was said.
    """

    simulation: str
    set: str
    boundary: int
    model_time: cftime.datetime
    attempt: int
    params_digest: str
    states: Mapping[str, xr.Dataset]
    exports: Mapping[str, xr.Dataset] = field(default_factory=dict)
    segments: Mapping[str, int] = field(default_factory=dict)
    previous: Checkpoint | None = None
    full: bool = False
    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    finite: Mapping[str, int] = field(default_factory=dict)
    storing: Mapping[str, Mapping[str, Storing]] = field(default_factory=dict)

    @property
    def trees(self) -> dict[str, Mapping[str, xr.Dataset]]:
        """Trees that have at least one stage, with their datasets."""
        trees = {STATE: self.states, EXPORTS: self.exports}
        return {tree: stages for tree, stages in trees.items() if stages}

    def check(self) -> None:
        """Refuse names that are not safe in a path.

        Raises
        ------
        InvalidInputError
            With one fault per name.
        """
        stages = sorted({*self.states, *self.exports, *self.segments, *self.outputs})
        check_names(
            f"checkpoint {self.boundary} cannot be begun",
            ("simulation", self.simulation),
            ("set", self.set),
            *(("stage", stage) for stage in stages),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A checkpoint that is being written.

    Attributes
    ----------
    directory : Path
        Where, absolute.
    final : Path
        Its name once it is committed.
    request : CheckpointRequest
        What was asked for; without datasets.
    jobs : dict of (tree, stage, variable, index) to ChunkJob
        Every chunk to be written.
    rendered : mapping of tree to mapping of stage to Rendered
        The groups.
    fixed : dict of str to str
        Key to hash of every file that `begin` wrote.
    outputs : dict of (stage, segment) to set of str
        Keys of the chunks of staged diagnostics; `add_outputs` adds to it.
    """

    directory: Path
    final: Path
    request: CheckpointRequest
    jobs: dict[JobKey, ChunkJob]
    rendered: Mapping[str, Mapping[str, Rendered]]
    fixed: dict[str, str]
    outputs: dict[tuple[str, int], set[str]] = field(default_factory=dict)

    @property
    def expected(self) -> set[str]:
        """Keys of all chunks that need a receipt."""
        return {job.key for job in self.jobs.values()}.union(*self.outputs.values())

    def draft(self, campaign: str, epoch: int) -> Draft:
        """Describe the checkpoint before it is written.

        Parameters
        ----------
        campaign : str
            Name of the campaign.
        epoch : int
            Of the driver.

        Returns
        -------
        Draft
            By which another driver can finish it.
        """
        empty = self.manifest(campaign, epoch, {})
        outputs = {s: tuple(k) for s, k in sorted(self.request.outputs.items()) if k}
        return Draft(
            manifest=msgspec.structs.replace(empty, outputs=outputs),
            fixed=self.fixed,
            finite=dict(self.request.finite),
        )

    def manifest(
        self, campaign: str, epoch: int, entries: dict[str, Entry]
    ) -> Manifest:
        """Describe the finished checkpoint.

        Parameters
        ----------
        campaign : str
            Name of the campaign.
        epoch : int
            Of the driver.
        entries : dict of str to Entry
            All files.

        Returns
        -------
        Manifest
            Ready to be written.
        """
        request = self.request
        outputs: dict[str, tuple[int, ...]] = {}
        for stage, segment in sorted(self.outputs):
            outputs[stage] = (*outputs.get(stage, ()), segment)
        return Manifest(
            campaign=campaign,
            simulation=request.simulation,
            set=request.set,
            boundary=request.boundary,
            model_time=request.model_time.isoformat(),
            calendar=request.model_time.calendar,
            params_digest=request.params_digest,
            epoch=epoch,
            attempt=request.attempt,
            entries=entries,
            arrays={
                tree: {stage: group.arrays for stage, group in stages.items()}
                for tree, stages in self.rendered.items()
            },
            hints={
                tree: {stage: group.hints for stage, group in stages.items()}
                for tree, stages in self.rendered.items()
            },
            exports=tuple(self.rendered.get(EXPORTS, {})),
            outputs=outputs,
            segments=dict(request.segments),
        )


def plan_jobs(
    rendered: Mapping[str, Mapping[str, Rendered]],
    request: CheckpointRequest,
    left: Iterable[AttemptFolder],
) -> dict[JobKey, ChunkJob]:
    """List every chunk, with the files that it may be linked from.

    Parameters
    ----------
    rendered : mapping of tree to mapping of stage to Rendered
        The groups.
    request : CheckpointRequest
        What was asked for.
    left : iterable of AttemptFolder
        Broken attempts at the same boundary.

    Returns
    -------
    dict of (tree, stage, variable, index) to ChunkJob
        In the order of trees, stages, arrays and their grids.
    """
    found = salvageable(left, request.params_digest)
    jobs: dict[JobKey, ChunkJob] = {}
    for tree, stages in rendered.items():
        for stage, group in stages.items():
            for spec in group.arrays:
                trusted = _trusted_entries(request, tree, stage, spec)
                for index in spec.indices():
                    key = f"{tree}.zarr/{stage}/{spec.key(index)}"
                    job = ChunkJob(
                        key=key,
                        dtype=spec.dtype,
                        shape=spec.block_shape(index),
                        chunk_shape=spec.chunk_shape,
                        codec=spec.codec,
                    )
                    sources = (
                        *_trusted(request, key, trusted),
                        *found.get((key, job.form), ()),
                    )
                    jobs[tree, stage, spec.name, index] = msgspec.structs.replace(
                        job, sources=sources
                    )
    return jobs


def salvageable(
    left: Iterable[AttemptFolder], params_digest: str
) -> dict[tuple[str, str], list[LinkSource]]:
    """Find chunks of broken attempts.

    Parameters
    ----------
    left : iterable of AttemptFolder
        The attempts.
    params_digest : str
        Only chunks computed with the same parameters count.

    Returns
    -------
    dict of (key, form) to list of LinkSource
        None of them is trusted: they are read before they are linked. Files that
        were links to an older checkpoint are left out, so that what comes from
        here is independent of all checkpoints.
    """
    found: dict[tuple[str, str], list[LinkSource]] = {}
    for folder in left:
        for line in read_receipts(folder.path / RECEIPTS):
            shared = line.linked and not line.salvaged
            if line.params_digest != params_digest or shared:
                continue
            source = LinkSource(
                path=str(folder.path / line.key),
                raw_xxh3=line.raw_xxh3,
                length=line.length,
                crc32c=line.crc32c,
                inode=line.inode,
                mtime_ns=line.mtime_ns,
                trusted=False,
            )
            found.setdefault((line.key, line.form), []).append(source)
    return found


def _trusted_entries(
    request: CheckpointRequest, tree: str, stage: str, spec: ArraySpec
) -> Mapping[str, Entry]:
    """Entries of the previous checkpoint, where it has the same array."""
    if request.previous is None or request.full:
        return {}
    manifest = request.previous.manifest
    same = spec in manifest.arrays.get(tree, {}).get(stage, ())
    return manifest.entries if same else {}


def _trusted(
    request: CheckpointRequest, key: str, entries: Mapping[str, Entry]
) -> Iterator[LinkSource]:
    entry = entries.get(key)
    if entry is None or entry.raw_xxh3 is None or request.previous is None:
        return
    yield LinkSource(
        path=str(request.previous.path / key),
        raw_xxh3=entry.raw_xxh3,
        length=entry.length,
        crc32c=entry.crc32c,
        inode=entry.inode,
        mtime_ns=entry.mtime_ns,
        trusted=True,
    )
