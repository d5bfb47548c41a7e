"""Arrays that a format has no place for, where the user names them."""

from __future__ import annotations

from typing import Any

from ptychosuite.problems.measured.format import Places
from ptychosuite.problems.measured.raw import Raw, as_mask, as_modes, as_wave, is_positive, mask_rule


def take_named(raw: Raw, file: Any, places: Places) -> None:
    """Mask, probe and object of an HDF5 file, by the user's names alone.

    Raises
    ------
    DataFileError
        There is no array of that name, or it has another shape.
    """
    if mask := places.find(file, "mask", ()):
        rule = mask_rule(places.mask_good, is_positive)
        raw.good, raw.source["mask"] = as_mask(file[mask], raw.frame, rule, mask, places.path), mask
    if probe := places.find(file, "probe", ()):
        raw.probe, raw.source["probe"] = as_modes(file[probe], probe, places.path), probe
    if guess := places.find(file, "object", ()):
        raw.object_guess, raw.source["object"] = as_wave(file[guess], guess, places.path), guess
