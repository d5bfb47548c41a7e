"""Forward model: exit waves and the diffraction they give.

Symbols (METHODS of the project; MAGPIE, arXiv 2504.10118, section 2.1)::

    psi_k = Q * z_k            exit wave, probe Q on object patch z_k
    |F psi_k|^2                diffraction intensity, F the unnormalised DFT
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from suite.core.arrays import Array, fft2
from suite.physics.patches import extract_patches

BATCH_PIXELS = 2**19  # 32 patterns of 128 x 128: large enough for the FFT, small enough for the cache


def detector_waves(obj: Array, probe: Array, scan_positions_px: np.ndarray) -> Array:
    """F psi_k for each position: (n, m, m) complex."""
    return fft2(probe * extract_patches(obj, scan_positions_px, probe.shape[-1]))


def diffraction_intensity(obj: Array, probe: Array, scan_positions_px: np.ndarray) -> Array:
    """Noiseless intensities |F psi_k|^2: (n, m, m) real."""
    waves = detector_waves(obj, probe, scan_positions_px)
    return waves.real**2 + waves.imag**2


def batches(n_positions: int, probe_size: int) -> Iterator[slice]:
    """Cut a scan into consecutive batches that are processed at once."""
    step = max(1, BATCH_PIXELS // probe_size**2)
    for first in range(0, n_positions, step):
        yield slice(first, min(first + step, n_positions))
