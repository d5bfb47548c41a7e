"""Read runs back."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.errors import StoreError
from ptychosuite.store.group import unpack
from ptychosuite.store.layout import SUFFIX, Store
from ptychosuite.store.place import Place

RUN = re.compile(rf"../(?P<run_id>\w+)(\.failed-(?P<attempt>\d+))?{re.escape(SUFFIX)}")
IMAGES = ("object", "probe", "snapshot_objects", "snapshot_probes")


@dataclass(frozen=True)
class Inventory:
    """What a store holds, from file names alone."""

    done: dict[str, Place]  # run_id -> file
    failed: dict[str, Place]  # run_id -> file of the latest failed try, for runs that are not done


def inventory(store: Store) -> Inventory:
    """List the runs of ``store`` without opening any."""
    runs = store.runs
    done: dict[str, Place] = {}
    attempts: dict[str, int] = {}
    for key in runs.files():
        match = RUN.fullmatch(key)
        if match is None:
            continue
        run_id, attempt = match["run_id"], match["attempt"]
        if attempt is None:
            done[run_id] = runs / key
        else:
            attempts[run_id] = max(attempts.get(run_id, 0), int(attempt))
    failed = {
        run_id: store.failed_file(run_id, attempt)
        for run_id, attempt in attempts.items()
        if run_id not in done
    }
    return Inventory(done, failed)


def read_run(file: Place, images: bool = True) -> RunRecord:
    """One run from its file, with or without its images: object, probe and snapshots.

    Raises
    ------
    StoreError
        The file is damaged or missing.
    """
    attributes, arrays = _unpacked(file, leave_out=() if images else IMAGES)
    return RunRecord(
        run_id=attributes["run_id"],
        spec=RunSpec.from_dict(attributes["spec"]),
        status=Status(attributes["status"]),
        metrics=dict(zip(attributes["metric"], arrays.get("metrics", np.empty(0)).tolist(), strict=True)),
        curves=dict(zip(attributes["curve"], arrays.get("curves", np.empty((0, 0))), strict=True)),
        object=arrays.get("object"),
        probe=arrays.get("probe"),
        snapshots=_snapshots(attributes.get("snapshot", ()), arrays),
        rings=dict(zip(attributes["ring_quantity"], arrays.get("rings", np.empty((0, 0))), strict=True)),
        scan_positions_px=arrays.get("scan_positions_px"),
        provenance=attributes["provenance"],
        message=attributes["message"],
        reference=attributes["reference"],
    )


def _snapshots(
    iterations: Sequence[int], arrays: Mapping[str, np.ndarray]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    if "snapshot_objects" not in arrays:
        return {}
    states = zip(arrays["snapshot_objects"], arrays["snapshot_probes"], strict=True)
    return dict(zip(iterations, states, strict=True))


def read_reference(store: Store, name: str) -> Reference | None:
    """The truth that a run was compared with; None where it had none."""
    if not name:
        return None
    _, arrays = _unpacked(store.reference_file(name))
    return Reference(arrays["object"], arrays["probe"], arrays["scan_positions_px"])


def _unpacked(file: Place, leave_out: Collection[str] = ()) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The Zarr group in a zip file; whatever is wrong with it is said in one way."""
    try:
        with file.open() as content:
            return unpack(content, leave_out)
    except FileNotFoundError as error:
        raise StoreError(f"{file} cannot be read: it is missing; run the study again") from error
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise StoreError(f"{file} cannot be read: {error}; delete it and run the study again") from error


def codes(store: Store) -> dict[str, dict[str, dict[str, str]]]:
    """Fingerprint -> its ``files`` (name -> hash) and ``packages`` (name -> version), as written."""
    return {key.removesuffix(".json"): _json(store.code / key) for key in store.code.files()}


def sessions(store: Store) -> Iterator[dict[str, Any]]:
    """The sessions of ``store``, oldest first."""
    for key in sorted(store.sessions.files()):
        yield _json(store.sessions / key)


def _json(file: Place) -> Any:
    try:
        return json.loads(file.read())
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from error
