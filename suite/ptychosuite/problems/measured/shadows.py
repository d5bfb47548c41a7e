"""Near-field patterns told from those of the far field: they are shadows that move with the sample.

A far-field pattern stays where it is while the sample moves, but for a defocused beam, whose patterns are
shadows as well, enlarged so far that the beam fits into the field of view. The shift of the shadow from one
position to a neighbouring one, per step, is the scale of the beam on the detector to that on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.spatial import cKDTree

PAIRS = 32  # of neighbouring patterns that are compared
NEIGHBOURS = 4
LIT = 0.05  # share of the brightest mean intensity below which there is too little light to compare
LEAST_PEAK = 0.2  # correlation at the best shift
LEAST_FIT = 0.95  # share of the shifts' square that the steps of the scan explain, in the median

LEAST_SHIFT_PX = 3.0  # in the median; less may be the rounding to whole pixels


@dataclass(frozen=True)
class Shadow:
    """How shadows move, and what follows from it."""

    px_per_px: float  # detector pixels for one of the object
    beam_px: float  # width of the beam on the object, in its pixels


def neighbours(positions_px: np.ndarray, number: int) -> np.ndarray:
    """Pairs (p, 2) of different positions (n, 2) next to one another, over the scan, at most ``number``."""
    k = min(NEIGHBOURS + 1, len(positions_px))
    apart, other = cKDTree(positions_px).query(positions_px, k=k)
    first = np.repeat(np.arange(len(positions_px)), k).reshape(-1, k)
    pairs = np.stack([first, other], axis=2)[(first < other) & (apart > 0)]
    return pairs[:: max(1, -(-len(pairs) // number))]


def shadow_of(
    patterns: np.ndarray, positions_px: np.ndarray, pairs: np.ndarray, good: np.ndarray | None
) -> Shadow | None:
    """How the shadows in patterns (n, m, m) move, zero frequency in the middle; None where they do not.

    The patterns over their mean are correlated in ``pairs`` (p, 2), and the shifts fitted by a linear map of
    the steps between their ``positions_px`` (n, 2). ``good`` pixels are (m, m).
    """
    counts = np.nan_to_num(np.asarray(patterns, dtype=np.float64), posinf=0.0, neginf=0.0)
    mean = counts.mean(axis=0)
    lit = mean > LIT * np.quantile(mean, 0.99)
    if good is not None:
        lit &= good
    if len(pairs) < 3 or not lit.any():
        return None
    changes = np.where(lit, counts / np.where(lit, mean, 1.0) - 1, 0.0)
    spectra = scipy.fft.rfft2(changes)
    norms = np.sqrt(np.sum(changes**2, axis=(1, 2))) + 1e-12
    size = counts.shape[-1]
    shifts, peaks = [], []
    for a, b in pairs:
        match = scipy.fft.irfft2(spectra[a] * spectra[b].conj(), s=(size, size)) / (norms[a] * norms[b])
        best = np.unravel_index(match.argmax(), match.shape)
        peaks.append(match[best])
        shifts.append([(place + size // 2) % size - size // 2 for place in best])
    moved, steps = np.array(shifts, dtype=float), positions_px[pairs[:, 0]] - positions_px[pairs[:, 1]]
    linear = np.linalg.lstsq(steps, moved, rcond=None)[0]
    missed = np.median(np.sum((moved - steps @ linear) ** 2, axis=1))
    whole = np.median(np.sum(moved**2, axis=1))
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    if np.median(peaks) < LEAST_PEAK or whole < LEAST_SHIFT_PX**2:
        return None
    if missed > (1 - LEAST_FIT) * whole or scale == 0:
        return None
    return Shadow(scale, float(np.sqrt(lit.sum()) / scale))
