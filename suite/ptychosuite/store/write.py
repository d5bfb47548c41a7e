"""Write runs. Each file is there whole or not at all, and the first writer wins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord
from ptychosuite.store.group import pack
from ptychosuite.store.layout import BESIDE, DIMENSIONS, SCHEMA_VERSION, Store
from ptychosuite.store.place import Place


def write_run(store: Store, record: RunRecord, reference: Reference | None = None) -> Place:
    """Write one run, and the truth it was compared with where no run has brought it yet.

    Returns
    -------
    The run's file; another writer's, where one was faster.

    Raises
    ------
    StoreError
        The folder has gone, the disk is full, read-only or gone, or the server refuses. Nothing half-written
        is left.
    """
    store.refuse_gone()
    if reference is not None:
        record = record.with_reference(write_reference(store, reference))
    content = _run_bytes(record)
    if record.status.is_final:
        target = store.run_file(record.run_id)
        target.create(content)
        return target
    attempt = 1
    while not store.failed_file(record.run_id, attempt).create(content):
        attempt += 1
    return store.failed_file(record.run_id, attempt)


def write_imported(store: Store, record: RunRecord, reference: Reference | None = None) -> Place:
    """Write a result that was computed elsewhere, in the place of one of the same id; its file is returned.

    Raises
    ------
    StoreError
        The disk is full, read-only or gone, or the server refuses.
    """
    if reference is not None:
        record = record.with_reference(write_reference(store, reference))
    target = store.imported_file(record.run_id)
    target.replace(_run_bytes(record))
    return target


def write_reference(store: Store, reference: Reference) -> str:
    """Write the truth under the hash of its content; its name is returned."""
    target = store.reference_file(reference.name)
    if not target.exists():
        target.create(_truth_bytes(reference))
    elif not target.ends_as_zip():  # it was cut off: the name says what it was
        target.replace(_truth_bytes(reference))
    return reference.name


def write_session(store: Store, name: str, content: Mapping[str, Any]) -> Place:
    """Write or replace a session's file."""
    store.refuse_gone()
    target = store.sessions / f"{name}.json"
    target.replace(json.dumps(content, indent=1).encode())
    return target


def write_code(store: Store, fingerprint: str, content: Mapping[str, Mapping[str, str]]) -> None:
    """Write the ``files`` (name -> hash) and ``packages`` (name -> version) behind a fingerprint, once."""
    target = store.code_file(fingerprint)
    if not target.exists():
        target.create(json.dumps(content, indent=1).encode())


def _truth_bytes(reference: Reference) -> bytes:
    return pack(reference.arrays, DIMENSIONS, {"schema_version": SCHEMA_VERSION})


def _run_bytes(record: RunRecord) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    if record.object is not None:
        arrays["object"] = record.object.astype(np.complex64)
    if record.probe is not None:
        arrays["probe"] = record.probe.astype(np.complex64)
    if record.snapshots:
        objects, probes = zip(*record.snapshots.values(), strict=True)
        arrays["snapshot_objects"] = np.stack(objects).astype(np.complex64)
        arrays["snapshot_probes"] = np.stack(probes).astype(np.complex64)
    if record.metrics:
        arrays["metrics"] = np.asarray([float(v) for v in record.metrics.values()])
    if record.curves:
        arrays["curves"] = _stacked(record.curves)
    if record.rings:
        arrays["rings"] = _stacked(record.rings)
    for name, dtype in BESIDE.items():
        if getattr(record, name) is not None:
            arrays[name] = getattr(record, name).astype(dtype)
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
        "snapshot": list(record.snapshots),
        "spec": record.spec.to_dict(),
        "provenance": dict(record.provenance),
        **({"state": dict(record.state)} if record.state else {}),
    }
    return pack(arrays, DIMENSIONS, attributes)


def _stacked(quantities: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(values, dtype=np.float64) for values in quantities.values()])
