"""Files of PtyLab (github.com/PtyLab/PtyLab.py): measurements, and what it saves of a reconstruction.

A measurement has the patterns in ``ptychogram`` (N, rows, columns), the positions in ``encoder`` (N, 2), the
detector's pixel after binning ``dxd``, the distance ``zo`` and the ``wavelength``, everything in metres and
without attributes. PtyLab adds an encoder's row and column over the pixel to the corner of a patch: they are
those of the beam. A reconstruction has ``probe`` and ``object``
(wavelengths, object modes, probe modes, slices, rows, columns) with ``encoder_corrected`` and ``dxp``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.array_names import named, number, values
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import (
    Raw,
    as_mask,
    as_modes,
    as_positions,
    as_wave,
    is_positive,
    mask_rule,
)
from ptychosuite.problems.measured.source import Source


@dataclass(frozen=True)
class PtyLab(DataFormat):
    """A ``ptychogram`` with its ``encoder``, or a reconstruction, as PtyLab writes them."""

    label: ClassVar[str] = "PtyLab"
    suffixes: ClassVar[tuple[str, ...]] = (".hdf5",)

    def recognises(self, source: Source) -> bool:
        held = set(source.arrays) if source.holds_arrays else set()
        return "ptychogram" in held or {"probe", "dxp", "zo"} <= held

    def read(self, source: Source, places: Places) -> Raw:
        arrays, path = source.arrays, places.path
        _check(arrays, path)
        raw = Raw(None, None, "m", convention="centre")
        if data := named(arrays, places, "data", ("ptychogram",)):
            raw.stack, raw.source["data"] = single_stack(arrays[data], data, path), data
        if positions := named(arrays, places, "positions", ("encoder_corrected", "encoder")):
            raw.positions = as_positions(values(arrays, positions), positions, path)[:, :2]
            raw.source["positions"] = positions
        if mask := named(arrays, places, "mask", ()):
            raw.good = as_mask(arrays[mask], raw.frame, mask_rule(places.mask_good, is_positive), mask, path)
            raw.source["mask"] = mask
        if probe := named(arrays, places, "probe", ("probe",)):
            raw.probe, raw.source["probe"] = as_modes(_modes(values(arrays, probe)), probe, path), probe
        if guess := named(arrays, places, "object", ("object",)):
            raw.object_guess, raw.source["object"] = as_wave(values(arrays, guess), guess, path), guess
        _geometry(arrays, raw, path)
        return raw


def _check(arrays: Mapping[str, Any], path: str) -> None:
    """Refuse what is another experiment, or would have to be turned first."""
    if "zled" in arrays and "zo" not in arrays:
        raise DataFileError(f"{path} is Fourier ptychography, with a 'zled'; that is not read")
    turned = values(arrays, "orientation") if "orientation" in arrays else np.zeros(0)
    if np.any(turned):
        raise DataFileError(
            f"{path}: 'orientation' is {np.ravel(turned)[0]}, so its patterns have to be turned; say "
            "'format: arrays', 'data: ptychogram', 'positions: encoder', 'positions_unit: m', and "
            "'transpose', 'flip_rows' or 'flip_columns'"
        )


def _modes(probe: np.ndarray) -> np.ndarray:
    """The probe modes of the first wavelength, first slice."""
    return probe[0, 0, :, 0] if probe.ndim == 6 else probe


def _geometry(arrays: Mapping[str, Any], raw: Raw, path: str) -> None:
    raw.wavelength_m = number(arrays, ("wavelength",), path)
    raw.distance_m = number(arrays, ("zo",), path)
    raw.source |= {"wavelength": "wavelength", "distance": "zo"}
    pixel, object_pixel = number(arrays, ("dxd",), path), number(arrays, ("dxp",), path)
    if pixel:
        raw.detector_pixel_m, raw.source["detector pixel"] = (pixel, pixel), "dxd"
    elif object_pixel:
        shape = arrays["probe"].shape[-2:] if "probe" in arrays else None
        raw.take_object_pixel((object_pixel, object_pixel), shape, "dxp")
