"""Dark and flat images and the light of each pattern, where a file has them: optional, so no obstacles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import Places
from ptychosuite.problems.measured.raw import Raw, as_mask, as_modes, as_wave, is_zero, mask_rule
from ptychosuite.problems.measured.whole import check_whole

BLOCK = 64  # images read at a time
MOST_IMAGES = 100_000  # of which a mean is taken


def take_named(file: Any, raw: Raw, places: Places, *parts: str) -> None:
    """Those of the optional parts that the user has named, of a file whose format has no places for them."""
    parts = parts or ("mask", "dark", "flat", "intensities", "probe", "object")
    takers = {"mask": take_mask, "dark": take_dark, "flat": take_flat, "intensities": take_intensities}
    for part in parts:
        if part in takers:
            takers[part](file, raw, places, ())
        elif name := places.find(file, part, ()):
            raw.source[part] = name
            if part == "probe":
                raw.probe = as_modes(file[name], name, places.path)
            else:
                raw.object_guess = as_wave(file[name], name, places.path)


def take_mask(file: Any, raw: Raw, places: Places, usual: Sequence[str]) -> None:
    """Good pixels, which are those of value 0."""
    mask = places.find(file, "mask", usual)
    if mask:
        rule = mask_rule(places.mask_good, is_zero)
        raw.good = as_mask(file[mask], raw.frame, rule, mask, places.path)
        raw.source["mask"] = mask


def take_dark(file: Any, raw: Raw, places: Places, usual: Sequence[str]) -> None:
    """What the detector counts without a beam; of several images their mean."""
    raw.dark = _image(file, raw, places, "dark", usual)


def take_flat(file: Any, raw: Raw, places: Places, usual: Sequence[str], applied: bool = False) -> None:
    """The response to even light, unless the detector has ``applied`` it and the user names none."""
    flat = _image(file, raw, places, "flat", usual)
    if applied and not places.flat:
        if flat is not None:
            raw.source["flat"] += ", left out: applied already"
        return
    raw.flat = flat


def take_intensities(file: Any, raw: Raw, places: Places, usual: Sequence[str]) -> None:
    """The light of each pattern; left out where there is not one positive number a pattern, or but one."""
    name = places.find(file, "intensities", usual)
    if not name:
        return
    array, n = file[name], raw.stack.n_patterns if raw.stack else file[name].size
    check_whole(array, name, places.path)
    if array.dtype.kind not in "uif":
        wrong = "not numbers"
    elif array.size != n:
        wrong = f"{array.size} values for {n} patterns"
    else:
        values = np.asarray(array, dtype=np.float64).ravel()
        wrong = _fault(values)
        raw.intensities = None if wrong else values
    _tell(raw, places, "intensities", name, wrong)


def _fault(intensities: np.ndarray) -> str:
    if not np.isfinite(intensities).all() or not (intensities > 0).all():
        return "not all above zero"
    return "the same for all patterns" if np.ptp(intensities) == 0 else ""


def _image(file: Any, raw: Raw, places: Places, part: str, usual: Sequence[str]) -> np.ndarray | None:
    name = places.find(file, part, usual)
    if not name:
        return None
    array = file[name]
    check_whole(array, name, places.path)
    if array.dtype.kind not in "uifb" or len(array.shape) < 2 or not array.size:
        wrong = f"{array.dtype} of shape {array.shape}"
    elif math.prod(array.shape[:-2]) > MOST_IMAGES:
        wrong = f"{math.prod(array.shape[:-2])} images"
    elif raw.frame and array.shape[-2:] != raw.frame:
        wrong = f"shape {array.shape}, the patterns have {raw.frame}"
    else:
        wrong = ""
    _tell(raw, places, part, name, wrong)
    return None if wrong else _mean(array)


def _tell(raw: Raw, places: Places, part: str, name: str, wrong: str) -> None:
    """Where a part is from, or why it is left out; what the user has named himself is refused instead."""
    if wrong and getattr(places, part):
        raise DataFileError(f"{places.path}: '{name}' cannot be used as '{part}': {wrong}")
    raw.source[part] = f"{name}, left out: {wrong}" if wrong else name


def _mean(array: Any) -> np.ndarray:
    """Mean over all axes but the last two, a block at a time."""
    if len(array.shape) == 2:
        return np.asarray(array[()], dtype=np.float64)
    total = np.zeros(array.shape[-2:])
    for first in range(0, array.shape[0], BLOCK):
        block = np.asarray(array[first : first + BLOCK], dtype=np.float64)
        total += block.reshape(-1, *total.shape).sum(axis=0)
    return total / math.prod(array.shape[:-2])
