"""Where things lie in a results folder.

::

    results/<study>/
      store.json                          version of this layout
      runs/<id[:2]>/<run_id>.zarr.zip     one run that ended (completed or diverged): written once
      runs/<id[:2]>/<run_id>.failed-<n>.zarr.zip   one try that failed or timed out
      references/<hash>.zarr.zip          true object, probe and scan, shared by the runs that simulate them
      sessions/<time>-<pid>.json          who ran what, when, with which code and environment
      study.zarr/                         everything but the images, as one dataset along ``run``
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from suite.errors import StoreError

SCHEMA_VERSION = 1
SUFFIX = ".zarr.zip"


@dataclass(frozen=True)
class Store:
    """A results folder."""

    root: Path

    @classmethod
    def open(cls, root: str | Path) -> Store:
        """Open an existing results folder.

        Raises
        ------
        StoreError
            There is none, or it has another schema version.
        """
        store = cls(Path(root))
        if not store.marker.is_file():
            raise StoreError(f"no results in {store.root}; run the study first: ptychosuite run STUDY")
        store._check_version()
        return store

    @classmethod
    def create(cls, root: str | Path) -> Store:
        """Open a results folder, made first where there is none.

        Raises
        ------
        StoreError
            The folder cannot be written, holds something else, or has another schema version.
        """
        store = cls(Path(root))
        if store.marker.is_file():
            store._check_version()
            return store
        try:
            store.root.mkdir(parents=True, exist_ok=True)
            if any(not entry.name.startswith(".") for entry in store.root.iterdir()):
                raise StoreError(
                    f"{store.root} holds something other than results; name another folder with --results"
                )
            temporary = store.root / f".store.{os.getpid()}"
            temporary.write_text(json.dumps({"schema_version": SCHEMA_VERSION}))
            temporary.replace(store.marker)
        except OSError as error:
            raise disk_error(store.root, error) from error
        return store

    def _check_version(self) -> None:
        try:
            found = json.loads(self.marker.read_text()).get("schema_version")
        except (OSError, ValueError, AttributeError) as error:
            raise StoreError(f"{self.marker} cannot be read: {error}") from error
        if found != SCHEMA_VERSION:
            raise StoreError(
                f"{self.root} has results of schema version {found}; this ptychosuite reads and writes "
                f"version {SCHEMA_VERSION}. Name another folder with --results, "
                "or use the version that wrote them"
            )

    @property
    def marker(self) -> Path:
        return self.root / "store.json"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def references(self) -> Path:
        return self.root / "references"

    @property
    def sessions(self) -> Path:
        return self.root / "sessions"

    @property
    def dataset(self) -> Path:
        return self.root / "study.zarr"

    def run_file(self, run_id: str) -> Path:
        return self.runs / run_id[:2] / f"{run_id}{SUFFIX}"

    def failed_file(self, run_id: str, attempt: int) -> Path:
        return self.runs / run_id[:2] / f"{run_id}.failed-{attempt}{SUFFIX}"

    def reference_file(self, name: str) -> Path:
        return self.references / f"{name}{SUFFIX}"


def disk_error(path: Path, error: OSError) -> StoreError:
    """A readable error for a disk that is full, read-only or otherwise unwilling."""
    return StoreError(
        f"cannot write {path}: {error.strerror or error}; what is stored already is unharmed. "
        "Free some space or name another folder with --results, then run the same command again"
    )
