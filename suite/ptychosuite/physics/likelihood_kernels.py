"""The compiled form of :mod:`ptychosuite.physics.likelihood`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled


def wave_correction(
    detector_wave: np.ndarray, amplitude: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    wave = np.ascontiguousarray(detector_wave)
    amplitude = np.ascontiguousarray(amplitude, dtype=wave.real.dtype)
    correction = np.empty_like(wave)
    _wave_correction(wave.ravel(), amplitude.ravel(), correction.ravel())
    return correction if mask is None else correction * mask


@compiled
def _wave_correction(wave: Any, amplitude: Any, out: Any) -> None:
    one = amplitude.dtype.type(1)
    for i in range(wave.size):
        largest = max(abs(wave[i].real), abs(wave[i].imag))
        dark = largest == 0
        scale = one if dark else largest  # the square of a nearly dark pixel would vanish
        modulus = scale * np.sqrt((wave[i].real / scale) ** 2 + (wave[i].imag / scale) ** 2)
        corrected = wave[i] * (amplitude[i] / (one if dark else modulus) - one)
        out[i] = amplitude[i] if dark else corrected
