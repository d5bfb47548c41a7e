"""Write runs. Each file is there whole or not at all, and the first writer wins."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BloscShuffle
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from suite.core.problem import Reference
from suite.core.run import RunRecord
from suite.store.layout import SCHEMA_VERSION, Store, disk_error

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal content gives equal files


def write_run(store: Store, record: RunRecord, reference: Reference | None = None) -> Path:
    """Write one run, and the truth it was compared with where no run has brought it yet.

    Returns
    -------
    The run's file; another writer's, where one was faster.

    Raises
    ------
    StoreError
        The disk is full, read-only or gone. Nothing half-written is left.
    """
    if reference is not None:
        record = record.with_reference(write_reference(store, reference))
    content = _run_bytes(record)
    if record.status.is_final:
        target = store.run_file(record.run_id)
        publish(content, target)
        return target
    attempt = 1
    while not publish(content, store.failed_file(record.run_id, attempt)):
        attempt += 1
    return store.failed_file(record.run_id, attempt)


def write_reference(store: Store, reference: Reference) -> str:
    """Write the truth under the hash of its content; its name is returned."""
    arrays: dict[str, np.ndarray] = {
        "object": reference.object.astype(np.complex64),
        "probe": reference.probe.astype(np.complex64),
        "scan_positions_px": reference.scan_positions_px.astype(np.float64),
    }
    content = hashlib.sha256()
    for array in arrays.values():
        content.update(str(array.shape).encode() + array.tobytes())
    name = content.hexdigest()[:16]
    target = store.reference_file(name)
    if not target.exists():
        dimensions = {
            "object": ("y", "x"),
            "probe": ("probe_y", "probe_x"),
            "scan_positions_px": ("position", "axis"),
        }
        publish(_zarr_zip(arrays, dimensions, {"schema_version": SCHEMA_VERSION}), target)
    return name


def write_session(store: Store, name: str, content: Mapping[str, Any]) -> Path:
    """Write or replace a session's file."""
    target = store.sessions / f"{name}.json"
    temporary = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1))
        temporary.replace(target)
    except OSError as error:
        raise disk_error(target, error) from error
    return target


def publish(content: bytes, target: Path) -> bool:
    """Put ``content`` at ``target`` in one step; False where something is there already.

    A temporary file beside the target is written, flushed to the disk and linked to its final name.
    """
    temporary = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, target)
            return True
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        raise disk_error(target, error) from error


def remove_leftovers(store: Store) -> int:
    """Delete temporary files of writers on this host that are no more; their number is returned."""
    host, removed = os.uname().nodename, 0
    for leftover in store.root.rglob(f".{host}-*.tmp"):
        pid = leftover.name.removeprefix(f".{host}-").split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            leftover.unlink(missing_ok=True)
            removed += 1
    return removed


def _temporary(target: Path) -> Path:
    return target.with_name(f".{os.uname().nodename}-{os.getpid()}-{target.name}.tmp")


def _run_bytes(record: RunRecord) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    dimensions: dict[str, tuple[str, ...]] = {}
    for name, array in (("object", record.object), ("probe", record.probe)):
        if array is not None:
            arrays[name] = array.astype(np.complex64)
            dimensions[name] = ("y", "x") if name == "object" else ("probe_y", "probe_x")
    if record.metrics:
        arrays["metrics"] = np.asarray([float(v) for v in record.metrics.values()])
        dimensions["metrics"] = ("metric",)
    if record.curves:
        arrays["curves"] = np.stack([np.asarray(v, dtype=np.float64) for v in record.curves.values()])
        dimensions["curves"] = ("curve", "iteration")
    if record.scan_positions_px is not None:
        arrays["scan_positions_px"] = record.scan_positions_px.astype(np.float64)
        dimensions["scan_positions_px"] = ("position", "axis")
    if record.rings:
        arrays["rings"] = np.stack([np.asarray(v, dtype=np.float64) for v in record.rings.values()])
        dimensions["rings"] = ("ring_quantity", "ring")
    attributes = {
        "schema_version": SCHEMA_VERSION,
        "run_id": record.run_id,
        "spec_id": record.spec.spec_id,
        "status": str(record.status),
        "message": record.message,
        "reference": record.reference,
        "metric": list(record.metrics),
        "curve": list(record.curves),
        "ring_quantity": list(record.rings),
        "spec": record.spec.to_dict(),
        "provenance": dict(record.provenance),
    }
    return _zarr_zip(arrays, dimensions, attributes)


def _zarr_zip(
    arrays: Mapping[str, np.ndarray],
    dimensions: Mapping[str, tuple[str, ...]],
    attributes: Mapping[str, Any],
) -> bytes:
    """A Zarr v3 group as a zip file in memory."""
    memory = MemoryStore()
    group = zarr.create_group(memory, attributes=dict(attributes))
    for name, array in arrays.items():
        group.create_array(
            name,
            data=array,
            chunks=array.shape,
            compressors=BloscCodec(
                cname="zstd",
                clevel=3,
                shuffle=BloscShuffle.bitshuffle,
                typesize=4 if array.dtype == np.complex64 else array.dtype.itemsize,
            ),
            dimension_names=dimensions[name],
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are no part of the v3 standard yet
        zarr.consolidate_metadata(memory)
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as archive:
        for key, value in asyncio.run(_contents(memory)):
            archive.writestr(zipfile.ZipInfo(key, ZIP_TIME), value)
    return result.getvalue()


async def _contents(memory: MemoryStore) -> list[tuple[str, bytes]]:
    prototype = default_buffer_prototype()
    result = []
    for key in sorted([key async for key in memory.list()]):
        value = await memory.get(key, prototype)
        assert value is not None
        result.append((key, value.to_bytes()))
    return result
