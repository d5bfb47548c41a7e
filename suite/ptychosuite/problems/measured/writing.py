"""Measurements written to files of others' layouts: whole or not at all, and over nothing that is there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from ptychosuite.errors import DataFileError, StudyError, nearest
from ptychosuite.problems.measured.format import DataFormat
from ptychosuite.problems.measured.measurement import Geometry, Measurement
from ptychosuite.registry import lookup as registry

HELD = {"probe": "probe", "object": "object_guess", "mask": "detector_mask", "masks": "valid_pixels"}
"""Where a :class:`Measurement` keeps the parts that not every layout has a place for; "masks" are those of
single patterns, instead of which a layout without them gets the pixels that are good in every pattern."""


@dataclass(frozen=True)
class Written:
    """The files that hold a measurement, and the parts of it that their layout has no place for."""

    paths: tuple[Path, ...]
    left_out: tuple[str, ...]


def writers() -> dict[str, DataFormat]:
    """The formats that can be written, by name."""
    known: dict[str, type[DataFormat]] = registry.classes("formats")
    return {name: cls() for name, cls in known.items() if cls.writes}


def writer(name: str) -> DataFormat:
    """The format called ``name``, or package.module:Class.

    Raises
    ------
    StudyError
        There is none, or it is only read.
    """
    known = writers()
    if name in known:
        return known[name]
    cls: type[DataFormat] | None = registry.class_of("formats", name) if ":" in name else None
    if cls is None or not cls.writes:
        raise StudyError(f"found the form '{name}'; {nearest(name, known)}")
    return cls()


def write(measurement: Measurement, path: Path, format_name: str, force: bool = False) -> Written:
    """Write ``measurement`` to ``path``, and to files beside it where the layout takes several.

    Raises
    ------
    DataFileError
        A file is there already and ``force`` is not given, the layout takes something that is not known, or
        the files cannot be written; then nothing is there that was not there before.
    """
    chosen = writer(format_name)
    refuse_existing([path], force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            _write_in(folder, chosen, path, measurement)
            made = sorted(Path(folder).iterdir(), key=lambda file: len(file.name))
            targets = tuple(path.parent / file.name for file in made)
            refuse_existing(targets, force)
            for file, target in zip(made, targets, strict=True):
                os.replace(file, target)
    except OSError as error:
        raise DataFileError(f"cannot write {path}: {error}; check the folder and its free space") from error
    held = [part for part, where in HELD.items() if getattr(measurement, where) is not None]
    return Written(targets, tuple(part for part in held if part not in chosen.writes))


def _write_in(folder: str, chosen: DataFormat, path: Path, measurement: Measurement) -> None:
    """Write in a ``folder`` what is to be called ``path``, as it is called in messages already."""
    inside = Path(folder, path.name)
    try:
        chosen.write(str(inside), measurement)
    except DataFileError as error:
        raise DataFileError(str(error).replace(str(inside), str(path))) from error


def refuse_existing(paths: tuple[Path, ...] | list[Path], force: bool) -> None:
    """Refuse to write over files, but where ``force`` says so; over a folder always.

    Raises
    ------
    DataFileError
        One of ``paths`` is there.
    """
    for path in paths:
        if path.is_dir():
            raise DataFileError(f"{path} is a folder; name a file")
        if path.exists() and not force:
            raise DataFileError(f"{path} is there already; name another file, or say --force")


def geometry_of(measurement: Measurement, path: str | Path, label: str) -> Geometry:
    """What a layout takes that holds positions in metres.

    Raises
    ------
    DataFileError
        Some of it is not known.
    """
    if measurement.geometry is None:
        raise DataFileError(
            f"{path}: {label} holds positions in metres, so it takes the wavelength, the distance and the "
            "detector pixel; give 'wavelength_m' or 'energy_kev', 'distance_m' and 'detector_pixel_m'"
        )
    return measurement.geometry


@contextmanager
def hdf5_file(path: str | Path) -> Iterator[h5py.File]:
    """A new HDF5 file.

    Raises
    ------
    DataFileError
        It cannot be written.
    """
    try:
        with h5py.File(path, "w") as file:
            yield file
    except OSError as error:
        raise DataFileError(f"cannot write {path}: {error}; check the folder and its free space") from error
