"""The .ptyd files of ptypy: prepared data in chunks (ptypy documentation, "Data management").

``/meta`` holds the energy in keV, the distance in metres and the detector pixel after any binning,
``/chunks/<n>`` the patterns with their positions in metres, rows first, and their weights (0 = bad pixel).
Older files keep what all chunks share in ``/info``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import pick
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.ptyd_writer import write_ptyd
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.pattern_stack import Part, PatternStack, single_stack
from ptychosuite.problems.measured.raw import (
    Raw,
    as_mask,
    as_modes,
    as_positions,
    is_positive,
    joined_masks,
    mask_rule,
)
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import read_energy, read_length, read_numbers, wavelength_of_energy


@dataclass(frozen=True)
class Ptyd(DataFormat):
    """Chunks of patterns with their positions and weights, as ptypy prepares them."""

    label: ClassVar[str] = "ptypy"
    suffixes: ClassVar[tuple[str, ...]] = (".ptyd",)
    writes: ClassVar[tuple[str, ...]] = ("data", "positions", "mask", "masks")

    def recognises(self, source: Source) -> bool:
        if not source.is_hdf5:
            return False
        return isinstance(source.hdf5.get("chunks"), h5py.Group) and "meta" in source.hdf5

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        chunks = _chunks(file, places)
        raw = Raw(None, None, "m", convention="centre")
        if places.wants("data"):
            raw.stack = _stack(chunks, places)
        if places.wants("positions"):
            raw.positions, raw.source["positions"] = _positions(file, chunks, places)
        _geometry(file, raw, path)
        if places.wants("mask"):
            _mask(file, raw, chunks, places)
        probe = places.find(file, "probe", ())
        if probe:
            raw.probe = as_modes(file[probe], probe, path)
            raw.source["probe"] = probe
        return raw

    def write(self, path: str, measurement: Measurement) -> None:
        write_ptyd(path, measurement)


def _chunks(file: Any, places: Places) -> list[Any]:
    """The chunks in their order. Those of a scan that was saved as links lie in files beside this one."""
    group = file.get("chunks")
    numbers = sorted(int(n) for n in group if n.isdigit()) if group is not None else []
    chunks = [group.get(str(n)) for n in numbers]
    for n, chunk in zip(numbers, chunks, strict=True):
        if not isinstance(chunk, h5py.Group) or not isinstance(chunk.get("data"), h5py.Dataset):
            raise DataFileError(
                f"{places.path}: '/chunks/{n}/data' is missing; a scan saved as links needs the files "
                "of its chunks beside it"
            )
    if not chunks:
        raise DataFileError(
            f"{places.path}: '/chunks' holds no patterns; ptypy saves them with 'save: append'"
        )
    return chunks


def _stack(chunks: list[Any], places: Places) -> PatternStack:
    parts: list[Part] = []
    for chunk in chunks:
        parts += single_stack(chunk["data"], chunk["data"].name, places.path).parts
    frames = {part.array.shape[-2:] for part in parts}
    if len(frames) > 1:
        raise DataFileError(f"{places.path}: '/chunks' holds patterns of several sizes: {sorted(frames)}")
    return PatternStack(tuple(parts), parts[0].array.name if len(parts) == 1 else "/chunks/*/data")


def _positions(file: Any, chunks: list[Any], places: Places) -> tuple[np.ndarray, str]:
    path = places.path
    if not places.positions and all(isinstance(chunk.get("positions"), h5py.Dataset) for chunk in chunks):
        found = [as_positions(chunk["positions"], chunk["positions"].name, path) for chunk in chunks]
        name = chunks[0]["positions"].name if len(chunks) == 1 else "/chunks/*/positions"
        return np.concatenate(found)[:, :2], name
    usual = ("/info/positions_scan", "/common/positions_scan", "/info/positions_theory")
    name = pick(file, places.positions, usual, "positions", path)
    if not name:
        raise DataFileError(f"{path}: '/chunks/0/positions' is missing, and so is '{usual[0]}'")
    return as_positions(file[name], name, path)[:, :2], name


def _geometry(file: Any, raw: Raw, path: str) -> None:
    def stored(key: str) -> str:
        return next((name for name in (f"/meta/{key}", f"/info/{key}") if _has_value(file.get(name))), "")

    if name := stored("energy"):
        raw.wavelength_m = wavelength_of_energy(read_energy(file[name], path, default="keV"))
        raw.source["wavelength"] = name
    if name := stored("distance"):
        raw.distance_m = read_length(file[name], path)
        raw.source["distance"] = name
    if name := stored("psize"):
        sizes = np.ravel(read_numbers(file[name], path))
        raw.detector_pixel_m = (float(sizes[0]), float(sizes[-1]))
        raw.source["detector pixel"] = name
    name = "/meta/center"
    if _has_value(file.get(name)) and file[name].dtype.kind in "uif" and file[name].size == 2:
        row, column = np.ravel(read_numbers(file[name], path))
        raw.centre = (float(row), float(column))
        raw.source["centre"] = name


def _has_value(item: Any) -> bool:
    """Whether ptypy stored something there; it stores None as a zero marked as such."""
    return isinstance(item, h5py.Dataset) and bool(item.size) and item.attrs.get("type") != "None"


def _mask(file: Any, raw: Raw, chunks: list[Any], places: Places) -> None:
    path, frame = places.path, _stack(chunks, places).frame
    rule = mask_rule(places.mask_good, is_positive)
    weights = [chunk.get("weights") for chunk in chunks]
    shared = pick(file, places.mask, ("/meta/weight2d", "/info/weight2d", "/common/weight2d"), "mask", path)
    if not places.mask and all(_has_value(weight) and weight.shape[-2:] == frame for weight in weights):
        masks = [as_mask(weight, frame, rule, weight.name, path) for weight in weights]
        numbers = [weight.shape[0] if weight.ndim == 3 else 1 for weight in weights]
        blocks = (np.broadcast_to(mask, (n, *frame)) for mask, n in zip(masks, numbers, strict=True))
        raw.good = joined_masks(blocks, sum(numbers))
        raw.source["mask"] = weights[0].name if len(weights) == 1 else "/chunks/*/weights"
    elif shared and (places.mask or file[shared].shape == frame):
        raw.good = as_mask(file[shared], frame, rule, shared, path)
        raw.source["mask"] = shared
