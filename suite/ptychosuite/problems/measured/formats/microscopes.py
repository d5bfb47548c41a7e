"""Files of electron microscopes and their detectors, through RosettaSciIO, an extra of its own.

Merlin and Medipix (.mib), ASTAR (.blo), Gatan's DigitalMicrograph (.dm3, .dm4), TVIPS (.tvips), TIA (.ser),
Topspin (.app5) and MRC stacks (.mrc): whatever it opens lazily with an array of three or
four axes (hyperspy.org/rosettasciio). It gives scale and unit of each axis, and the microscope's metadata.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.hyperspy import take_beam
from ptychosuite.problems.measured.four_axes import Axis, stack_of, take_pixel, take_scan
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source

READERS: Mapping[str, tuple[str, bytes]] = {
    ".app5": ("topspin", b"\x89HDF"),
    ".blo": ("blockfile", b"IMGBLO"),
    ".dm3": ("digitalmicrograph", b"\0\0\0\3"),
    ".dm4": ("digitalmicrograph", b"\0\0\0\4"),
    ".mib": ("quantumdetector", b"MQ1"),
    ".mrc": ("mrc", b""),
    ".ser": ("tia", b"II\x97\1"),
    ".tvips": ("tvips", b""),
}
"""For each ending the part of RosettaSciIO that reads it, and the first bytes of such a file."""


@dataclass(frozen=True)
class MicroscopeFile(DataFormat):
    """4D-STEM in the files of microscopes and detectors; takes the extra ``ptychosuite[stem]``."""

    label: ClassVar[str] = "electron microscopes"
    suffixes: ClassVar[tuple[str, ...]] = tuple(READERS)

    def recognises(self, source: Source) -> bool:
        _, magic = READERS.get(_suffix(source), ("", b""))
        return _suffix(source) in READERS and source.head.startswith(magic)

    def read(self, source: Source, places: Places) -> Raw:
        raw = Raw(None, None, "", convention="centre", radiation="electrons")
        signal, name = _signal(source, places)
        axes = [Axis(float(axis["scale"]), str(axis["units"] or "")) for axis in signal["axes"]]
        stack = stack_of(Delayed(signal["data"]), axes, name, places.path)
        if places.wants("data"):
            raw.stack, raw.source["data"] = stack, name
        if places.wants("positions"):
            take_scan(raw, stack, axes, name, places.path)
        take_pixel(raw, stack, axes, name)
        take_beam(raw, signal["metadata"].get("Acquisition_instrument", {}).get("TEM", {}), "metadata")
        return raw


class Delayed:
    """A Dask array as formats keep arrays: a slice is computed when it is taken."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype)
        self.chunks = array.chunksize

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._array[key].compute(scheduler="synchronous"))


def _suffix(source: Source) -> str:
    return Path(source.path).suffix.lower()


def _signal(source: Source, places: Places) -> tuple[dict[str, Any], str]:
    """The one signal of three or four axes in the file, or the user's, and what it is called."""
    titled = {
        signal["metadata"].get("General", {}).get("title") or f"signal {i}": signal
        for i, signal in enumerate(_opened(source))
    }
    if wanted := places.data if places.wants("data") else "":
        found = [name for name in titled if name == wanted]
    else:
        found = [name for name, signal in titled.items() if signal["data"].ndim in (3, 4)]
    if len(found) == 1:
        return titled[found[0]], found[0]
    held = ", ".join(f"'{name}' {signal['data'].shape}" for name, signal in titled.items())
    raise DataFileError(f"{places.path} holds the signals {held}; name one of patterns with 'data'")


def _opened(source: Source) -> list[dict[str, Any]]:
    reader, _ = READERS.get(_suffix(source), ("", b""))
    if not reader:
        raise DataFileError(f"{source.path} has none of the endings {', '.join(READERS)}")
    try:
        module = import_module(f"rsciio.{reader}")
    except ImportError as error:
        raise DataFileError(
            f"{source.path} takes RosettaSciIO, which cannot be loaded ({error}); "
            "install it with: pip install 'ptychosuite[stem]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("rsciio").set_log_level("ERROR")
            return list(module.file_reader(source.path, lazy=True))
    except Exception as error:  # each reader has its own kinds of them
        raise DataFileError(
            f"{source.path} cannot be read by RosettaSciIO as {reader} ({type(error).__name__}: {error}); "
            "the file is damaged, was not copied whole, or is of another kind"
        ) from error
