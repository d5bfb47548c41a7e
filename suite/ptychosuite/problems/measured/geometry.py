"""From lengths to pixels: the pixel of the object, and positions on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.raw import Pair, Raw
from ptychosuite.problems.measured.units import (
    KEV_J,
    is_pixels,
    length_factor,
    wavelength_of_electrons,
    wavelength_of_energy,
)
from ptychosuite.problems.measured.window import Window

GIVEN = "the settings"


def override_geometry(raw: Raw, settings: ReadSettings) -> None:
    """The user's wavelength, distance and detector pixel over the file's.

    Raises
    ------
    DataFileError
        Two of them say the same, or an energy of photons is given for electrons.
    """
    _wavelength(raw, settings)
    if settings.distance_m:
        raw.distance_m, raw.source["distance"] = settings.distance_m, GIVEN
    pixels = {name: value for name in ("detector_pixel_m", "detector_pixel_mrad",
              "detector_pixel_per_angstrom") if (value := getattr(settings, name))}  # fmt: skip
    _only_one(pixels, settings.path)
    for name, value in pixels.items():
        raw.detector_pixel_m = raw.angular_pixel_rad = raw.reciprocal_pixel_per_m = raw.object_pixel_m = None
        raw.source["detector pixel"] = GIVEN
        if name == "detector_pixel_m":
            raw.detector_pixel_m = (value, value)
        elif name == "detector_pixel_mrad":
            raw.angular_pixel_rad = (value * 1e-3, value * 1e-3)
        else:
            raw.reciprocal_pixel_per_m = (value * 1e10, value * 1e10)


def _wavelength(raw: Raw, settings: ReadSettings) -> None:
    given = {name: value for name in ("wavelength_m", "energy_kev", "accelerating_voltage_kv")
             if (value := getattr(settings, name))}  # fmt: skip
    _only_one(given, settings.path)
    if settings.energy_kev:
        if raw.radiation == "electrons":
            raise DataFileError(
                f"{settings.path}: 'energy_kev' is that of photons, and the file's beam is of electrons; "
                "give 'accelerating_voltage_kv'"
            )
        raw.wavelength_m = wavelength_of_energy(settings.energy_kev * KEV_J)
    elif settings.accelerating_voltage_kv:
        raw.wavelength_m = wavelength_of_electrons(settings.accelerating_voltage_kv * 1e3)
    elif settings.wavelength_m:
        raw.wavelength_m = settings.wavelength_m
    if given:
        raw.source["wavelength"] = GIVEN


def _only_one(given: dict[str, float], path: str) -> None:
    if len(given) > 1:
        words = " and ".join(f"'{name}'" for name in given)
        raise DataFileError(f"{path}: {words} are given, which say the same; give one")


def object_pixels(raw: Raw, kept: Window, settings: ReadSettings) -> Pair | None:
    """Height and width in metres of a pixel of the object: 1 / (window x pixel as a spatial frequency).

    Binning leaves it as it is: fewer pixels, each larger by the same factor.
    """
    frequencies = _reciprocal_pixel(raw)
    if frequencies is None:
        return None
    height, width = (1 / (kept.size * q) for q in frequencies)
    return (width, height) if settings.transpose else (height, width)


def _reciprocal_pixel(raw: Raw) -> Pair | None:
    """The detector's pixel as a spatial frequency in 1/m, in the small-angle approximation."""
    if None not in (raw.wavelength_m, raw.distance_m, raw.detector_pixel_m):
        path_m = raw.wavelength_m * raw.distance_m  # type: ignore[operator]
        return tuple(pixel / path_m for pixel in raw.detector_pixel_m)  # type: ignore
    if raw.reciprocal_pixel_per_m is not None:
        return raw.reciprocal_pixel_per_m
    if raw.angular_pixel_rad is not None and raw.wavelength_m is not None:
        return raw.angular_pixel_rad[0] / raw.wavelength_m, raw.angular_pixel_rad[1] / raw.wavelength_m
    if raw.object_pixel_m is not None and raw.frame is not None:
        return 1 / (raw.frame[0] * raw.object_pixel_m[0]), 1 / (raw.frame[1] * raw.object_pixel_m[1])
    return None


def positions_of(raw: Raw, settings: ReadSettings) -> np.ndarray:
    """Positions (N, 2) as (row, column) in their own unit, turned as the settings say.

    Raises
    ------
    DataFileError
        There are none, and no raster is given.
    """
    if settings.scan_step is not None:
        positions = _raster(raw, settings)
    elif raw.positions is None:
        raise DataFileError(
            f"{settings.path} holds no positions; name them with 'positions', or give a raster: 'scan_shape' "
            "and 'scan_step'"
        )
    else:
        positions = raw.positions
    positions = positions[:, ::-1] if settings.columns == "column-row" else positions
    positions = positions * np.where([settings.flip_rows, settings.flip_columns], -1.0, 1.0)
    if settings.rotation_deg:
        angle = math.radians(settings.rotation_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        positions = positions @ turn.T
    if settings.affine:
        if len(settings.affine) != 4:
            raise DataFileError(f"{settings.path}: 'affine' has {len(settings.affine)} numbers; expected 4")
        positions = positions @ np.reshape(settings.affine, (2, 2)).T
    return positions


def _raster(raw: Raw, settings: ReadSettings) -> np.ndarray:
    """The positions of ``scan_shape`` and ``scan_step``, columns fast."""
    shape, step = _pair(settings.scan_shape or raw.patterns.scan_shape), _pair(settings.scan_step)
    if shape is None or step is None or not step.all():
        raise DataFileError(
            f"{settings.path}: a raster takes 'scan_shape: [rows, columns]' and 'scan_step', one number or "
            "two, not zero"
        )
    raw.positions_unit = ""
    raw.source["positions"] = f"a raster of {shape[0]:g} x {shape[1]:g}, by the settings"
    grid = np.stack(np.meshgrid(*(np.arange(int(n)) for n in shape), indexing="ij"), axis=-1)
    return np.asarray(grid.reshape(-1, 2) * step)


def _pair(given: Sequence[float] | float | None) -> np.ndarray | None:
    values = np.ravel(np.asarray(given, dtype=float)) if given is not None else np.zeros(0)
    return np.broadcast_to(values, 2) if len(values) in (1, 2) else None


def in_pixels(
    positions: np.ndarray, raw: Raw, kept: Window, pixels: Pair | None, settings: ReadSettings
) -> np.ndarray:
    """Positions (N, 2) in pixels of the object, not yet shifted to begin at zero.

    Raises
    ------
    DataFileError
        Their unit takes a geometry that is not known.
    """
    path, name = settings.path, raw.source["positions"]
    unit = raw.positions_unit if settings.positions_unit == "auto" else settings.positions_unit
    raw.source["positions unit"] = unit
    if not unit:
        # A scan of less than a pixel makes no sense in pixels, one of more than a metre none in metres.
        known = positions[np.isfinite(positions).all(axis=1)]
        span = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
        unit = "m" if 0 < span < 1 else "px"
        raw.source["positions unit"] = f"{unit}, {GUESSED} from a span of {span:.3g}"
    if is_pixels(unit):
        # The file's pixels belong to its whole patterns; a smaller window has larger ones.
        frame = raw.stack.frame if raw.stack is not None else (kept.size, kept.size)
        rows, columns = frame[::-1] if settings.transpose else frame
        return positions * [kept.size / rows, kept.size / columns]
    if pixels is None:
        raise DataFileError(
            f"{path}: '{name}' is in {unit}, which takes the geometry to turn into pixels; "
            f"give {', '.join(_lacking(raw))}, or 'positions_unit: px'"
        )
    return positions * length_factor(unit, name, path) / np.array(pixels)


GUESSED = "guessed"


def _lacking(raw: Raw) -> list[str]:
    """The settings that the pixel of the object takes, and the file has not."""
    electrons = raw.radiation == "electrons"
    wavelength = "'accelerating_voltage_kv'" if electrons else "'wavelength_m' or 'energy_kev'"
    if raw.angular_pixel_rad is not None:
        return [wavelength]
    if electrons and raw.detector_pixel_m is None:
        return ["'detector_pixel_per_angstrom', or 'detector_pixel_mrad' and " + wavelength]
    found = {wavelength: raw.wavelength_m, "'distance_m'": raw.distance_m,
             "'detector_pixel_m'": raw.detector_pixel_m}  # fmt: skip
    return [setting for setting, value in found.items() if value is None]
