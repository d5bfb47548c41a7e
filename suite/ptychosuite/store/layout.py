"""Where things lie in a results folder.

::

    results/<study>/
      store.json                          version of this layout
      runs/<id[:2]>/<run_id>.zarr.zip     one run that ended (completed or diverged): written once
      runs/<id[:2]>/<run_id>.failed-<n>.zarr.zip   one try that failed or timed out
      imported/<run_id>.zarr.zip          a result that was computed elsewhere, judged as the runs are
      references/<hash>.zarr.zip          true object, probe and scan, shared by the runs that simulate them
      sessions/<time>-<pid>.json          who ran what, when, with which code and environment
      code/<fingerprint>.json             the files and packages that runs depend on, with hashes and versions
      checks/<time>-<hash>.json           verdicts of ``check``
      removed/<time>/                     what has been set aside
      study.zarr/                         the study's runs, all but the images, as one dataset along ``run``
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptychosuite.errors import StoreError
from ptychosuite.store.place import MARKER, LocalPlace, Place, has_gone

SCHEMA_VERSION = 1
SUFFIX = ".zarr.zip"
DIMENSIONS = {
    "object": ("y", "x"),
    "probe": ("probe_y", "probe_x"),
    "metrics": ("metric",),
    "curves": ("curve", "iteration"),
    "rings": ("ring_quantity", "ring"),
    "scan_positions_px": ("position", "axis"),
    "probe_modes": ("mode", "probe_y", "probe_x"),
    "pattern_weights": ("position", "weight"),
    "pattern_misfit": ("position",),
    "probe_variations": ("variation", "probe_y", "probe_x"),
    "given_positions_px": ("position", "axis"),
    "intensity": ("position",),
    "probe_variation": ("variation", "probe_y", "probe_x"),
    "variation_weights": ("position", "variation"),
    "snapshot_objects": ("snapshot", "y", "x"),
    "snapshot_probes": ("snapshot", "probe_y", "probe_x"),
}
"""The arrays of run files and references."""
BESIDE = {
    "scan_positions_px": np.float64,
    "probe_modes": np.complex64,
    "pattern_weights": np.float64,
    "probe_variations": np.complex64,
    "given_positions_px": np.float64,
    "pattern_misfit": np.float64,
}
"""What some runs have beside object and probe, under the names of the record's fields."""


def place(address: str | Path) -> Place:
    """The place at ``address``: a path, or ``s3://bucket/prefix``.

    Raises
    ------
    StoreError
        Another scheme, or the library for object storage is not installed.
    """
    text = str(address)
    if "://" not in text:
        return LocalPlace(os.path.normpath(text))
    from ptychosuite.store.object_store import object_place  # zarr and obstore: for object storage alone

    return object_place(text)


@dataclass(frozen=True)
class Store:
    """A results folder, on a filesystem or on object storage."""

    root: Place

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.root.as_root())

    @classmethod
    def find(cls, root: str | Path) -> Store | None:
        """The results folder at ``root`` (a path or ``s3://bucket/prefix``), if there is one.

        Raises
        ------
        StoreError
            It has another schema version, or cannot be read.
        """
        store = cls(place(root))
        try:
            marker = store.marker.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        store._check_version(marker)
        return store

    @classmethod
    def open(cls, root: str | Path) -> Store:
        """Open an existing results folder.

        Raises
        ------
        StoreError
            There is none, or it has another schema version.
        """
        store = cls.find(root)
        if store is None:
            cls(place(root))._refuse_unmarked()
            raise StoreError(f"no results in {place(root)}; run the study first: ptychosuite run STUDY")
        return store

    @classmethod
    def create(cls, root: str | Path) -> Store:
        """Open a results folder, made first where there is none.

        Raises
        ------
        StoreError
            The folder cannot be written, holds something else, or has another schema version.
        """
        found = cls.find(root)
        if found is not None:
            return found
        store = cls(place(root))
        if any(store.root.files()):
            found = cls.find(root)  # another process may have begun it just now
            if found is not None:
                return found
            store._refuse_unmarked()
            raise StoreError(
                f"{store.root} holds something other than results; name another folder with --results"
            )
        marker = place(root) / MARKER  # which alone may make the folder
        marker.create(json.dumps({"schema_version": SCHEMA_VERSION}).encode())
        return store

    def _check_version(self, marker: bytes) -> None:
        try:
            found = json.loads(marker)["schema_version"]
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f'{self.marker} cannot be read: expected {{"schema_version": {SCHEMA_VERSION}}} ({error!r}); '
                "if the folder holds results, write that into it"
            ) from error
        check_version(found, self.root)

    def _refuse_unmarked(self) -> None:
        """Say what to do where there are runs, and only the file is missing that makes them results."""
        if any(key.endswith(SUFFIX) for key in self.runs.files()):
            raise StoreError(
                f"{self.root} has runs, but {MARKER} is missing; write "
                f'{{"schema_version": {SCHEMA_VERSION}}} into {self.marker}, then run the same command again'
            )

    def refuse_gone(self) -> None:
        """Refuse to write results where nobody would find them.

        Raises
        ------
        StoreError
            The folder has been moved or deleted.
        """
        if not self.marker.exists():
            raise has_gone(self.root)

    def refuse_unwritable(self) -> None:
        """Refuse a folder in which no sweep could leave its results.

        Raises
        ------
        StoreError
            The user has no right to write in it or in a folder of it, or the disk is read-only.
        """
        if why := self.unwritable():
            raise StoreError(
                f"{why}. Nothing has been done; ask for the right to write there, or name another folder "
                "with --results"
            )

    def unwritable(self) -> str:
        """Why no sweep could leave its results here; empty where it could."""
        claims = self.root / ".claims"
        folders = (self.runs, self.references, self.sessions, self.code, self.dataset, claims)
        return self.root.unwritable(below=False) or next(
            filter(None, (folder.unwritable() for folder in folders)), ""
        )

    @property
    def marker(self) -> Place:
        return self.root / MARKER

    @property
    def runs(self) -> Place:
        return self.root / "runs"

    @property
    def imported(self) -> Place:
        return self.root / "imported"

    @property
    def references(self) -> Place:
        return self.root / "references"

    @property
    def sessions(self) -> Place:
        return self.root / "sessions"

    @property
    def code(self) -> Place:
        return self.root / "code"

    @property
    def dataset(self) -> Place:
        return self.root / "study.zarr"

    def run_file(self, run_id: str) -> Place:
        return self.runs / f"{run_id[:2]}/{run_id}{SUFFIX}"

    def failed_file(self, run_id: str, attempt: int) -> Place:
        return self.runs / f"{run_id[:2]}/{run_id}.failed-{attempt}{SUFFIX}"

    def imported_file(self, run_id: str) -> Place:
        return self.imported / f"{run_id}{SUFFIX}"

    def reference_file(self, name: str) -> Place:
        return self.references / f"{name}{SUFFIX}"

    def code_file(self, fingerprint: str) -> Place:
        return self.code / f"{fingerprint}.json"


def check_version(found: Any, what: object) -> None:
    """Refuse what another version of the layout has written.

    Raises
    ------
    StoreError
        ``found`` is not the version that this ptychosuite reads and writes.
    """
    if found != SCHEMA_VERSION or isinstance(found, bool):
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise StoreError(
            f"{what} has results of schema version {found}; this ptychosuite reads and writes version "
            f"{SCHEMA_VERSION}. {'Update ptychosuite' if newer else 'Use the version that wrote them'}, "
            "or name another folder with --results"
        )


def results_of(results: str | Path, study: str) -> str:
    """Where the results of ``study`` are, in the folder or below the address ``results``."""
    return f"{str(results).rstrip('/')}/{study}"
