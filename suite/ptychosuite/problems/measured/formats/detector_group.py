"""A detector of a NeXus file (base class NXdetector): where it stands, its pixels, and their faults.

A pixel whose pixel_mask is not 0 is bad: each bit says why, and virtual pixels are no measurements either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.problems.measured.format import Places
from ptychosuite.problems.measured.formats.corrections import take_dark, take_flat, take_mask
from ptychosuite.problems.measured.formats.nexus_groups import pick_given
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.units import is_pixels, length_factor, read_length, read_numbers, unit_of

DISTANCES = ("distance", "detector_distance")
FLATS = ("flatfield", "flat_field")
DARKS = ("darkfield", "dark_field", "data_dark", "dark")
APPLIED = ("flatfield_applied", "flatfield_correction_applied")


def take_detector(file: Any, raw: Raw, detector: str, places: Places) -> None:
    """Distance, pixel, centre and mask of the ``detector``, and its dark and flat images.

    Raises
    ------
    DataFileError
        One of them is no number, of an unknown unit, or of another size than the patterns.
    """
    path = places.path
    distance = pick_given(file, [f"{detector}/{name}" for name in DISTANCES], "distance", path)
    if distance:
        raw.distance_m = read_length(file[distance], path)
        raw.source["distance"] = distance
    names = [pick_given(file, [f"{detector}/{axis}_pixel_size"], "pixel", path) for axis in "yx"]
    if sizes := [name for name in names if name]:
        raw.detector_pixel_m = (read_length(file[sizes[0]], path), read_length(file[sizes[-1]], path))
        raw.source["detector pixel"] = sizes[0]
    take_centre(file, raw, detector, path)
    specific = f"{detector}/detectorSpecific"
    take_mask(file, raw, places, [f"{detector}/pixel_mask", f"{specific}/pixel_mask", f"{detector}/mask"])
    take_dark(file, raw, places, [f"{detector}/{name}" for name in DARKS])
    take_flat(
        file, raw, places, [f"{detector}/{name}" for name in FLATS], flat_is_applied(file, detector, path)
    )


def take_centre(file: Any, raw: Raw, detector: str, path: str) -> None:
    """The direct beam on the detector, where the file has it and it lies on the frame."""
    names = [f"{detector}/beam_center_{axis}" for axis in "yx"]
    if raw.stack is None or not all(pick_given(file, [name], "centre", path) for name in names):
        return
    centre = []
    for name, pixel in zip(names, raw.detector_pixel_m or (0.0, 0.0), strict=True):
        value, unit = float(np.ravel(read_numbers(file[name], path))[0]), unit_of(file[name])
        if unit and not is_pixels(unit):
            if not pixel:
                return
            value *= length_factor(unit, name, path) / pixel
        centre.append(value)
    if all(1 <= value <= size - 1 for value, size in zip(centre, raw.stack.frame, strict=True)):
        raw.centre = (centre[0], centre[1])
        raw.source["centre"] = ", ".join(names)


def flat_is_applied(file: Any, detector: str, path: str) -> bool:
    """Whether the counts are divided by the flat image already, as the detector says."""
    name = pick_given(file, [f"{detector}/{name}" for name in APPLIED], "flat", path)
    return bool(name) and file[name].dtype.kind in "uifb"
