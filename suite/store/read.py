"""Read runs back."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import ZipStore

from suite.core.problem import Reference
from suite.core.run import RunRecord, RunSpec, Status
from suite.errors import StoreError
from suite.store.layout import SUFFIX, Store

FAILED = re.compile(r"(?P<run_id>\w+)\.failed-(?P<attempt>\d+)")


@dataclass(frozen=True)
class Inventory:
    """What a store holds, from file names alone."""

    done: dict[str, Path]  # run_id -> file
    failed: dict[str, Path]  # run_id -> file of the latest failed try, for runs that are not done


def inventory(store: Store) -> Inventory:
    """List the runs of ``store`` without opening any."""
    done: dict[str, Path] = {}
    tries: dict[str, tuple[int, Path]] = {}
    for file in store.runs.glob(f"??/*{SUFFIX}"):
        stem = file.name.removesuffix(SUFFIX)
        if stem.startswith("."):
            continue
        match = FAILED.fullmatch(stem)
        if match is None:
            done[stem] = file
        else:
            attempt = int(match["attempt"])
            tries[match["run_id"]] = max(tries.get(match["run_id"], (0, file)), (attempt, file))
    failed = {run_id: file for run_id, (_, file) in tries.items() if run_id not in done}
    return Inventory(done, failed)


def read_run(file: Path, images: bool = True) -> RunRecord:
    """One run from its file, with or without object and probe.

    Raises
    ------
    StoreError
        The file is damaged or missing.
    """
    with _group(file) as group:
        attributes: dict[str, Any] = dict(group.attrs)
        arrays = {
            name: np.asarray(group[name][...])
            for name in group.array_keys()
            if images or name not in ("object", "probe")
        }
    return RunRecord(
        run_id=attributes["run_id"],
        spec=RunSpec.from_dict(attributes["spec"]),
        status=Status(attributes["status"]),
        metrics=dict(zip(attributes["metric"], arrays.get("metrics", np.empty(0)).tolist(), strict=True)),
        curves=dict(zip(attributes["curve"], arrays.get("curves", np.empty((0, 0))), strict=True)),
        object=arrays.get("object"),
        probe=arrays.get("probe"),
        rings=dict(zip(attributes["ring_quantity"], arrays.get("rings", np.empty((0, 0))), strict=True)),
        scan_positions_px=arrays.get("scan_positions_px"),
        provenance=attributes["provenance"],
        message=attributes["message"],
        reference=attributes["reference"],
    )


def read_reference(store: Store, name: str) -> Reference | None:
    """The truth that a run was compared with; None where it had none."""
    if not name:
        return None
    with _group(store.reference_file(name)) as group:
        return Reference(*(np.asarray(group[key][...]) for key in ("object", "probe", "scan_positions_px")))


@contextmanager
def _group(file: Path) -> Iterator[zarr.Group]:
    """The Zarr group in a zip file; whatever is wrong with it is said in one way."""
    try:
        if not zipfile.is_zipfile(file):  # ZipStore trips over itself when it closes what it could not open
            raise OSError("it is missing" if not file.exists() else "it is damaged")
        with ZipStore(file, mode="r") as zip_store:
            yield zarr.open_group(zip_store, mode="r")
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise StoreError(f"{file} cannot be read: {error}; delete it and run the study again") from error


def sessions(store: Store) -> Iterator[dict[str, Any]]:
    """The sessions of ``store``, oldest first."""
    for file in sorted(store.sessions.glob("[!.]*.json")):
        try:
            yield json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise StoreError(f"{file} cannot be read: {error}") from error
