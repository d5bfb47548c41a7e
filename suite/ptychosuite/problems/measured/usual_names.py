"""What the names of arrays mean where no format says it: the usual ones, and the units in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.file_arrays import HDF5Array
from ptychosuite.problems.measured.raw import is_positive, is_zero
from ptychosuite.problems.measured.units import unit_of

# The last part of a name, lower case and without a unit; the first that is there is taken.
USUAL: Mapping[str, Sequence[str]] = {
    "data": ("data", "diffraction", "diffraction_intensity", "diffraction_patterns", "patterns", "dp",
             "intensity", "intensities", "i"),
    "positions": ("scan", "positions", "scan_positions", "probe_positions", "translation", "translations",
                  "coords", "pos"),
    "probe": ("probe", "illumination", "initial_probe", "probe_guess"),
    "mask": ("mask", "detector_mask"),
    "object": ("object_guess", "initial_object", "object", "obj", "psi"),
    "dark": ("dark", "darkfield", "dark_image", "dark_frame", "data_dark", "background"),
    "flat": ("flat", "flatfield", "flat_field", "whitefield", "white_field"),
    "intensities": ("intensities", "monitor", "i0", "beam_monitor"),
    "wavelength": ("wavelength", "photon_wavelength", "beam_wavelength", "lambda", "lam"),
    "energy": ("photon_energy", "energy", "xray_energy", "incident_energy"),
    "voltage": ("accelerating_voltage", "acceleration_voltage"),
    "distance": ("distance", "detector_distance", "sample_detector_distance", "detector_object_distance",
                 "sample_to_detector_distance", "propagation_distance", "det_sample_dist"),
    "detector pixel": ("detector_pixel", "detector_pixel_size", "detector_pixel_height", "det_pixel_size",
                       "pixel_size_detector"),
    "object pixel": ("object_pixel", "object_pixel_size", "object_pixel_height", "obj_pixel_size"),
}  # fmt: skip
# Names whose meaning is fixed, and what a good pixel has in them.
MASKS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "pixel_mask": is_zero,
    "bad_pixels": is_zero,
    "bad_pixel_mask": is_zero,
    "dead_pixels": is_zero,
    "hot_pixels": is_zero,
    "valid_mask": is_positive,
    "valid_pixels": is_positive,
    "valid_pixel_mask": is_positive,
    "good_pixels": is_positive,
}
PAIRS = (("real", "imag"), ("re", "im"), ("amplitude", "phase"), ("magnitude", "phase"), ("abs", "phase"))
UNIT = re.compile(r"_(px|pixels|m|mm|um|nm|pm|angstrom|ev|kev|j|v|kv)$")
SPELT = {"ev": "eV", "kev": "keV", "j": "J", "v": "V", "kv": "kV"}
AXIS = re.compile(
    r"(?:(?:scan|pos|positions?|probe_positions?|motor|sample|stage|translation)_?)?"
    r"(?P<axis>[xy])"
    r"(?:_?(?:pos|positions?|coords?|scan|motor))?"
)


@lru_cache(maxsize=2**15)
def last(name: str) -> str:
    """The last part of an array's name, in lower case."""
    return name.rsplit("/", 1)[-1].lower()


@lru_cache(maxsize=2**15)
def stem(name: str) -> str:
    """The same without a unit at its end."""
    return UNIT.sub("", last(name))


def unit_in(arrays: Mapping[str, Any], name: str) -> str:
    """Unit of an array: its attribute's, else the one at the end of its name, else ""."""
    ending = UNIT.search(last(name))
    written = ending.group(1) if ending else ""
    return unit_of(arrays[name]) or SPELT.get(written, written)


def usual(
    arrays: Mapping[str, Any], part: str, path: str, fits: Callable[[Any], bool] = lambda array: True
) -> str:
    """Name of the one array that is called as arrays of a ``part`` usually are, and ``fits``; else "".

    Raises
    ------
    DataFileError
        There are several of the same name.
    """
    for expected in USUAL[part]:
        fitting = [name for name in arrays if stem(name) == expected and fits(arrays[name])]
        found = _different(arrays, [name for name in fitting if last(name) == expected] or fitting)
        if len(found) > 1:
            raise DataFileError(
                f"{path} has several arrays for {part}: {', '.join(found)}; name one with '{part}'"
            )
        if found:
            return found[0]
    return ""


def _different(arrays: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The first name of each array: links give one several."""
    kept: list[str] = []
    for name in names:
        if not any(_same(arrays[name], arrays[other]) for other in kept):
            kept.append(name)
    return kept


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, HDF5Array) and isinstance(other, HDF5Array) and bool(one.dataset == other.dataset)


def pairs_of(arrays: Mapping[str, Any], part: str) -> Iterator[tuple[str, str]]:
    """Names of two arrays that together are a complex one: "probe_real" and "probe_imag", or "probe/real"."""
    ends = {name: {last(name), "_".join(name.lower().split("/")[-2:])} for name in arrays}
    for base in USUAL[part]:
        for first, second in PAIRS:
            one = [name for name, known in ends.items() if f"{base}_{first}" in known]
            two = [name for name, known in ends.items() if f"{base}_{second}" in known]
            if len(one) == len(two) == 1:
                yield one[0], two[0]


def axes_of(arrays: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names (y, x) of two arrays called as axes of a scan, which differ in nothing but these letters."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for name in arrays:
        if match := AXIS.fullmatch(stem(name)):
            at = match.start("axis")
            group = name.rsplit("/", 1)[0] if "/" in name else ""
            key = (group, stem(name)[:at], stem(name)[at + 1 :])
            found.setdefault(key, {})[match["axis"]] = name
    return [(pair["y"], pair["x"]) for pair in found.values() if len(pair) == 2]
