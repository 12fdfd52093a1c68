"""Zarr groups without their chunks: what an array is, before its values are there.

Decides which variables of a dataset workers write chunk by chunk (*fields*) and
which are written here at once (everything else), and renders both into the files
of one Zarr v3 group that plain xarray opens. What would not come back exactly as
it was is refused instead of stored.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from climorch.model.codec import Storing
from climorch.storage import durable
from climorch.storage.arrays import ArraySpec
from climorch.storage.codec import encode_chunk
from climorch.storage.encoding import (
    Hint,
    digest_of,
    encode,
    field_specs,
    hints_of,
    open_group,
    plain_numbers,
    structure_of,
)
from climorch.storage.fidelity import check_dataset, check_round_trip

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "GROUP",
    "Rendered",
    "TemplateCache",
    "open_template",
    "tree_metadata",
    "write_rendered",
    "write_template",
]

GROUP = "zarr.json"
"""Name of the file that describes a Zarr group or array."""

_STRUCTURES_KEPT = 256
UNSAID: Mapping[str, Storing] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files of one group, except the chunks of its fields.

    Attributes
    ----------
    files : dict of str to bytes
        Posix path below the group to content; ``zarr.json`` carries the
        consolidated metadata.
    arrays : tuple of ArraySpec
        The fields, in the dataset's order.
    hints : dict of str to str
        What plain xarray would open as another type: variable to its type.
    """

    files: dict[str, bytes]
    arrays: tuple[ArraySpec, ...]
    hints: dict[str, Hint]


@dataclass(slots=True)
class _Known:
    rendered: Rendered
    digests: dict[str, str]
    attrs: Mapping[Any, Any]
    separable: bool


@dataclass(slots=True)
class TemplateCache:
    """Renders templates; what has not changed since the last time is not redone.

    A group costs some 30 ms through xarray and Zarr, and at each checkpoint
    every stage needs one that differs from the last by a clock at most.
    Safe to use from several threads.
    """

    _known: dict[bytes, _Known] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def render(
        self,
        dataset: xr.Dataset,
        *,
        place: str = "dataset",
        keep_time_encoding: bool = False,
        storing: Mapping[str, Storing] = UNSAID,
    ) -> Rendered:
        """Render a dataset's group.

        Parameters
        ----------
        dataset : xarray.Dataset
            Chunked numeric and bool variables are fields, not looked into.
        place : str
            What the dataset is, for messages.
        keep_time_encoding : bool
            Store dates in units, calendar and type of their ``encoding``, as
            growing results need; else in units in which they are exact.
        storing : mapping of str to Storing
            How fields are stored; all others by default.

        Returns
        -------
        Rendered
            Not to be changed: parts are shared with other results.

        Raises
        ------
        InvalidInputError
            With one fault per variable that cannot be stored or would not
            come back as it is.
        """
        check_dataset(dataset, place)
        structure = structure_of(dataset, keep_time_encoding, storing)
        specs = field_specs(dataset, storing)
        names = {spec.name for spec in specs}
        others = {n: v for n, v in dataset.variables.items() if n not in names}
        digests = {str(name): digest_of(other) for name, other in others.items()}
        with self._lock:
            known = self._known.get(structure)
        changed: list[str] = []
        rendered = None
        if known is not None:
            changed = [n for n in digests if known.digests[n] != digests[n]]
            rendered = _adapted(known, dataset, changed, keep_time_encoding)
        if rendered is None:
            part, files, rendered = _encoded(
                known, dataset, changed, specs, place, keep_time_encoding
            )
            check_round_trip(
                part, files, rendered.hints, place, exact_times=not keep_time_encoding
            )
        separable = _separable(dataset, names)
        self._remember(structure, _Known(rendered, digests, dataset.attrs, separable))
        return rendered

    def _remember(self, structure: bytes, known: _Known) -> None:
        with self._lock:
            self._known.pop(structure, None)
            self._known[structure] = known
            while len(self._known) > _STRUCTURES_KEPT:
                del self._known[next(iter(self._known))]


def _encoded(
    known: _Known | None,
    dataset: xr.Dataset,
    changed: list[str],
    specs: tuple[ArraySpec, ...],
    place: str,
    keep_time: bool,
) -> tuple[xr.Dataset, dict[str, bytes], Rendered]:
    """Encode what is new through Zarr: that part, its files, and the whole group."""
    if known is not None and known.separable and dataset.attrs == known.attrs:
        part = dataset[changed]
        files = encode(part, (), place, keep_time_encoding=keep_time)
        return part, files, _replaced(known.rendered, files, changed, dataset)
    files = encode(dataset, specs, place, keep_time_encoding=keep_time)
    whole = Rendered(_consolidated(files, dataset), specs, hints_of(dataset))
    return dataset, files, whole


def _adapted(
    known: _Known, dataset: xr.Dataset, changed: Sequence[str], keep_time: bool
) -> Rendered | None:
    """Bring new numbers and attributes into a known group; None: it takes Zarr.

    Of the same structure, so that of a number nothing but its one chunk is another.
    """
    chunks = {}
    for name in changed:
        numbers = plain_numbers(dataset.variables[name], keep_time)
        keys = [key for key in known.rendered.files if key.startswith(f"{name}/c")]
        if numbers is None or len(keys) != 1:
            return None
        chunks[keys[0]] = encode_chunk(numbers, numbers.shape)
    if dataset.attrs != known.attrs:
        group = json.loads(known.rendered.files[GROUP])
        # Beside them xarray notes which coordinates belong to no variable.
        more = {k: v for k, v in group["attributes"].items() if k not in known.attrs}
        group["attributes"] = {**dataset.attrs, **more}
        chunks[GROUP] = json.dumps(group).encode()
    if not chunks:
        return known.rendered
    return replace(known.rendered, files=known.rendered.files | chunks)


def write_template(
    path: str | os.PathLike[str],
    dataset: xr.Dataset,
    *,
    place: str = "dataset",
    keep_time_encoding: bool = False,
    cache: TemplateCache | None = None,
    like: tuple[str | os.PathLike[str], Rendered] | None = None,
) -> Rendered:
    """Write a dataset's group: all but the chunks of its fields.

    Directories for those chunks are made. Files are durable when this returns,
    directories once the caller flushes them (`durable.fsync_tree`).

    Parameters
    ----------
    path : path
        Directory of the group; made if missing, its parent must exist.
    dataset, place, keep_time_encoding
        As in `TemplateCache.render`.
    cache : TemplateCache, optional
        Where the same structure is written again and again.
    like : tuple of path and Rendered, optional
        As in `write_rendered`.

    Returns
    -------
    Rendered
        What was written. Of its fields one chunk file per block is still to be.

    Raises
    ------
    InvalidInputError
        As in `TemplateCache.render`.
    ConflictError
        If the parent is gone.
    BackendError
        If the file system fails.
    """
    rendered = (cache or TemplateCache()).render(
        dataset, place=place, keep_time_encoding=keep_time_encoding
    )
    write_rendered(path, rendered, like=like)
    return rendered


def write_rendered(
    path: str | os.PathLike[str],
    rendered: Rendered,
    *,
    like: tuple[str | os.PathLike[str], Rendered] | None = None,
) -> None:
    """Write the files of a rendered group and make all its directories.

    Parameters
    ----------
    path : path
        Directory of the group; made if missing, its parent must exist.
    rendered : Rendered
        What to write.
    like : tuple of path and Rendered, optional
        A group that was written before: files of the same content are linked.

    Raises
    ------
    ConflictError
        If the parent is gone.
    BackendError
        If the file system fails.
    """
    root = Path(path)
    keys = [*rendered.files, *(k for spec in rendered.arrays for k in _all_keys(spec))]
    # Every parent of a key, each before those inside it.
    parents = {parent for key in keys for parent in _parents(key)}
    with durable.translated("write template", root):
        durable.make_directory(root)
        for parent in sorted(parents):
            durable.make_directory(root / parent)
        for key, content in rendered.files.items():
            linked = (
                like is not None
                and like[1].files.get(key) == content
                and durable.link_or_none(Path(like[0]) / key, root / key)
            )
            if not linked:
                durable.write_durably(root / key, content)


def open_template(
    path: str | os.PathLike[str], hints: Mapping[str, Hint] | None = None
) -> xr.Dataset:
    """Open a group lazily, without Dask.

    Parameters
    ----------
    path : path
        Directory of the group.
    hints : mapping of str to str, optional
        `Rendered.hints`: gives the exact types back. Without it, types are those
        that plain xarray gives.

    Returns
    -------
    xarray.Dataset
        Fields describe themselves (dims, shape, type, attributes); reading their
        values from here would skip all checks, so use `chunks.read_chunk`.

    Raises
    ------
    CorruptDataError
        If there is no readable group.
    """
    return open_group(str(path), hints or {})


def tree_metadata(groups: Mapping[str, Rendered]) -> bytes:
    """Render the root of a tree of groups, with their metadata consolidated.

    Parameters
    ----------
    groups : mapping of str to Rendered
        Directory of each group below the root.

    Returns
    -------
    bytes
        Content of the root's ``zarr.json``.
    """
    members: dict[str, Any] = {}
    for name, rendered in groups.items():
        group = json.loads(rendered.files[GROUP])
        inner = group.pop("consolidated_metadata")["metadata"]
        members[name] = group
        members |= {f"{name}/{path}": about for path, about in inner.items()}
    return _group({"attributes": {}, "zarr_format": 3, "node_type": "group"}, members)


def _group(about: dict[str, Any], members: dict[str, Any]) -> bytes:
    # Zarr can consolidate too, but reads everything again and warns each time that
    # other implementations may not know this; those just read the arrays' own files.
    consolidated = {"kind": "inline", "must_understand": False, "metadata": members}
    return json.dumps({**about, "consolidated_metadata": consolidated}).encode()


def _consolidated(files: Mapping[str, bytes], dataset: xr.Dataset) -> dict[str, bytes]:
    # In the dataset's order, in which xarray then opens the variables.
    members = {
        str(name): json.loads(files[f"{name}/{GROUP}"]) for name in dataset.variables
    }
    return {**files, GROUP: _group(json.loads(files[GROUP]), members)}


def _replaced(
    old: Rendered, new: Mapping[str, bytes], changed: list[str], dataset: xr.Dataset
) -> Rendered:
    names = set(changed)
    files = {k: v for k, v in old.files.items() if k.split("/")[0] not in names}
    files |= {k: v for k, v in new.items() if k.split("/")[0] in names}
    group = json.loads(files[GROUP])
    del group["consolidated_metadata"]
    files[GROUP] = json.dumps(group).encode()
    return Rendered(_consolidated(files, dataset), old.arrays, hints_of(dataset))


def _separable(dataset: xr.Dataset, fields: set[str]) -> bool:
    """Whether each variable that is no field can be encoded without the others.

    xarray writes into a variable which coordinates it has, and into bounds the
    units of what they bound.
    """
    bounds = any("bounds" in variable.attrs for variable in dataset.variables.values())
    return not bounds and not fields & set(map(str, dataset.coords))


def _all_keys(spec: ArraySpec) -> Iterator[str]:
    # One chunk per directory is enough to know the directories.
    for index in spec.indices():
        if not index or index[-1] == 0:
            yield spec.key(index)


def _parents(key: str) -> Iterator[str]:
    parts = key.split("/")[:-1]
    return ("/".join(parts[: i + 1]) for i in range(len(parts)))
