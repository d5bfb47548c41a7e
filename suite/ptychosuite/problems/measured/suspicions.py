"""What is odd about a measurement, in sentences. Nothing here refuses it: that does ``plausibility``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ptychosuite.problems.measured.frames import median_and_spread
from ptychosuite.problems.measured.listing import ListedArray
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.plausibility import nearest_px

OUTLIER = 10.0  # robust standard deviations of the counts of patterns
HOT = 10.0  # times the brightest of its neighbours
COUNTS_OF_OTHER_SIDE = 20  # which make no count at all a fault, and no chance: exp(-20)
SATURATED_TIMES, SATURATED_COUNTS = 10, 200  # chance hardly makes as many pixels share the largest count
LEAST_OVERLAP = 0.2  # of probes side by side, as a share of their diameter
OFF_CENTRE = 1 / 20  # of a pattern's side
CONTRAST = 1.15  # of the middle of a far-field pattern to its edge, at least
SHOWN = 5  # numbers in a sentence
WORDS = ("dark", "background", "bkg", "flat", "white", "monitor", "intensit", "bad_pixel", "mask", "valid",
         "weight", "probe", "illumination")  # fmt: skip
"""What arrays are called that a measurement may have use for."""
NUMBERS = ("index", "indic", "number", "time")  # and those of one value a pattern that it has none for


@dataclass(frozen=True)
class Seen:
    """A measurement, and what is asked of it several times."""

    measurement: Measurement

    @cached_property
    def totals(self) -> np.ndarray:
        """Counts of each pattern (N,)."""
        return np.asarray(self.measurement.diffraction_intensity.sum(axis=(1, 2), dtype=np.float64))

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean counts (m, m), zero frequency in the middle."""
        return np.fft.fftshift(self.measurement.diffraction_intensity.mean(axis=0, dtype=np.float64))

    @cached_property
    def good(self) -> np.ndarray:
        """Good pixels (m, m), likewise."""
        mask = self.measurement.detector_mask
        return np.ones(self.mean.shape, dtype=bool) if mask is None else np.fft.fftshift(mask)


def suspicions(measurement: Measurement) -> dict[str, str]:
    """What is odd, by what it is about; empty where nothing is."""
    seen = Seen(measurement)
    found = {about: look(seen) for about, look in LOOKS.items()}
    return {about: sentence for about, sentence in found.items() if sentence}


def other_entries(seen: Seen) -> str:
    """Entries of the file beside the one that is read."""
    entries = seen.measurement.source.get("other entries", "")
    return f"there are others: {entries}; 'entry' names the one to read" if entries else ""


def overlap(seen: Seen) -> str:
    """Neighbours that hardly overlap."""
    m, step = seen.measurement.probe_size, nearest_px(seen.measurement.scan_positions_px)
    modes = seen.measurement.modes
    width = m / 2 if modes is None else diameter(modes)
    share = max(0.0, 1 - step / width)
    if share >= LEAST_OVERLAP:
        return ""
    far = f"neighbouring positions are {step:.3g} pixels apart"
    if modes is None:
        return (
            f"{far}, much for a probe that has to fit into half of the {m} pixels of a pattern; check "
            "'positions_unit', wavelength, distance and detector pixel, or is this near field?"
        )
    return f"{far}, the probe is about {width:.3g} wide: they overlap by {share:.0%} of it"


def diameter(modes: np.ndarray) -> float:
    """Pixels across an even disk as large as the amplitude of all modes (M, m, m)."""
    amplitude = np.sqrt(np.sum(np.abs(modes) ** 2, axis=0))
    return float(2 * np.sqrt(amplitude.sum() ** 2 / np.sum(amplitude**2) / np.pi))


def empty_patterns(seen: Seen) -> str:
    """Patterns without a count."""
    empty = np.flatnonzero(seen.totals == 0)
    if not len(empty):
        return ""
    return f"{len(empty)} without a count ({_numbers(empty)}); 'drop_empty: true' leaves them out"


def outliers(seen: Seen) -> str:
    """Patterns that have far more or fewer counts than most."""
    totals = seen.totals
    middle, spread = median_and_spread(totals)
    if spread == 0:
        return ""
    odd = np.flatnonzero((np.abs(totals - middle) > OUTLIER * spread) & (totals > 0))
    if not len(odd):
        return ""
    return (
        f"{len(odd)} have counts in all that are more than {OUTLIER:g} robust standard deviations from the "
        f"median ({_numbers(odd)}); 'drop_outliers: {OUTLIER:g}' leaves them out"
    )


def saturated(seen: Seen) -> str:
    """A largest count that many pixels share."""
    patterns = seen.measurement.diffraction_intensity
    largest = patterns.max()
    times = int(np.count_nonzero(patterns == largest))
    if largest < SATURATED_COUNTS or times < SATURATED_TIMES:
        return ""
    return f"the largest count, {largest:g}, occurs {times} times; full pixels take 'saturation'"


def hot_pixels(seen: Seen) -> str:
    """Pixels that outshine their neighbours in every pattern, away from the beam."""
    around = np.ones((3, 3), dtype=bool)
    around[1, 1] = False
    bright = seen.mean > HOT * ndimage.maximum_filter(seen.mean, footprint=around, mode="nearest")
    m = len(bright)
    bright[m // 2 - 1 : m // 2 + 2, m // 2 - 1 : m // 2 + 2] = False
    places = np.argwhere(bright & seen.good)
    always = [place for place in places if _column(seen, place).min() > 0.5 * seen.mean[tuple(place)]]
    if not always:
        return ""
    return (
        f"{len(always)} outshine their neighbours {HOT:g} times in every pattern, at row and column "
        f"{_pairs(always)} of the window; name a 'mask'"
    )


def dead_pixels(seen: Seen) -> str:
    """Good pixels that never count, where those on the other side of the beam do."""
    if seen.measurement.diffraction_intensity.dtype.kind not in "ui":
        return ""
    m = len(seen.mean)
    mirror = (2 * (m // 2) - np.arange(m)) % m
    other = (seen.mean * len(seen.totals))[np.ix_(mirror, mirror)]
    dead = (seen.mean == 0) & seen.good & (other > COUNTS_OF_OTHER_SIDE)
    if not dead.any():
        return ""
    return (
        f"{int(dead.sum())} never have a count, while those on the other side of the beam have: gaps or dead "
        "pixels, for which there is no mask; name a 'mask'"
    )


def off_centre(seen: Seen) -> str:
    """A beam whose bright part is not in the middle."""
    smooth = ndimage.median_filter(np.where(seen.good, seen.mean, 0), 3)
    bright = np.where(smooth > 0.1 * smooth.max(), smooth, 0)
    m = len(bright)
    if not bright.any() or not _has_middle(seen):
        return ""
    offset = np.array(ndimage.center_of_mass(bright)) - m // 2
    if np.abs(offset).max() <= max(1.5, OFF_CENTRE * m):
        return ""
    return (
        f"the bright part lies {offset[0]:+.1f} rows and {offset[1]:+.1f} columns from the middle of the "
        "window; if that is not the optics, give 'centre_row' and 'centre_column'"
    )


def flat_patterns(seen: Seen) -> str:
    """Patterns without a bright middle: what near-field data look like."""
    if _has_middle(seen):
        return ""
    return (
        "the patterns are hardly brighter in the middle than at the edge, as those of the near field are; a "
        "far-field reconstruction of such means nothing"
    )


def _has_middle(seen: Seen) -> bool:
    m = len(seen.mean)
    middle = np.zeros(seen.mean.shape, dtype=bool)
    middle[m // 4 : m - m // 4, m // 4 : m - m // 4] = True
    brightness = np.log1p(seen.mean / max(float(np.median(seen.mean[seen.mean > 0])), 1e-300))
    parts = [brightness[part & seen.good] for part in (middle, ~middle)]
    if min(map(len, parts)) < m:  # too little is left of the pattern to tell
        return True
    return bool(parts[0].mean() > CONTRAST * parts[1].mean())


LOOKS: Mapping[str, Callable[[Seen], str]] = {
    "entries": other_entries,
    "overlap": overlap,
    "empty patterns": empty_patterns,
    "outlying patterns": outliers,
    "saturation": saturated,
    "hot pixels": hot_pixels,
    "dead pixels": dead_pixels,
    "centre": off_centre,
    "contrast": flat_patterns,
}
"""Each look at a measurement, by what it is about."""


def unused_arrays(arrays: Sequence[ListedArray], n_patterns: int) -> str:
    """Arrays that by their names, or one number a pattern, look as if they were of use."""
    odd = [array.name for array in arrays if array.unused and _may_be_of_use(array, n_patterns)]
    if not odd:
        return ""
    more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
    return (
        f"{', '.join(odd[:SHOWN])}{more} may be of use; 'mask', 'dark', 'flat', 'intensities', 'probe' name "
        "an array"
    )


def _may_be_of_use(array: ListedArray, n_patterns: int) -> bool:
    last = array.name.rsplit("/", 1)[-1].lower()
    if any(word in last for word in NUMBERS):
        return False
    return array.shape == (n_patterns,) or any(word in last for word in WORDS)


def _column(seen: Seen, place: np.ndarray) -> np.ndarray:
    """The counts (N,) of one pixel, whose place is counted from the first corner of the centred window."""
    row, column = (place - len(seen.mean) // 2) % len(seen.mean)
    return np.asarray(seen.measurement.diffraction_intensity[:, row, column])


def _numbers(found: np.ndarray) -> str:
    more = ", ..." if len(found) > SHOWN else ""
    return "number " + ", ".join(map(str, found[:SHOWN])) + more


def _pairs(found: Sequence[np.ndarray]) -> str:
    more = ", ..." if len(found) > SHOWN else ""
    return ", ".join(f"({row}, {column})" for row, column in found[:SHOWN]) + more
