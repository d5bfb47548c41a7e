"""From run files to one dataset, ``study.zarr``. One writer at a time, the compactor.

The dataset can be thrown away and made again from the run files. New runs are appended: arrays are
resized, rows written, and the consolidated metadata, which readers go by, come last: that is the commit.
A reader sees the old dataset or the new one; a compactor that is killed is simply run again.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from suite.core.factors import are_numbers, factor_names, factor_value
from suite.store.layout import SCHEMA_VERSION, Store, disk_error
from suite.store.read import inventory, read_run, sessions

IDENTITY = ("run_id", "spec_id", "status", "path", "start", "lane")
RUN_CHUNK = 4096  # rows a chunk of the one-dimensional columns
CURVE_CHUNK = 64  # rows a chunk of the curves
BATCH = 512  # runs read and written at once


@dataclass(frozen=True)
class Column:
    """A factor's column: its short name, and whether it holds numbers or text."""

    name: str
    numeric: bool


def compact(store: Store, rebuild: bool = False) -> int:
    """Bring ``study.zarr`` up to date; the number of rows that were written is returned.

    Raises
    ------
    StoreError
        A run file is damaged, or the disk refuses.
    """
    with _only_writer(store):
        try:
            columns = _columns(store)
            held = inventory(store)
            files = {**held.failed, **held.done}
            rows = None if rebuild else _rows(store, columns, files)
            if rows is None:
                return _rebuild(store, columns, files)
            return _extend(store, columns, files, rows)
        except OSError as error:
            raise disk_error(store.dataset, error) from error


def _rebuild(store: Store, columns: Mapping[str, Column], files: Mapping[str, Path]) -> int:
    """Write a new dataset beside the old one and put it in its place."""
    fresh, old = store.root / ".study.zarr.new", store.root / ".study.zarr.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "study": store.root.name,
        "columns": {path: [column.name, column.numeric] for path, column in columns.items()},
        "coordinates": " ".join([*IDENTITY, *(column.name for column in columns.values())]),
    }
    group = zarr.open_group(str(fresh), mode="w", attributes=attributes)
    for name in IDENTITY:
        _create(group, name, (0,), False)
    for column in columns.values():
        _create(group, column.name, (0,), column.numeric)
    names = list(files)
    for first in range(0, len(names), BATCH):
        _write_rows(
            group, store, {name: files[name] for name in names[first : first + BATCH]}, columns, first
        )
    _commit(fresh)
    if store.dataset.exists():
        store.dataset.rename(old)
    fresh.rename(store.dataset)
    shutil.rmtree(old, ignore_errors=True)
    return len(files)


def _extend(
    store: Store,
    columns: Mapping[str, Column],
    files: Mapping[str, Path],
    rows: Collection[str],
) -> int:
    """Append new runs behind the committed rows."""
    missing = [run_id for run_id in files if run_id not in rows]
    if not missing:
        return 0
    group = zarr.open_group(str(store.dataset), mode="r+", use_consolidated=False)
    for first in range(0, len(missing), BATCH):
        batch = {run_id: files[run_id] for run_id in missing[first : first + BATCH]}
        _write_rows(group, store, batch, columns, len(rows) + first)
    _commit(store.dataset)
    return len(missing)


def _commit(dataset: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are no part of the v3 standard yet
        zarr.consolidate_metadata(str(dataset))


@contextmanager
def _only_writer(store: Store) -> Iterator[None]:
    """Wait until no other compactor is at work on this store."""
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(open(store.root / ".compactor.lock", "w"))
        except OSError as error:
            raise disk_error(store.root, error) from error
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _columns(store: Store) -> dict[str, Column]:
    """Dotted path -> column, over all that any session varied, or two sessions had differently."""
    numeric: dict[str, bool] = {"solver.name": False, "seed": True}  # every dataset has these
    constants: dict[str, list[Any]] = {}
    for session in sessions(store):
        for path, is_numeric in session["factors"].items():
            numeric[path] = numeric.get(path, True) and is_numeric
        for path, value in session["constants"].items():
            constants.setdefault(path, []).append(value)
    for path, values in constants.items():
        if path in numeric or len({repr(value) for value in values}) > 1:
            numeric[path] = numeric.get(path, True) and are_numbers(values)
    names = factor_names(path for path in numeric if not path.endswith("_sha256"))
    return {path: Column(name, numeric[path]) for path, name in names.items()}


def _rows(store: Store, columns: Mapping[str, Column], files: Mapping[str, Path]) -> list[str] | None:
    """run_id of the committed rows; None where the dataset has to be made anew.

    That is so where it has other columns, and where a row no longer stands for its run: a failed try that has
    been followed by a success is not overwritten in place, where a reader could see it half done.
    """
    try:
        group = zarr.open_group(str(store.dataset), mode="r", use_consolidated=True)
        if group.attrs["schema_version"] != SCHEMA_VERSION:
            return None
        if group.attrs["columns"] != {
            path: [column.name, column.numeric] for path, column in columns.items()
        }:
            return None
        run_ids, paths = group["run_id"][:].tolist(), group["path"][:].tolist()
    except (KeyError, ValueError, FileNotFoundError):  # there is none, or it was never committed
        return None
    for run_id, path in zip(run_ids, paths, strict=True):
        if run_id not in files or str(files[run_id].relative_to(store.root)) != path:
            return None
    return list(run_ids)


def _write_rows(
    group: zarr.Group, store: Store, files: Mapping[str, Path], columns: Mapping[str, Column], first: int
) -> None:
    """Write runs into consecutive rows from ``first`` on."""
    records = [read_run(file, images=False) for file in files.values()]
    identity = {
        "run_id": [record.run_id for record in records],
        "spec_id": [record.spec.spec_id for record in records],
        "status": [str(record.status) for record in records],
        "path": [str(file.relative_to(store.root)) for file in files.values()],
        "start": [str(record.provenance.get("start", "")) for record in records],
        "lane": [str(record.provenance.get("lane", "")) for record in records],
    }
    for name, texts in identity.items():
        _write_column(group, name, texts, first, numeric=False)
    leaves = [record.spec.leaves() for record in records]
    names = [column.name for column in columns.values()]
    metrics = dict.fromkeys(name for record in records for name in record.metrics)
    curves = dict.fromkeys(name for record in records for name in record.curves)
    for path, column in columns.items():
        _write_column(group, column.name, [factor_value(run, path) for run in leaves], first, column.numeric)
    for name in metrics:
        _write_column(group, name, [record.metrics.get(name) for record in records], first, numeric=True)
    for name in curves:
        _write_curve(group, f"{name}_curve", [record.curves.get(name) for record in records], first)
    lengths = [len(next(iter(record.curves.values()), ())) for record in records]
    _write_column(group, "n_iterations", lengths, first, numeric=True)
    _pad(group, first, written={*identity, *names, *metrics, *(f"{name}_curve" for name in curves)})


def _write_column(group: zarr.Group, name: str, values: Sequence[Any], first: int, numeric: bool) -> None:
    if name not in group:
        _create(group, name, (first,), numeric)
    array = group[name]
    last = first + len(values)
    array.resize((max(last, array.shape[0]),))
    if numeric:
        array[first:last] = np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)
    else:
        array[first:last] = np.asarray(["" if v is None else str(v) for v in values], dtype=object)


def _write_curve(group: zarr.Group, name: str, curves: Sequence[np.ndarray | None], first: int) -> None:
    longest = max(len(curve) for curve in curves if curve is not None)
    if name not in group:
        _create(group, name, (first, longest), numeric=True)
    array = group[name]
    last, width = first + len(curves), max(longest, array.shape[1])
    array.resize((max(last, array.shape[0]), width))
    block = np.full((len(curves), width), np.nan)
    for row, curve in zip(block, curves, strict=True):
        if curve is not None:
            row[: len(curve)] = curve
    array[first:last] = block


def _create(group: zarr.Group, name: str, shape: tuple[int, ...], numeric: bool) -> None:
    """An empty column (run,), or an empty curve (run, iteration)."""
    chunks = (RUN_CHUNK,) if len(shape) == 1 else (CURVE_CHUNK, max(1, shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # variable-length strings are no part of the v3 standard yet
        group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype="float64" if numeric else str,
            fill_value=np.nan if numeric else "",
            dimension_names=("run", "iteration")[: len(shape)],
        )


def _pad(group: zarr.Group, first: int, written: Collection[str]) -> None:
    """Give every array the same number of rows, and every curve the same number of iterations.

    From row ``first`` on, what has not been ``written`` is emptied: a compactor that was killed may have left
    something there.
    """
    arrays = [array for _, array in group.arrays()]
    rows = max(array.shape[0] for array in arrays)
    width = max((array.shape[1] for array in arrays if array.ndim == 2), default=0)
    for array in arrays:
        wanted = (rows, width)[: array.ndim]
        if array.shape != wanted:
            array.resize(wanted)
        if array.basename not in written and array.basename != "n_iterations":
            array[first:] = array.fill_value
