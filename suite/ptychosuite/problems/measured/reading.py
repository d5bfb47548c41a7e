"""From a file's own conventions to the suite's: which pixels, which way round, in which units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ptychosuite.core.patterns import Recorder, allocate, narrowest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.assembly import described
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.frames import chosen_frames
from ptychosuite.problems.measured.geometry import (
    in_pixels,
    object_pixels,
    override_geometry,
    positions_of,
)
from ptychosuite.problems.measured.measurement import (
    Measurement,
    check,
    check_pixel,
    check_positions,
    object_shape,
)
from ptychosuite.problems.measured.pixels import Correction
from ptychosuite.problems.measured.plausibility import doubts, refuse_implausible
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.waves import strongest_and_all
from ptychosuite.problems.measured.whole import check_memory
from ptychosuite.problems.measured.window import Window, fit_probe, is_corner, window
from ptychosuite.problems.problem_kind import Size


@dataclass(frozen=True)
class Reading:
    """All that is known of a measurement before its patterns are read."""

    window: Window
    corner: bool
    chosen: np.ndarray  # (N,) bool: which patterns of the file are taken
    positions_px: np.ndarray  # (N, 2), of the patterns that are taken
    pixel_m: float | None
    detector_pixel_m: float | None
    source: dict[str, str]


@lru_cache(maxsize=2)
@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what becomes infinite is refused
def measurement(settings: ReadSettings) -> Measurement:
    """Read a file; see ``MeasuredFile.read``."""
    with described(settings) as raw:
        plan = _plan(raw, settings)
        patterns, good, valid = _patterns(raw, plan, settings)
        probe, modes = _probe(raw, plan, settings)
        read = Measurement(
            diffraction_intensity=patterns,
            scan_positions_px=plan.positions_px,
            probe=probe,
            probe_modes=modes,
            detector_mask=good,
            valid_pixels=valid,
            object_guess=_object_guess(raw, plan),
            pixel_m=plan.pixel_m,
            wavelength_m=raw.wavelength_m,
            distance_m=raw.distance_m,
            detector_pixel_m=plan.detector_pixel_m,
            source=plan.source,
        )
    check(read, settings.path)
    for array in (read.diffraction_intensity, read.scan_positions_px, read.probe, read.probe_modes,
                  read.detector_mask, read.valid_pixels, read.object_guess):  # fmt: skip
        if array is not None:
            array.setflags(write=False)
    return read


@lru_cache(maxsize=256)
@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what becomes infinite is refused
def size(settings: ReadSettings) -> Size:
    """Object shape, pattern size and number of positions of a measurement that can be one.

    Raises
    ------
    DataFileError
        As ``measurement`` does, and where a run of it would mean nothing: see ``plausibility``.
    """
    with described(settings) as raw:
        plan = _plan(raw, settings)
        raw.patterns.check_ends(plan.window.rows, plan.window.columns, settings.path)
        refuse_implausible(raw, plan.window, plan.positions_px, plan.chosen, settings)
    pixels = plan.window.size // plan.window.bin
    return Size(object_shape(plan.positions_px, pixels), pixels, len(plan.positions_px))


def doubts_of(settings: ReadSettings) -> dict[str, str]:
    """What a run would refuse of a measurement that can be read, by what it is about."""
    with described(settings) as raw:
        plan = _plan(raw, settings)
        return doubts(raw, plan.window, plan.positions_px, plan.chosen, settings)


def _plan(raw: Raw, settings: ReadSettings) -> Reading:
    """Decide how to read a file."""
    path, source = settings.path, raw.source
    data = source["data"]
    override_geometry(raw, settings)
    corner = _corner(raw, settings)
    centre = None if corner else _centre(raw, settings)
    kept = window(raw.patterns.frame, settings.crop, settings.bin, corner, centre, data, path)
    taken = math.ceil(raw.patterns.n_patterns / settings.every)
    check_memory((taken, kept.size // kept.bin, kept.size // kept.bin), data, path)
    source["zero frequency"] += f"; window of {kept.size} pixels" + (f" around {centre}" if centre else "")
    pixel_m = object_pixels(raw, kept, settings)
    check_pixel(_mean(pixel_m), source, path)
    positions = in_pixels(positions_of(raw, settings), raw, kept, pixel_m, settings)
    check_positions(
        positions, raw.patterns.n_patterns, kept.size // kept.bin, source["positions"], data, path
    )
    chosen = chosen_frames(raw, settings)
    positions = positions[chosen]
    check_positions(positions, len(positions), kept.size // kept.bin, source["positions"], data, path)
    bins = None if raw.detector_pixel_m is None else tuple(kept.bin * p for p in raw.detector_pixel_m)
    positions = positions - positions.min(axis=0)
    return Reading(kept, corner, chosen, positions, _mean(pixel_m), _mean(bins), source)


def _corner(raw: Raw, settings: ReadSettings) -> bool:
    """Whether zero frequency is at [0, 0] in the file; why is left in the source."""
    if settings.zero_frequency != "auto":
        raw.source["zero frequency"] = f"{settings.zero_frequency}, by the settings"
        return settings.zero_frequency == "corner"
    if settings.centre_row is not None or settings.centre_column is not None:
        raw.source["zero frequency"] = "centre, by the settings"
        return False
    seen = is_corner(raw.sample(settings.path), raw.ever_good)
    if seen is not None:
        raw.source["zero frequency"] = f"{'corner' if seen else 'centre'}, where the patterns are bright"
        return seen
    place = raw.convention or "centre"
    raw.source["zero frequency"] = f"{place}, by the format; the patterns do not show it"
    return place == "corner"


def _centre(raw: Raw, settings: ReadSettings) -> tuple[int, int] | None:
    """Pixel of zero frequency where it is not the middle of the frame."""
    rows, columns = raw.patterns.frame
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


def _patterns(
    raw: Raw, plan: Reading, settings: ReadSettings
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Patterns (N, m, m) read, corrected and binned a block at a time, and which of their pixels are good.

    Zero frequency at [0, 0]. Good in all patterns (m, m), and in each (N, m, m), where that differs; None
    where all pixels are.
    """
    correction = Correction.of(raw, plan.window, plan.chosen, settings)
    recorder = Recorder(int(plan.chosen.sum()))
    valid: np.ndarray | None = None
    for block in raw.patterns.blocks(plan.chosen, plan.window.size**2):
        counts = raw.patterns.read(block, plan.window.rows, plan.window.columns, settings.path)
        values, bad = correction.applied(counts, block.of_stack)
        done = recorder.filled
        if bad is not None:
            if valid is None:
                pixels = plan.window.size // plan.window.bin
                valid = allocate((recorder.n_patterns, pixels, pixels), np.dtype(bool))
                valid[:] = True
            valid[done : done + len(bad)] = _turned(plan.window.all_of(~bad), settings)
        whole = values.dtype.kind != "f"
        values = plan.window.binned(values)
        recorder.append(_turned(narrowest(values) if whole else values.astype(np.float32), settings))
    good = correction.good
    if good is not None:
        good = _turned(plan.window.all_of(good[None]), settings)[0]
    return recorder.values, *_told_apart(good, valid, raw, settings)


def _told_apart(
    good: np.ndarray | None, valid: np.ndarray | None, raw: Raw, settings: ReadSettings
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The mask of all patterns, and what is bad in some of them only."""
    if valid is not None:
        ever = np.asarray(valid.any(axis=0))
        raw.source["bad counts"] = f"{int((~valid).sum())} of {valid.size}, by what the patterns hold"
        if not ever.all():
            good = ever if good is None else good & ever
            valid |= ~ever
        if valid.all():
            valid = None
    if good is not None and not good.any():
        name, what = raw.source["data"], "'saturation', or 'negative'"
        if raw.good is not None:
            name = raw.source["mask"]
            what = "'mask_good: zero' or 'mask_good: nonzero', the value of a good pixel"
        raise DataFileError(f"{settings.path}: '{name}' leaves no good pixel; give {what}")
    return good, valid


def _turned(block: np.ndarray, settings: ReadSettings) -> np.ndarray:
    """A block (n, m, m) with zero frequency at [0, 0], rows and columns as the settings say."""
    return np.fft.ifftshift(np.swapaxes(block, 1, 2) if settings.transpose else block, axes=(1, 2))


def _probe(
    raw: Raw, plan: Reading, settings: ReadSettings
) -> tuple[np.ndarray, np.ndarray | None] | tuple[None, None]:
    if raw.probe is None:
        return None, None
    frame, modes = raw.patterns.frame, raw.probe.reshape(-1, *raw.probe.shape[-2:])
    square = frame[0] if frame[0] == frame[1] else 0
    fitted = [fit_probe(mode, square, plan.window) for mode in modes]
    if any(mode is None for mode in fitted):
        raise DataFileError(
            f"{settings.path}: '{raw.source['probe']}' has shape {raw.probe.shape}; expected the "
            f"patterns' {frame}, or {plan.window.size // plan.window.bin} on a side"
        )
    return strongest_and_all(np.stack(fitted))  # type: ignore[arg-type]  # none is None


def _object_guess(raw: Raw, plan: Reading) -> np.ndarray | None:
    """The file's object, where it is on the grid of the patterns as they are read."""
    if raw.object_guess is None:
        return None
    needed = object_shape(plan.positions_px, plan.window.size // plan.window.bin)
    if plan.window.size != raw.patterns.frame[0] or np.less(raw.object_guess.shape, needed).any():
        plan.source["object"] += ", left out: on another grid"
        return None
    return raw.object_guess


def _mean(values: tuple[float, ...] | None) -> float | None:
    return None if values is None else math.sqrt(values[0] * values[-1])
