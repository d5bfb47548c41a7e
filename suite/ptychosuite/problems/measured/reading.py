"""From a file's own conventions to the suite's: which pixels, which way round, in which units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ptychosuite.core.patterns import Recorder, narrowest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.files import check_unchanged
from ptychosuite.problems.measured.format import ReadSettings, format_of
from ptychosuite.problems.measured.measurement import (
    Measurement,
    check,
    check_counts,
    check_pixel,
    check_positions,
    object_shape,
)
from ptychosuite.problems.measured.pattern_stack import Part
from ptychosuite.problems.measured.raw import ENERGY_J, PIXELS, Raw, length_factor, wavelength_of_energy
from ptychosuite.problems.measured.source import DAMAGED, Source
from ptychosuite.problems.measured.window import Window, fit_probe, is_corner, window
from ptychosuite.problems.problem_kind import Size

SAMPLE = 8  # patterns that decide where zero frequency is


@dataclass(frozen=True)
class Reading:
    """All that is known of a measurement before its patterns are read."""

    window: Window
    corner: bool
    positions_px: np.ndarray  # (N, 2), of the patterns that are taken
    pixel_m: float | None
    detector_pixel_m: float | None
    source: dict[str, str]


@lru_cache(maxsize=2)
def measurement(settings: ReadSettings) -> Measurement:
    """Read a file; see ``MeasuredFile.read``."""
    with described(settings) as raw:
        plan = _plan(raw, settings)
        patterns = _patterns(raw, plan, settings)
        read = Measurement(
            diffraction_intensity=patterns,
            scan_positions_px=plan.positions_px,
            probe=_probe(raw, plan, settings),
            detector_mask=_mask(raw, plan, settings),
            object_guess=_object_guess(raw, plan),
            pixel_m=plan.pixel_m,
            wavelength_m=raw.wavelength_m,
            distance_m=raw.distance_m,
            detector_pixel_m=plan.detector_pixel_m,
            source=plan.source,
        )
    check(read, settings.path)
    for array in (read.diffraction_intensity, read.scan_positions_px, read.probe, read.detector_mask,
                  read.object_guess):  # fmt: skip
        if array is not None:
            array.setflags(write=False)
    return read


@lru_cache(maxsize=256)
def size(settings: ReadSettings) -> Size:
    """Object shape, pattern size and number of positions; see ``MeasuredFile.size``."""
    with described(settings) as raw:
        plan = _plan(raw, settings, look=raw.centre is not None)
    pixels = plan.window.size // plan.window.bin
    return Size(object_shape(plan.positions_px, pixels), pixels, len(plan.positions_px))


@contextmanager
def described(settings: ReadSettings) -> Iterator[Raw]:
    """The file described by its format, open for as long as its patterns are wanted."""
    path = settings.path
    check_unchanged(path, settings.path_sha256)
    with Source(path) as source:
        name, chosen = format_of(source, settings.format)
        try:
            raw = chosen.read(source, settings.places)
        except DAMAGED as error:
            raise DataFileError(
                f"{path} cannot be read as '{name}' ({error}); the file is damaged, or give another 'format'"
            ) from error
        raw.source = {"format": name, "data": raw.stack.name, "positions": "positions"} | raw.source
        for what, held in (("mask", raw.good), ("probe", raw.probe), ("object", raw.object_guess)):
            if held is not None:
                raw.source.setdefault(what, what)
        yield raw


def _plan(raw: Raw, settings: ReadSettings, look: bool = True) -> Reading:
    """Decide how to read a file; without a ``look`` at its patterns, only sizes and positions count."""
    path, source = settings.path, raw.source
    data = source["data"]
    _override_geometry(raw, settings)
    corner = _corner(raw, settings, look)
    centre = None if corner else _centre(raw, settings)
    kept = window(raw.stack.frame, settings.crop, settings.bin, corner, centre, data, path)
    source["zero frequency"] += f"; window of {kept.size} pixels" + (f" around {centre}" if centre else "")
    pixels = _object_pixels(raw, kept, settings)
    check_pixel(_mean(pixels), source, path)
    positions = _in_pixels(raw, kept, pixels, settings)
    check_positions(positions, raw.stack.n_patterns, kept.size // kept.bin, source["positions"], data, path)
    positions = positions[:: settings.every]
    check_positions(positions, len(positions), kept.size // kept.bin, source["positions"], data, path)
    bins = None if raw.detector_pixel_m is None else tuple(kept.bin * p for p in raw.detector_pixel_m)
    return Reading(kept, corner, positions - positions.min(axis=0), _mean(pixels), _mean(bins), source)


def _override_geometry(raw: Raw, settings: ReadSettings) -> None:
    """The user's wavelength, distance and detector pixel over the file's."""
    given = "the settings"
    if settings.wavelength_m and settings.energy_kev:
        raise DataFileError(f"{settings.path}: both 'wavelength_m' and 'energy_kev' are given; give one")
    if settings.energy_kev:
        raw.wavelength_m = wavelength_of_energy(settings.energy_kev * ENERGY_J["kev"])
    raw.wavelength_m = settings.wavelength_m or raw.wavelength_m
    raw.distance_m = settings.distance_m or raw.distance_m
    if settings.detector_pixel_m:
        raw.detector_pixel_m = (settings.detector_pixel_m, settings.detector_pixel_m)
    for name, value in (
        ("wavelength", settings.wavelength_m or settings.energy_kev),
        ("distance", settings.distance_m),
        ("detector pixel", settings.detector_pixel_m),
    ):
        if value:
            raw.source[name] = given


def _corner(raw: Raw, settings: ReadSettings, look: bool) -> bool:
    """Whether zero frequency is at [0, 0] in the file; why is left in the source."""
    if settings.zero_frequency != "auto":
        raw.source["zero frequency"] = f"{settings.zero_frequency}, by the settings"
        return settings.zero_frequency == "corner"
    if settings.centre_row is not None or settings.centre_column is not None:
        raw.source["zero frequency"] = "centre, by the settings"
        return False
    seen = is_corner(raw.stack.sample(SAMPLE, settings.path), raw.good) if look else None
    if seen is not None:
        raw.source["zero frequency"] = f"{'corner' if seen else 'centre'}, where the patterns are bright"
        return seen
    place = raw.convention or "centre"
    raw.source["zero frequency"] = f"{place}, by the format; the patterns do not show it"
    return place == "corner"


def _centre(raw: Raw, settings: ReadSettings) -> tuple[int, int] | None:
    """Pixel of zero frequency where it is not the middle of the frame."""
    rows, columns = raw.stack.frame
    row, column = rows // 2, columns // 2
    if raw.centre is not None and settings.zero_frequency == "auto":
        row, column = (math.floor(value + 0.5) for value in raw.centre)
    row = row if settings.centre_row is None else settings.centre_row
    column = column if settings.centre_column is None else settings.centre_column
    if not (0 < row < rows and 0 < column < columns):
        raise DataFileError(
            f"{settings.path}: '{raw.source['data']}' holds patterns of {rows} x {columns} pixels, their "
            f"centre cannot be at ({row}, {column}); give 'centre_row' and 'centre_column', or "
            "'zero_frequency: centre'"
        )
    return None if (row, column) == (rows // 2, columns // 2) else (row, column)


def _object_pixels(raw: Raw, kept: Window, settings: ReadSettings) -> tuple[float, float] | None:
    """Height and width in metres of a pixel of the object: wavelength * distance / window on the detector.

    Binning leaves it as it is: fewer pixels, each larger by the same factor.
    """
    if raw.wavelength_m is None or raw.distance_m is None or raw.detector_pixel_m is None:
        return None
    height, width = (raw.wavelength_m * raw.distance_m / (kept.size * p) for p in raw.detector_pixel_m)
    return (width, height) if settings.transpose else (height, width)


def _in_pixels(
    raw: Raw, kept: Window, pixels: tuple[float, float] | None, settings: ReadSettings
) -> np.ndarray:
    """Positions (N, 2) in pixels of the object as (row, column), not yet shifted to begin at zero."""
    path, name = settings.path, raw.source["positions"]
    positions = raw.positions[:, ::-1] if settings.columns == "column-row" else raw.positions
    positions = positions * np.where([settings.flip_rows, settings.flip_columns], -1.0, 1.0)
    unit = raw.positions_unit if settings.positions_unit == "auto" else settings.positions_unit
    raw.source["positions unit"] = unit
    if not unit:
        # A scan of less than a pixel makes no sense in pixels, one of more than a metre none in metres.
        known = positions[np.isfinite(positions).all(axis=1)]
        span = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
        unit = "m" if 0 < span < 1 else "px"
        raw.source["positions unit"] = f"{unit}, guessed from a span of {span:.3g}"
    if unit.lower() in PIXELS:
        # The file's pixels belong to its whole patterns; a smaller window has larger ones.
        rows, columns = raw.stack.frame[::-1] if settings.transpose else raw.stack.frame
        return positions * [kept.size / rows, kept.size / columns]
    if pixels is None:
        lacking = [setting for setting, value in (
            ("'wavelength_m' or 'energy_kev'", raw.wavelength_m), ("'distance_m'", raw.distance_m),
            ("'detector_pixel_m'", raw.detector_pixel_m)) if value is None]  # fmt: skip
        raise DataFileError(
            f"{path}: '{name}' is in {unit}, which takes the geometry to turn into pixels; "
            f"give {', '.join(lacking)}, or 'positions_unit: px'"
        )
    return positions * length_factor(unit, name, path) / np.array(pixels)


def _patterns(raw: Raw, plan: Reading, settings: ReadSettings) -> np.ndarray:
    """Patterns (N, m, m) with zero frequency at [0, 0], read, masked and binned a block at a time."""
    good = None if raw.good is None else plan.window.cut(raw.good)
    blocks = list(raw.stack.blocks(settings.every, plan.window.size**2))
    recorder = Recorder(sum(len(numbers) for _, _, numbers in blocks))
    for first, part, numbers in blocks:
        recorder.append(_block(raw, plan, settings, good, first, part, numbers))
    return recorder.values


def _block(
    raw: Raw,
    plan: Reading,
    settings: ReadSettings,
    good: np.ndarray | None,
    first: int,
    part: Part,
    numbers: range,
) -> np.ndarray:
    kept, name = plan.window, raw.source["data"]
    block = raw.stack.read(part, numbers, kept.rows, kept.columns, settings.path)
    if good is not None:
        block = np.where(good, block, block.dtype.type(0))
    if settings.negative == "zero":
        block = np.where(block < 0, block.dtype.type(0), block)
    check_counts(block, name, settings.path, first)
    whole = block.dtype.kind != "f" and settings.counts == "intensity"
    if settings.counts == "amplitude":
        block = np.square(block, dtype=np.float64)
    block = kept.binned(block)
    block = narrowest(block) if whole else block.astype(np.float32)
    if settings.transpose:
        block = np.swapaxes(block, 1, 2)
    return np.fft.ifftshift(block, axes=(1, 2))


def _mask(raw: Raw, plan: Reading, settings: ReadSettings) -> np.ndarray | None:
    """Good pixels (m, m); a bin with one bad pixel is bad."""
    if raw.good is None:
        return None
    m, b = plan.window.size // plan.window.bin, plan.window.bin
    good = plan.window.cut(raw.good).reshape(m, b, m, b).all(axis=(1, 3))
    if not good.any():
        raise DataFileError(
            f"{settings.path}: '{raw.source['mask']}' leaves no good pixel; give 'mask_good: zero' or "
            "'mask_good: nonzero', the value of a good pixel"
        )
    return np.fft.ifftshift(good.T if settings.transpose else good)


def _probe(raw: Raw, plan: Reading, settings: ReadSettings) -> np.ndarray | None:
    if raw.probe is None:
        return None
    frame = raw.stack.frame
    fitted = fit_probe(raw.probe, frame[0] if frame[0] == frame[1] else 0, plan.window)
    if fitted is None:
        raise DataFileError(
            f"{settings.path}: '{raw.source['probe']}' has shape {raw.probe.shape}; expected the "
            f"patterns' {frame}, or {plan.window.size // plan.window.bin} on a side"
        )
    return fitted


def _object_guess(raw: Raw, plan: Reading) -> np.ndarray | None:
    """The file's object, where it is on the grid of the patterns as they are read."""
    if raw.object_guess is None:
        return None
    needed = object_shape(plan.positions_px, plan.window.size // plan.window.bin)
    if plan.window.size != raw.stack.frame[0] or np.less(raw.object_guess.shape, needed).any():
        plan.source["object"] += ", left out: on another grid"
        return None
    return raw.object_guess


def _mean(values: tuple[float, ...] | None) -> float | None:
    return None if values is None else math.sqrt(values[0] * values[-1])
