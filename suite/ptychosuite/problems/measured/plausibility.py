"""What a measurement must be for a reconstruction to mean anything: refused for runs, shown by ``show``."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import h5py
import numpy as np
from scipy.spatial import cKDTree

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.file_arrays import MatlabArray
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.geometry import GUESSED
from ptychosuite.problems.measured.pattern_stack import Part
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.shadows import PAIRS, neighbours, shadow_of
from ptychosuite.problems.measured.window import Window

LEAST_GOOD = 0.5  # share of the pixels, and of the light, of which a mask has to leave one
WIDEST = 1.5  # beam over field of view; its width is roughly known, and a little wider is aliased, no more


def refuse_implausible(
    raw: Raw, kept: Window, positions_px: np.ndarray, chosen: np.ndarray, settings: ReadSettings
) -> None:
    """Refuse what cannot be a measurement as it was read.

    Parameters
    ----------
    positions_px
        (n, 2), of the patterns that are taken.
    chosen
        (N,) bool: which patterns of the file these are.

    Raises
    ------
    DataFileError
        Part of the patterns was never written, the unit of the positions was guessed, the scan is smaller
        than a pixel, no two patterns overlap, the mask rejects most of the light, or the patterns are of the
        near field.
    """
    for check in _checks(raw, kept, positions_px, chosen, settings).values():
        check()


def doubts(
    raw: Raw, kept: Window, positions_px: np.ndarray, chosen: np.ndarray, settings: ReadSettings
) -> dict[str, str]:
    """As :func:`refuse_implausible`: its messages without the path, by what they are about."""
    found = {}
    for about, check in _checks(raw, kept, positions_px, chosen, settings).items():
        try:
            check()
        except DataFileError as error:
            found[about] = str(error).removeprefix(f"{settings.path}: ")
    return found


def _checks(
    raw: Raw, kept: Window, positions_px: np.ndarray, chosen: np.ndarray, settings: ReadSettings
) -> dict[str, Callable[[], None]]:
    """What is looked at, by what it is about; a user's word spares a look."""
    path, size = settings.path, kept.size // kept.bin
    checks: dict[str, Callable[[], None]] = {
        "positions unit": partial(_refuse_guess, raw, path),
        "scan": partial(_refuse_span, positions_px, size, raw, path),
    }
    if not settings.drop_empty:
        checks["patterns"] = partial(_refuse_unwritten, raw, chosen, path)
    if settings.mask_good == "auto":
        checks["mask"] = partial(_refuse_mask, raw, kept, path)
    if settings.propagation != "far":
        checks["near field"] = partial(_refuse_near_field, raw, kept, positions_px, chosen, path)
    return checks


def _refuse_guess(raw: Raw, path: str) -> None:
    unit, is_guess, how = raw.source["positions unit"].partition(f", {GUESSED}")
    if is_guess:
        raise DataFileError(
            f"{path}: '{raw.source['positions']}' has no unit, and what is guessed{how} is not enough to go "
            f"by; say 'positions_unit: {unit}' if that is right"
        )


def _refuse_unwritten(raw: Raw, chosen: np.ndarray, path: str) -> None:
    """Patterns of a dataset that was declared, and was filled in part only, as when a scan is interrupted."""
    before = 0
    for part in raw.patterns.parts:
        taken = np.flatnonzero(chosen[before : before + part.n_patterns])
        before += part.n_patterns
        missing = taken[~_written(part)[taken]]
        if len(missing):
            raise DataFileError(
                f"{path}: {len(missing)} of the {len(taken)} patterns of '{raw.source['data']}' were never "
                f"written, the first is {missing[0]}, and would read as zeros; was the scan interrupted? Say "
                "'drop_empty: on', or the 'last' pattern"
            )


def _written(part: Part) -> np.ndarray:
    """Whether anything was written of each pattern of a part; all, where the file cannot tell."""
    written = np.ones(part.n_patterns, dtype=bool)
    stored = getattr(part.array, "dataset", part.array)
    if not isinstance(stored, h5py.Dataset) or not stored.chunks or stored.is_virtual:
        return written
    pieces = math.prod(-(-n // c) for n, c in zip(stored.shape, stored.chunks, strict=True))
    if stored.id.get_num_chunks() >= pieces or isinstance(part.array, MatlabArray):
        return written
    written[:] = False
    by_line = written.reshape(-1, part.inner)

    def mark(chunk: Any) -> None:
        first = chunk.chunk_offset[part.axes[0]]
        lines = slice(None)
        if part.outer is not None:
            line = chunk.chunk_offset[part.outer]
            lines = slice(line, line + stored.chunks[part.outer])
        by_line[lines, first : first + stored.chunks[part.axes[0]]] = True

    stored.id.chunk_iter(mark)
    return written


def _refuse_span(positions_px: np.ndarray, size: int, raw: Raw, path: str) -> None:
    name, unit = raw.source["positions"], raw.source["positions unit"]
    span, apart = np.ptp(positions_px, axis=0), nearest_px(positions_px)
    if (span < 1).all():
        raise DataFileError(
            f"{path}: '{name}' spans {span[0]:.3g} x {span[1]:.3g} pixels of the object, less than one. Is "
            f"'{unit}' its unit? 'positions_unit' says another"
        )
    if apart >= size:
        raise DataFileError(
            f"{path}: '{name}' puts neighbouring patterns {apart:.4g} pixels apart, and a pattern is {size} "
            f"pixels wide: none overlap. Check 'positions_unit' ('{unit}'), the wavelength, distance and "
            "detector pixel; a scan in the near field cannot be reconstructed here"
        )


def nearest_px(positions_px: np.ndarray) -> float:
    """How far the nearest other of positions (n, 2) is, in the median; those in one place count as one."""
    places = np.unique(positions_px, axis=0)
    return float(np.median(cKDTree(places).query(places, k=2)[0][:, 1])) if len(places) > 1 else 0.0


def _refuse_mask(raw: Raw, kept: Window, path: str) -> None:
    if raw.ever_good is None:
        return
    good = kept.cut(raw.ever_good)
    light = np.median([kept.cut(each) for each in raw.sample(path)], axis=0)
    light = np.maximum(np.nan_to_num(light.astype(np.float64), posinf=0.0), 0.0)
    left = float(light[good].sum() / light.sum()) if light.any() else 1.0
    if good.mean() < LEAST_GOOD and left < LEAST_GOOD:
        raise DataFileError(
            f"{path}: '{raw.source['mask']}' leaves {good.mean():.0%} of the pixels and {left:.0%} of the "
            "light; say 'mask_good: zero' or 'mask_good: nonzero', the value of a good pixel, or 'mask: none'"
        )


def _refuse_near_field(
    raw: Raw, kept: Window, positions_px: np.ndarray, chosen: np.ndarray, path: str
) -> None:
    words = "A far-field reconstruction would mean nothing; 'propagation: far' asks for it all the same"
    if raw.propagation == "near":
        raise DataFileError(f"{path}: its patterns are of the near field, the file says. {words}")
    pairs = neighbours(positions_px, PAIRS)
    wanted = np.unique(pairs)
    taken = np.zeros_like(chosen)
    taken[np.flatnonzero(chosen)[wanted]] = True
    pixels = kept.size**2
    patterns = np.concatenate([
        kept.binned(raw.patterns.read(block, kept.rows, kept.columns, path))
        for block in raw.patterns.blocks(taken, pixels)
    ])  # fmt: skip
    good = None if raw.ever_good is None else kept.all_of(kept.cut(raw.ever_good)[None])[0]
    shadow = shadow_of(patterns, positions_px[wanted], np.searchsorted(wanted, pairs), good)
    size = kept.size // kept.bin
    if shadow is not None and shadow.beam_px > WIDEST * size:
        raise DataFileError(
            f"{path}: its patterns are shadows that move with the sample, {shadow.px_per_px:.2g} pixels for "
            f"one of the object, so that the beam is about {shadow.beam_px:.0f} of the object's pixels wide, "
            f"and a pattern {size}: they are of the near field, or the geometry is wrong. {words}"
        )
