"""Results: one growing Zarr group per simulation and stage.

Outputs are staged per segment, committed with a checkpoint, and then published
here: whole chunks are linked in, and one rename of the root ``zarr.json``, with
consolidated metadata, makes them seen. Plain xarray reads it at any time.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from climorch.errors import CorruptDataError, InvalidInputError, NotFoundError
from climorch.storage import durable
from climorch.storage.arrays import ArraySpec
from climorch.storage.checkpoints import Checkpoint
from climorch.storage.chunks import ChunkJob
from climorch.storage.conventions import described, for_export
from climorch.storage.growth import (
    Structure,
    bring,
    chunk_of,
    copy_constants,
    grid,
    members_of,
    same_constants,
    structure_faults,
    structure_of,
    time_axis,
    times_of,
)
from climorch.storage.layout import Layout, staging_folder
from climorch.storage.lengths import Lengths
from climorch.storage.passage import write_through
from climorch.storage.template import (
    GROUP,
    Rendered,
    TemplateCache,
    write_template,
)
from climorch.storage.tries import notes_on
from climorch.storage.verify import refuse_changed

__all__ = ["ResultStore", "StagedOutput", "newest_before"]

ATTRIBUTE = "climorch"
OUTPUTS = "outputs"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedOutput:
    """The output of one segment, to be written and committed.

    Attributes
    ----------
    directory : Path
        A Zarr group of its own.
    jobs : dict of (variable, block index) to ChunkJob
        Chunks that the nodes write.
    """

    directory: Path
    jobs: dict[tuple[str, tuple[int, ...]], ChunkJob]


class ResultStore:
    """Results of a campaign.

    Parameters
    ----------
    root : Path
        Folder of all campaigns.
    campaign : str
        Its name.
    epoch : int
        Of the driver; 0 for reading.
    """

    def __init__(self, root: Path, campaign: str, epoch: int = 0) -> None:
        self.folder = Path(root) / campaign
        self.epoch = epoch
        self._cache = TemplateCache()
        # Of each stage, what the first output that this driver saw looked like.
        self._first: dict[tuple[str, str], Structure] = {}
        # Newest attempt of each set whose outputs are not wanted any more.
        self._dropped: dict[tuple[str, str], int] = {}
        # Where each stage was staged last: what is alike is linked.
        self._last: dict[tuple[str, str], tuple[Path, Rendered]] = {}
        self._lock = threading.Lock()

    def path(self, simulation: str, stage: str) -> Path:
        """Return where the results of a stage are."""
        return self.folder / "results" / simulation / stage

    def exists(self, simulation: str, stage: str) -> bool:
        """Whether anything is published."""
        return (self.path(simulation, stage) / GROUP).exists()

    def open(self, simulation: str, stage: str) -> xr.Dataset:
        """Open what is published, lazily.

        Raises
        ------
        NotFoundError
            If nothing is.
        """
        if not self.exists(simulation, stage):
            raise NotFoundError(
                f"simulation {simulation!r}, stage {stage!r} has published no results; "
                "they follow its first checkpoint, if its step returns output"
            )
        found: xr.Dataset = xr.open_zarr(
            self.path(simulation, stage), consolidated=True
        )
        return for_export(found)

    def chunk_length(self, simulation: str, stage: str) -> int | None:
        """Return the length of the chunks along time; None: nothing published."""
        if not self.exists(simulation, stage):
            return None
        length: int = _attribute(self.path(simulation, stage))["chunk"]
        return length

    def stage(
        self,
        *,
        simulation: str,
        set: str,
        attempt: int,
        stage: str,
        segment: int,
        output: xr.Dataset,
    ) -> StagedOutput:
        """Make room for the output of a segment.

        Parameters
        ----------
        simulation, set, attempt, stage, segment
            Where it belongs.
        output : xarray.Dataset
            With a dimension coordinate ``time`` of dates.

        Returns
        -------
        StagedOutput
            What is left to be written.

        Raises
        ------
        InvalidInputError
            If it cannot be stored as it is.
        """
        folder = self.staging(simulation, set, attempt)
        directory = folder / stage / str(segment)
        with durable.translated("stage an output", directory):
            # Never the driver's own folder: if it is gone, a newer one has come.
            for needed in (folder.parent, folder, folder / stage):
                durable.make_directory(needed)
        if directory.exists():
            durable.remove_tree(directory)
        dataset = described(output)
        place = f"stage {stage!r}, Advance.output"
        last = self._last.get((simulation, stage))
        rendered = write_template(
            directory,
            dataset,
            place=place,
            keep_time_encoding=True,
            cache=self._cache,
            like=last,
        )
        if last is None or not same_constants(last[1], rendered):
            self._refuse_other(simulation, stage, directory, place)
        self._last[simulation, stage] = directory, rendered
        # The commit flushes the directories, once for all segments.
        durable.make_directory(directory / "receipts")
        if attempt <= self._dropped.get((simulation, set), 0):
            # The attempt ended while this was made: nobody else takes it away.
            self.drop(simulation, set, attempt)
        return StagedOutput(directory=directory, jobs=dict(_jobs(rendered.arrays)))

    def _refuse_other(
        self, simulation: str, stage: str, directory: Path, place: str
    ) -> None:
        """Refuse an output that could not be published later on.

        Said while it is staged, so that its segment fails, not the campaign.
        """
        own = structure_of(directory)
        first = self._first.get((simulation, stage))
        if first is None:
            seen = self.exists(simulation, stage)
            first = structure_of(self.path(simulation, stage)) if seen else own
            self._first[simulation, stage] = first
        faults = [*structure_faults(first, own, place=place)]
        if faults:
            raise InvalidInputError("results cannot grow by this", faults=faults)

    def staging(self, simulation: str, set: str, attempt: int) -> Path:
        """Return the folder of the outputs of an attempt."""
        return self._way / simulation / staging_folder(set, attempt)

    @property
    def _way(self) -> Path:
        """The in-flight folder of this driver; renamed when it is superseded."""
        return Layout(self.folder).epoch(self.epoch)

    def drop(self, simulation: str, set: str, attempt: int) -> None:
        """Remove what an attempt staged and did not commit.

        Renamed first: nodes that still write would put files where it is removed.
        """
        # Attempts may end in another order than they began.
        newest = max(attempt, self._dropped.get((simulation, set), 0))
        self._dropped[simulation, set] = newest
        staged = self.staging(simulation, set, attempt)
        leaving = staged.with_name(f"{staged.name}~{uuid.uuid4().hex[:12]}")
        with suppress(OSError):
            durable.rename_durably(staged, leaving)
            durable.remove_tree(leaving)

    def publish(
        self, checkpoint: Checkpoint, *, tries: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Make the outputs of a committed checkpoint seen; again: no change.

        Parameters
        ----------
        checkpoint : Checkpoint
            Which.
        tries : sequence of mapping
            What was tried after blow-ups, as of `tries_told`: kept as attributes.
            Where there are any, results of a course that was given up go first.

        Raises
        ------
        CorruptDataError
            If an output does not continue what is published, or lost a file: Zarr
            would give fill values for that.
        ConflictError
            If a newer driver has taken over; nothing that it sees is changed.
        BackendError
            If the disk is full or fails; what was seen stays.
        """
        manifest = checkpoint.manifest
        with self._lock:
            for stage, done in sorted(manifest.segments.items()):
                segments = sorted(manifest.outputs.get(stage, ()))
                target = self.path(manifest.simulation, stage)
                folder = f"{OUTPUTS}/{stage}/"
                known = manifest.entries.items()
                refuse_changed(
                    checkpoint.path, {k: e for k, e in known if k.startswith(folder)}
                )
                with durable.translated("publish results", target):
                    source = checkpoint.path / OUTPUTS / stage
                    self._publish(target, source, segments, done, notes_on(tries))

    def _publish(
        self,
        target: Path,
        source: Path,
        segments: list[int],
        done: int,
        notes: Mapping[str, str],
    ) -> None:
        exists = (target / GROUP).exists()
        if not exists and not segments:
            return
        if exists:
            about = _attribute(target)
            lengths = Lengths(runs=about["lengths"])
            chunk: int = about["chunk"]
            first = segments[0] if segments else done
            if notes and first < lengths.segments:
                # Before their chunks are others: never a mix of two courses.
                lengths = lengths.cut(first)
                _commit(target, target, lengths, chunk, way=self._way, notes=notes)
            if done <= lengths.segments and not segments:
                return
        else:
            durable.make_directories(target)
            lengths, chunk = Lengths(runs=[]), chunk_of(source / str(segments[0]))
        model = target if exists else source / str(segments[0])
        for segment in range(lengths.segments, done):
            there = segment in segments
            lengths = lengths.with_next(times_of(source / str(segment)) if there else 0)
        for segment in segments:
            group = source / str(segment)
            offset = lengths.offset(segment)
            if offset % chunk or times_of(group) != lengths.of(segment):
                raise CorruptDataError(
                    f"output {group} has {times_of(group)} times at {offset}, which "
                    f"does not continue {target} in chunks of {chunk}",
                    path=str(group),
                )
            _refuse_other(model, group)
            bring(
                group, target, members_of(model), offset // chunk, chunk, way=self._way
            )
        if not exists:
            copy_constants(model, target, way=self._way)
        durable.fsync_tree(target)
        _commit(model, target, lengths, chunk, way=self._way, notes=notes)


def newest_before(
    results: ResultStore, simulation: str, stage: str, segment: int
) -> xr.Dataset | None:
    """Return the last time that is published of the segments before one.

    Parameters
    ----------
    results : ResultStore
        Of the campaign.
    simulation, stage, segment
        Which.

    Returns
    -------
    xarray.Dataset or None
        With one time and nothing else; None: none is published.
    """
    if not results.exists(simulation, stage):
        return None
    path = results.path(simulation, stage)
    times = Lengths(runs=_attribute(path)["lengths"]).offset(segment)
    if not times:
        return None
    last = results.open(simulation, stage)["time"].isel(time=slice(times - 1, times))
    return xr.Dataset(coords={"time": last.load()})


def _jobs(
    specs: tuple[ArraySpec, ...],
) -> Iterator[tuple[tuple[str, tuple[int, ...]], ChunkJob]]:
    for spec in specs:
        for index in spec.indices():
            yield (
                (spec.name, index),
                ChunkJob(
                    key=spec.key(index),
                    dtype=spec.dtype,
                    shape=spec.block_shape(index),
                    chunk_shape=spec.chunk_shape,
                ),
            )


def _attribute(group: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((group / GROUP).read_bytes())["attributes"]
    found: dict[str, Any] = json.loads(about[ATTRIBUTE])
    return found


def _refuse_other(model: Path, group: Path) -> None:
    """Refuse an output that is not like what it would continue."""
    if model == group:
        return
    place = f"output {group}"
    faults = [*structure_faults(structure_of(model), structure_of(group), place=place)]
    if faults:
        lines = [f"{place} does not continue {model}:"]
        lines += [f"  - {fault}" for fault in faults]
        raise CorruptDataError("\n".join(lines), path=str(group))


def _commit(
    model: Path,
    target: Path,
    lengths: Lengths,
    chunk: int,
    *,
    way: Path,
    notes: Mapping[str, str],
) -> None:
    """Write the metadata for the new length, the root's last."""
    group = json.loads((model / GROUP).read_bytes())
    for name, member in group["consolidated_metadata"]["metadata"].items():
        axis = time_axis(member)
        if axis is not None:
            member["shape"][axis] = lengths.total
            grid(member)[axis] = chunk
        durable.make_directories(target / name)
        write_through(way, target / name / GROUP, json.dumps(member).encode())
    # Text: netCDF, to which users convert, has no nested attributes.
    group["attributes"][ATTRIBUTE] = json.dumps(
        {"chunk": chunk, "lengths": lengths.runs, "segments": lengths.segments}
    )
    group["attributes"] |= notes
    write_through(way, target / GROUP, json.dumps(group).encode())
    durable.fsync_tree(target)
