"""Bundles read back: unpacked, checked, and opened as a results folder.

A bundle is what ``reporting.crate`` writes: an RO-Crate in a zip file, or unpacked in a folder. Reading
needs no library. Only what the metadata list takes part, and each file has to have the SHA-256 they give.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote

from ptychosuite.errors import StoreError
from ptychosuite.store.layout import Store
from ptychosuite.store.read import DAMAGED, checked_study

METADATA = "ro-crate-metadata.json"
STUDY = "study.json"  # what was planned and is drawn, as a session notes it
RESULTS = "results"
CHUNK = 2**20
MOST_METADATA = 2**28  # bytes: a million files
SMALL, MOST_TIMES = 2**24, 300  # bytes that a member may unpack to, or so many times its packed size


@dataclass(frozen=True)
class Bundle:
    """A bundle, unpacked."""

    name: str  # of the file or folder it came from
    store: Store
    study: Mapping[str, Any]  # name, title, text, overrides, figures, spec_ids


class BundleFiles(Protocol):
    """Where a bundle's files are read from."""

    def open(self, name: str) -> BinaryIO:
        """The file ``name``; KeyError or OSError where there is none."""

    def size(self, name: str) -> int:
        """How many bytes the file has; ValueError where it is none that may be read."""


@dataclass(frozen=True)
class Folder:
    """An unpacked bundle."""

    path: Path

    def open(self, name: str) -> BinaryIO:
        return open(self.path / name, "rb")

    def size(self, name: str) -> int:
        file = self.path / name
        if not file.is_file() or not file.resolve().is_relative_to(self.path.resolve()):
            raise ValueError(f"{name} is missing, no file, or a link to the outside")
        return file.stat().st_size


@dataclass(frozen=True)
class Archive:
    """A bundle in a zip file."""

    file: zipfile.ZipFile

    def open(self, name: str) -> BinaryIO:
        return self.file.open(name)  # type: ignore[return-value]  # readable, which is all that is asked

    def size(self, name: str) -> int:
        member = self.file.getinfo(name)
        if member.file_size > max(SMALL, MOST_TIMES * member.compress_size):
            raise ValueError(f"{name} would grow from {member.compress_size} to {member.file_size} bytes")
        return member.file_size


def is_bundle(path: Path) -> bool:
    """Whether ``path`` is meant as a bundle: a zip file, or a folder with an RO-Crate's metadata."""
    return path.suffix == ".zip" if not path.is_dir() else (path / METADATA).is_file()


@contextmanager
def opened_bundle(path: Path) -> Iterator[Bundle]:
    """The bundle at ``path``, unpacked into a temporary folder for as long as the context lasts.

    Raises
    ------
    StoreError
        It is missing or damaged, or not a bundle of ours.
    """
    with tempfile.TemporaryDirectory(prefix="ptychosuite-bundle-") as folder:
        root = Path(folder)
        with _refusing(path):
            if path.is_dir():
                _unpack(Folder(path), root, path)
            else:
                with zipfile.ZipFile(path) as file:
                    _unpack(Archive(file), root, path)
            study = checked_study(json.loads((root / STUDY).read_bytes()), f"{path}: {STUDY}")
            store = Store.open(root / RESULTS / _plain_name(study["study"]))
        yield Bundle(path.name, store, study)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise StoreError(
            f"{path} cannot be read as a bundle: {error}; "
            "expected what 'ptychosuite export --to crate' writes"
        ) from error


def _unpack(source: BundleFiles, root: Path, path: Path) -> None:
    """Copy the files that the metadata list to ``root``, checking each."""
    if source.size(METADATA) > MOST_METADATA:
        raise ValueError(f"{METADATA} has {source.size(METADATA)} bytes")
    with source.open(METADATA) as file:
        graph = json.load(file)["@graph"]
    left = shutil.disk_usage(root).free
    for entity in graph:
        if "File" not in _as_list(entity["@type"]) or "sha256" not in entity:
            continue
        name = unquote(entity["@id"])
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or "\\" in name or ":" in name:
            raise StoreError(f"{path} lists '{name}', a file outside itself; it is refused")
        left -= source.size(name)
        if left < 0:
            raise StoreError(f"{path} needs more room than {root.parent} has; make some, or set TMPDIR")
        target = root / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open(name) as content:
            found = _copied(content, target)
        if found != entity["sha256"]:
            raise StoreError(
                f"{path} has been changed or damaged: {name} has SHA-256 {found[:12]}..., its metadata say "
                f"{str(entity['sha256'])[:12]}...; get a fresh copy of the bundle"
            )


def _plain_name(name: str) -> str:
    """The study's name, which becomes that of a folder."""
    if not name or PurePosixPath(name).name != name:
        raise ValueError(f"'{name}' is no name of a study")
    return name


def _copied(content: BinaryIO, target: Path) -> str:
    """Copy to ``target``; the SHA-256 of what went through."""
    digest = hashlib.sha256()
    with open(target, "wb") as copy:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
