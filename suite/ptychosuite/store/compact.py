"""From run files to one dataset, ``study.zarr``. One writer at a time, the compactor.

The dataset can be thrown away and made again from the run files. New runs are appended: arrays are
resized, rows written, and the consolidated metadata, which readers go by, come last: that is the commit.
A reader sees the old dataset or the new one; a compactor that is killed is simply run again.

It is the study: one row a run that the latest session planned, by the code that planned it. What other code
or an earlier version of the study has left in the folder stays in run files (``store.planned`` counts them).
Sessions of earlier versions do not say which runs they planned; then all runs of the folder have a row.

A run whose file is damaged has no row; ``store.faults`` names it. A dataset that is damaged itself is made
anew: ``store.whole`` says whether it is.

Who only reads gets the same dataset by :func:`readable`, which writes nothing: where ``study.zarr`` is behind
the run files, damaged, or of another version of the study, it is completed or made in memory.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import MemoryStore

from ptychosuite.core.runs import RunRecord
from ptychosuite.registry.factors import are_numbers, factor_names, factor_value, is_hash
from ptychosuite.store.imported import imported_files, with_imported
from ptychosuite.store.layout import SCHEMA_VERSION, Store
from ptychosuite.store.place import Place
from ptychosuite.store.planned import RUN_IDS
from ptychosuite.store.read import DAMAGED, inventory, last_session, readable_run, sessions
from ptychosuite.store.whole import CHECKSUM, is_whole, write_lost_chunks

IDENTITY = ("run_id", "spec_id", "status", "path", "start", "lane", "code")
ITERATION = "iteration"
RUN_CHUNK = 4096  # rows a chunk of the one-dimensional columns
CURVE_CHUNK = 64  # rows a chunk of the curves
BATCH = 4096  # runs read and written at once
TRUTHS = "truths"
CODECS = ({"name": "zstd", "configuration": {"level": 0}}, CHECKSUM)  # of each chunk
WRITE_ALL = {"array.write_empty_chunks": True}  # a chunk that is not there is lost
DAMAGES = tuple(error for error in DAMAGED if error is not OSError)  # what a disk refuses is no damage
REQUESTS = 16  # files read, and arrays written, at once: object storage answers late but to many


@dataclass(frozen=True)
class Column:
    """A factor's column: its short name, and whether it holds numbers or text."""

    name: str
    numeric: bool


def compact(store: Store, rebuild: bool = False, study: Mapping[str, Any] | None = None) -> int:
    """Bring ``study.zarr`` up to date; the number of rows that were written is returned.

    ``study`` says which runs it is of, in the words of a session; the latest session where it is None.

    Raises
    ------
    StoreError
        The folder has gone, or the disk or the server refuses.
    """
    store.refuse_gone()
    with (store.root / ".compactor.lock").lock(), store.dataset.refusals():
        columns, files = _columns_and_files(store, study)
        rows = None if rebuild else _whole_rows(store, columns, files)
        written = None
        if rows is not None:
            with suppress(*DAMAGES):  # what a killed compactor has left there may be damaged, too
                written = _extend(store.dataset.zarr_store(), store, columns, files, rows)
        if written is None:
            fresh = store.root / ".study.zarr.new"  # written beside the old one and put in its place
            fresh.delete()
            try:
                written = _build(fresh.zarr_store(), store, columns, files)
                fresh.move_to(store.dataset)
            finally:
                fresh.delete()  # where the disk is full
        store.dataset.share()
        return written


def readable(store: Store, study: Mapping[str, Any] | None = None) -> ZarrStore:
    """``study.zarr`` as :func:`compact` would leave it, for reading; nothing is written.

    Raises
    ------
    StoreError
        The disk or the server refuses.
    """
    with store.dataset.refusals(reading=True):
        columns, files = _columns_and_files(store, study)
        rows = _whole_rows(store, columns, files)
        if rows is not None and len(rows) == len(files):
            return store.dataset.zarr_store(read_only=True)
        if rows is not None:
            memory = MemoryStore(_copied(store.dataset))
            with suppress(*DAMAGES):
                rows = _rows(store, memory, columns, files)
                if rows is not None:
                    _extend(memory, store, columns, files, rows)
                    return memory
        memory = MemoryStore()
        _build(memory, store, columns, files)
        return memory


def noted_truths(store: Store) -> set[str]:
    """Names of the truths that runs in ``study.zarr`` are compared with, as it was compacted last."""
    with store.dataset.refusals(reading=True):
        group = zarr.open_group(store.dataset.zarr_store(read_only=True), mode="r", use_consolidated=True)
    return set(str(group.attrs[TRUTHS]).split())


def _copied(dataset: Place) -> dict[str, Buffer]:
    """The files of a dataset; none where a compactor is at work on it meanwhile."""
    to_buffer = default_buffer_prototype().buffer.from_bytes
    try:
        before = (dataset / "zarr.json").read()
        content = {key: to_buffer((dataset / key).read()) for key in dataset.files()}
        return content if (dataset / "zarr.json").read() == before else {}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _build(target: ZarrStore, store: Store, columns: Mapping[str, Column], files: Mapping[str, Place]) -> int:
    """Write a new dataset; the number of its rows is returned."""
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "study": store.root.name,
        "columns": _described(columns),
        "coordinates": " ".join([*IDENTITY, *(column.name for column in columns.values())]),
        "metrics": "",
        TRUTHS: "",
    }
    with zarr.config.set(WRITE_ALL):
        group = zarr.open_group(target, mode="w", attributes=attributes)
        for name in IDENTITY:
            _create(group, name, (0,), False)
        for column in columns.values():
            _create(group, column.name, (0,), column.numeric)
        written = _write_runs(group, store, columns, files, first=0)
        write_lost_chunks(group, target)
    _commit(target)
    return written


def _extend(
    target: ZarrStore,
    store: Store,
    columns: Mapping[str, Column],
    files: Mapping[str, Place],
    rows: Collection[str],
) -> int:
    """Append new runs behind the committed rows; how many is returned."""
    missing = {run_id: file for run_id, file in files.items() if run_id not in rows}
    if not missing:
        return 0
    with zarr.config.set(WRITE_ALL):
        group = zarr.open_group(target, mode="r+", use_consolidated=False)
        written = _write_runs(group, store, columns, missing, first=len(rows))
        if written:
            write_lost_chunks(group, target)
    if written:
        _commit(target)
    return written


def _commit(target: ZarrStore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are no part of the v3 standard yet
        zarr.consolidate_metadata(target)


def _columns_and_files(
    store: Store, study: Mapping[str, Any] | None
) -> tuple[dict[str, Column], dict[str, Place]]:
    """The columns of ``study``, and run_id -> file of its runs; of the latest session where it is None."""
    files = {**inventory(store).files, **imported_files(store)}
    latest = study if study is not None else last_session(store)
    if RUN_IDS not in latest:
        return _columns(sessions(store)), files
    latest = with_imported(store, latest)
    return _columns([latest]), {run_id: files[run_id] for run_id in latest[RUN_IDS] if run_id in files}


def _described(columns: Mapping[str, Column]) -> str:
    """``columns`` as an attribute that netCDF can hold as well."""
    return json.dumps({path: [column.name, column.numeric] for path, column in columns.items()})


def _columns(noted: Iterable[Mapping[str, Any]]) -> dict[str, Column]:
    """Dotted path -> column, over all that any session varied, or two sessions had differently."""
    numeric: dict[str, bool] = {"solver.name": False, "seed": True}  # every dataset has these
    constants: dict[str, list[Any]] = {}
    for session in noted:
        for path, is_numeric in session["factors"].items():
            numeric[path] = numeric.get(path, True) and is_numeric
        for path, value in session["constants"].items():
            constants.setdefault(path, []).append(value)
    for path, values in constants.items():
        if path in numeric or len({repr(value) for value in values}) > 1:
            numeric[path] = numeric.get(path, True) and are_numbers(values)
    names = factor_names(path for path in numeric if not is_hash(path))
    return {path: Column(name, numeric[path]) for path, name in names.items()}


def _whole_rows(store: Store, columns: Mapping[str, Column], files: Mapping[str, Place]) -> set[str] | None:
    """run_id of the rows of ``study.zarr``; None where that is damaged or otherwise to be made anew."""
    dataset = store.dataset.zarr_store(read_only=True)
    try:
        rows = _rows(store, dataset, columns, files)
        return rows if rows is not None and is_whole(store.dataset, dataset) else None
    except PermissionError:
        raise
    except DAMAGED:
        return None


def _rows(
    store: Store, dataset: ZarrStore, columns: Mapping[str, Column], files: Mapping[str, Place]
) -> set[str] | None:
    """run_id of the committed rows of ``dataset``; None where it has to be made anew.

    That is so where it has other columns, and where a row no longer stands for its run: a failed try that has
    been followed by a success is not overwritten in place, where a reader could see it half done.
    """
    try:
        group = zarr.open_group(dataset, mode="r", use_consolidated=True)
        if group.attrs["schema_version"] != SCHEMA_VERSION or group.attrs["columns"] != _described(columns):
            return None
        group.attrs[TRUTHS]
        run_ids, paths = group["run_id"][:].tolist(), group["path"][:].tolist()
    except (KeyError, ValueError, TypeError, FileNotFoundError):  # there is none, or it was never committed
        return None
    for run_id, path in zip(run_ids, paths, strict=True):
        if run_id not in files or store.root / path != files[run_id]:
            return None
    return set(run_ids)


def _write_runs(
    group: zarr.Group, store: Store, columns: Mapping[str, Column], files: Mapping[str, Place], first: int
) -> int:
    """Write the runs that can be read into consecutive rows from ``first`` on; how many is returned."""
    places, written = list(files.values()), 0
    with ThreadPoolExecutor(REQUESTS) as pool:
        for start in range(0, len(places), BATCH):
            found = pool.map(readable_run, batch := places[start : start + BATCH])
            paths = [str(file).removeprefix(f"{store.root}/") for file in batch]
            runs = {path: run for path, run in zip(paths, found, strict=True) if run is not None}
            try:
                blocks = _blocks(runs, columns)
            except (TypeError, ValueError):
                runs = {path: run for path, run in runs.items() if _fits(run, columns)}
                blocks = _blocks(runs, columns)
            if runs:
                _note(group, "metrics", (name for run in runs.values() for name in run.spec.metrics))
                _note(group, TRUTHS, (run.reference for run in runs.values()))
                _write_blocks(group, blocks, first + written, len(runs), pool)
                written += len(runs)
    return written


def _fits(record: RunRecord, columns: Mapping[str, Column]) -> bool:
    """Whether a run has numbers where the sessions say so; one that has not is damaged."""
    leaves = record.spec.leaves()
    try:
        _numbers([factor_value(leaves, path) for path, column in columns.items() if column.numeric])
    except (TypeError, ValueError):
        return False
    return True


def _note(group: zarr.Group, attribute: str, names: Iterable[str]) -> None:
    """Add to an attribute what there is of runs: metrics beyond the default ones, the truths of all.

    A reader has to know what the metrics are, and ``run`` which truths should be there.
    """
    known = str(group.attrs.get(attribute, ""))
    wanted = " ".join(sorted({*known.split(), *names} - {""}))
    if wanted != known:
        group.attrs[attribute] = wanted


def _blocks(runs: Mapping[str, RunRecord], columns: Mapping[str, Column]) -> dict[str, np.ndarray]:
    """What the dataset holds of ``runs``, by their paths: columns (run,), and curves (run, iteration) padded
    with NaN.
    """
    records = list(runs.values())
    leaves = [record.spec.leaves() for record in records]
    blocks = {
        "run_id": _texts([record.run_id for record in records]),
        "spec_id": _texts([record.spec.spec_id for record in records]),
        "status": _texts([str(record.status) for record in records]),
        "path": _texts(list(runs)),
        "start": _texts([record.provenance.get("start") for record in records]),
        "lane": _texts([record.provenance.get("lane") for record in records]),
        "code": _texts([record.provenance.get("code") for record in records]),
        "n_iterations": _numbers([len(next(iter(record.curves.values()), ())) for record in records]),
    }
    for path, column in columns.items():
        values = [factor_value(run, path) for run in leaves]
        blocks[column.name] = _numbers(values) if column.numeric else _texts(values)
    for name in dict.fromkeys(name for record in records for name in record.metrics):
        blocks[name] = _numbers([record.metrics.get(name) for record in records])
    for name in dict.fromkeys(name for record in records for name in record.curves):
        blocks[f"{name}_curve"] = _padded([record.curves.get(name) for record in records])
    return blocks


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.asarray([np.nan if v is None else float(v) for v in values], dtype=np.float64)


def _texts(values: Sequence[Any]) -> np.ndarray:
    return np.asarray(["" if v is None else str(v) for v in values], dtype=object)


def _padded(curves: Sequence[np.ndarray | None]) -> np.ndarray:
    block = np.full((len(curves), max(len(curve) for curve in curves if curve is not None)), np.nan)
    for row, curve in zip(block, curves, strict=True):
        if curve is not None:
            row[: len(curve)] = curve
    return block


def _write_blocks(
    group: zarr.Group, blocks: Mapping[str, np.ndarray], first: int, count: int, pool: ThreadPoolExecutor
) -> None:
    """Write ``blocks`` into ``count`` rows from ``first`` on, and nothing into these rows of other arrays.

    Every array gets the same number of rows, and every curve the same number of iterations. Rows are written
    even where there is nothing to say: a compactor that was killed may have left something there.
    """
    for name, block in blocks.items():
        if name not in group:
            _create(group, name, (first, *block.shape[1:]), numeric=block.dtype != object)
    arrays = {name: array for name, array in group.arrays() if name != ITERATION}
    widths = [array.shape[1] for array in arrays.values() if array.ndim == 2]
    shape = (first + count, max([*widths, *(b.shape[1] for b in blocks.values() if b.ndim == 2)], default=0))

    def write(name: str) -> None:
        array, block = arrays[name], blocks.get(name)
        if array.shape != shape[: array.ndim]:
            array.resize(shape[: array.ndim])
        if block is None or block.ndim == 2:
            block = _widened(block, (count, *shape[1 : array.ndim]))
        array[first:] = block

    list(pool.map(write, arrays))
    _number_iterations(group, shape[1])


def _number_iterations(group: zarr.Group, width: int) -> None:
    """The coordinate of the curves: 0, the start, and each iteration's number."""
    if ITERATION not in group:
        group.create_array(
            ITERATION,
            shape=(0,),
            chunks=(RUN_CHUNK,),
            dtype="int64",
            compressors=CODECS,
            dimension_names=(ITERATION,),
        )
    numbers = group[ITERATION]
    if isinstance(numbers, zarr.Array):
        numbers.resize((width,))
        numbers[:] = np.arange(width)


def _widened(block: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """``block`` in the first columns of an array of ``shape`` that holds NaN elsewhere."""
    result = np.full(shape, np.nan)
    if block is not None:
        result[:, : block.shape[1]] = block
    return result


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
            compressors=CODECS,
            dimension_names=("run", ITERATION)[: len(shape)],
        )
