"""Measured data in the suite's conventions, and the checks that every file has to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ptychosuite.core.problem import split_positions
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.waves import power_of
from ptychosuite.registry.lookup import class_of

MAX_OBJECT_PX = 2**14  # a wider object comes from wrong units, not from a microscope
LARGEST = float(np.finfo(np.float32).max)  # of a count, which is kept in single precision
PIXEL_RANGE_M = (1e-12, 1e-4)


class Geometry(NamedTuple):
    """The way from the sample to the detector; the pixel of the object follows from it."""

    wavelength_m: float
    distance_m: float
    detector_pixel_m: float
    pixel_m: float


@dataclass(frozen=True)
class Measurement:
    """Diffraction patterns and where each was taken.

    ``source`` says which array inside the file each part came from ("data", "positions", "probe", ...)
    and what was decided on reading ("zero frequency", "positions unit", "centre").
    """

    diffraction_intensity: np.ndarray  # (N, m, m) float32 or unsigned counts; zero frequency at [0, 0]
    scan_positions_px: np.ndarray  # (N, 2) float64: (row, column) of each patch's first corner; minimum 0
    probe: np.ndarray | None = None  # (m, m) complex128, centred; of modes the strongest at all power
    probe_modes: np.ndarray | None = None  # (M, m, m) complex128, of several mutually incoherent ones all
    detector_mask: np.ndarray | None = None  # (m, m) bool, True = good pixel; zero frequency at [0, 0]
    valid_pixels: np.ndarray | None = None  # (N, m, m) bool, False where a pixel is bad in one pattern alone
    object_guess: np.ndarray | None = None  # (H, W) complex128
    pixel_m: float | None = None  # pixel of object and probe; mean of both axes
    wavelength_m: float | None = None
    distance_m: float | None = None  # sample to detector
    detector_pixel_m: float | None = None  # after binning; mean of both axes
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_positions(self) -> int:
        return len(self.scan_positions_px)

    @property
    def probe_size(self) -> int:
        return int(self.diffraction_intensity.shape[-1])

    @property
    def object_shape(self) -> tuple[int, int]:
        """The smallest object that every patch fits in, fractions of a pixel included."""
        return object_shape(self.scan_positions_px, self.probe_size)

    @property
    def good_always(self) -> np.ndarray | None:
        """Pixels (m, m) that are good in every pattern; None where all are."""
        if self.valid_pixels is None:
            return self.detector_mask
        always = np.asarray(self.valid_pixels.all(axis=0))
        return always if self.detector_mask is None else always & self.detector_mask

    @property
    def modes(self) -> np.ndarray | None:
        """All modes of the probe (M, m, m), the only one too; None where there is no probe."""
        if self.probe_modes is not None:
            return self.probe_modes
        return None if self.probe is None else self.probe[np.newaxis]

    @property
    def geometry(self) -> Geometry | None:
        """None where not all of it is known; the detector's pixel may follow from the others."""
        wavelength, distance, pixel = self.wavelength_m, self.distance_m, self.pixel_m
        if wavelength is None or distance is None or pixel is None:
            return None
        detector_pixel = self.detector_pixel_m or wavelength * distance / (self.probe_size * pixel)
        return Geometry(wavelength, distance, detector_pixel, pixel)


def object_shape(scan_positions_px: np.ndarray, probe_size: int) -> tuple[int, int]:
    """Rows and columns that patches of ``probe_size`` at ``scan_positions_px`` (N, 2) cover."""
    whole, fraction = split_positions(scan_positions_px)
    # Rounded before the ceiling: 12.0000000001 from a conversion of units is 12.
    last = whole if fraction is None else np.ceil(np.round(scan_positions_px, 6)).astype(int)
    rows, columns = last.max(axis=0) + probe_size
    return int(rows), int(columns)


def check(measurement: Measurement, path: str) -> None:
    """Refuse a measurement that cannot be reconstructed.

    Raises
    ------
    DataFileError
        Wrong shapes, counts that are NaN or negative or all zero, positions that do not fit the
        patterns, are NaN, all in one place or too far apart, a pixel size that no microscope has, a probe
        or mask of another size. The message names the file and the array inside it.
    """
    source = measurement.source
    data, positions = source.get("data", "data"), source.get("positions", "positions")
    patterns = measurement.diffraction_intensity
    if patterns.ndim != 3:
        raise DataFileError(
            f"{path}: '{data}' has shape {patterns.shape}; expected (patterns, rows, columns)"
        )
    if patterns.shape[1] != patterns.shape[2]:
        raise DataFileError(
            f"{path}: '{data}' holds patterns of {patterns.shape[1]} x {patterns.shape[2]} pixels; they must "
            f"be square, give 'crop: {min(patterns.shape[1:])}'"
        )
    check_pixel(measurement.pixel_m, source, path)
    check_positions(measurement.scan_positions_px, len(patterns), patterns.shape[1], positions, data, path)
    check_counts(patterns, data, path)
    if not patterns.any():
        raise DataFileError(f"{path}: '{data}' holds no counts at all, every pattern is zero")
    for name, array in (("probe", measurement.probe), ("mask", measurement.detector_mask)):
        if array is not None and array.shape != patterns.shape[1:]:
            raise DataFileError(
                f"{path}: '{source.get(name, name)}' has shape {array.shape}; the patterns of '{data}' "
                f"have {patterns.shape[1:]}"
            )
    if measurement.probe is not None:
        check_wave(measurement.probe, source.get("probe", "probe"), path)


def check_counts(patterns: np.ndarray, name: str, path: str, numbers: np.ndarray | None = None) -> None:
    """Refuse counts (n, rows, columns) that are NaN, infinite or negative.

    ``numbers`` (n,) are those of the patterns, by which they are called; counted from 0 by default.

    Raises
    ------
    DataFileError
        With how many there are, and the settings that leave them out.
    """
    wrong = []
    if patterns.dtype.kind == "f":
        wrong.append((~(np.abs(patterns) <= LARGEST), "NaN or infinite", "'negative: mask'"))
    if patterns.dtype.kind in "if":
        wrong.append((patterns < 0, "negative", "'negative: zero', or 'negative: mask'"))
    for bad, what, word in wrong:
        if bad.any():
            found = int(np.flatnonzero(bad.any(axis=(1, 2)))[0])
            raise DataFileError(
                f"{path}: '{name}' holds {what} counts ({int(bad.sum())} of them, the first in pattern "
                f"{found if numbers is None else numbers[found]}); name a mask that leaves these pixels out, "
                f"or say {word}"
            )


def check_positions(
    positions_px: np.ndarray, n_patterns: int, probe_size: int, name: str, data_name: str, path: str
) -> None:
    """Refuse positions (N, 2) in pixels that cannot belong to ``n_patterns`` patterns.

    Raises
    ------
    DataFileError
        Another shape or number, NaN, all in one place, or too far apart.
    """
    if positions_px.ndim != 2 or positions_px.shape[1] != 2:
        raise DataFileError(f"{path}: '{name}' has shape {positions_px.shape}; expected (positions, 2)")
    if len(positions_px) == 0:
        raise DataFileError(f"{path}: '{name}' holds no positions")
    if len(positions_px) != n_patterns:
        raise DataFileError(
            f"{path}: '{name}' holds {len(positions_px)} positions, '{data_name}' {n_patterns} patterns; "
            "there must be one position for each pattern"
        )
    if not np.isfinite(positions_px).all():
        wrong = int(np.flatnonzero(~np.isfinite(positions_px).all(axis=1))[0])
        raise DataFileError(f"{path}: '{name}' holds NaN or infinite values, the first at position {wrong}")
    span = np.ptp(positions_px, axis=0)
    if not span.any():
        raise DataFileError(
            f"{path}: '{name}' puts all {len(positions_px)} positions in one place; "
            "ptychography needs several that overlap"
        )
    if (span + probe_size > MAX_OBJECT_PX).any():
        raise DataFileError(
            f"{path}: '{name}' spans {span[0]:.4g} x {span[1]:.4g} pixels, an object of more than "
            f"{MAX_OBJECT_PX}; check 'positions_unit' and the wavelength, distance and detector pixel"
        )


def check_pixel(pixel_m: float | None, source: Mapping[str, str], path: str) -> None:
    """Refuse a pixel size that can only come from wrong units.

    Raises
    ------
    DataFileError
        The message names where it comes from, by ``source``, and what is expected.
    """
    if pixel_m is None or PIXEL_RANGE_M[0] <= pixel_m <= PIXEL_RANGE_M[1]:
        return
    used = [f"{name} from '{source[name]}'" for name in ("wavelength", "distance", "detector pixel")
            if name in source]  # fmt: skip
    raise DataFileError(
        f"{path}: the object's pixel comes out as {pixel_m:.3g} m ({', '.join(used) or 'as given'}); "
        f"expected {PIXEL_RANGE_M[0]:g} to {PIXEL_RANGE_M[1]:g} m. Check their units, or give "
        "'wavelength_m' or 'energy_kev', 'distance_m' and 'detector_pixel_m'"
    )


def check_wave(wave: np.ndarray, name: str, path: str) -> None:
    """Refuse a probe or object (rows, columns) with NaN in it, or that is zero everywhere.

    Raises
    ------
    DataFileError
        The message names the file and the array.
    """
    if not np.isfinite(wave).all():
        raise DataFileError(f"{path}: '{name}' holds NaN or infinite values")
    if not wave.any():
        raise DataFileError(f"{path}: '{name}' is zero everywhere")
    if not np.isfinite(power_of(wave)):
        raise DataFileError(f"{path}: '{name}' holds values too large for a wave; the file may be damaged")


def describe(measurement: Measurement) -> dict[str, str]:
    """What a file holds, one line each, for people: sizes, counts, span, geometry, where it came from."""
    patterns, positions = measurement.diffraction_intensity, measurement.scan_positions_px
    totals = patterns.sum(axis=(1, 2), dtype=np.float64)
    span = np.ptp(positions, axis=0)
    rows, columns = measurement.object_shape
    geometry = measurement.geometry
    lines = {
        "patterns": f"{len(patterns)} of {patterns.shape[1]} x {patterns.shape[2]} pixels, {patterns.dtype}",
        "counts per pattern": f"{totals.min():.4g} to {totals.max():.4g}, median {np.median(totals):.4g}",
        "largest count": f"{patterns.max():.6g}",
        "position span": f"{span[0]:.6g} x {span[1]:.6g} pixels (rows x columns)",
        "object": f"at least {rows} x {columns} pixels",
    }
    if "format" in measurement.source:
        lines = {"format": class_of("formats", measurement.source["format"])().describe()} | lines
    if not totals.all():
        lines["empty patterns"] = f"{int((totals == 0).sum())} without a count"
    if measurement.detector_mask is not None:
        bad = int((~measurement.detector_mask).sum())
        lines["masked pixels"] = f"{bad} of {measurement.detector_mask.size}"
    if measurement.probe is not None:
        lines["probe"] = f"power {np.sum(np.abs(measurement.probe) ** 2):.4g}"
    if measurement.probe_modes is not None:
        lines["probe"] += f", of {len(measurement.probe_modes)} modes"
    for name, value in (
        ("pixel", measurement.pixel_m),
        ("wavelength", measurement.wavelength_m),
        ("distance", measurement.distance_m),
        ("detector pixel", geometry.detector_pixel_m if geometry else measurement.detector_pixel_m),
    ):
        lines[name] = "unknown" if value is None else f"{value:.6g} m"
    return lines | {f"source of {name}": where for name, where in measurement.source.items()}
