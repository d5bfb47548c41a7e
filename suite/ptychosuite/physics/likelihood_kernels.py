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


def modes_correction(
    detector_waves: np.ndarray, amplitude: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    waves = np.ascontiguousarray(detector_waves)
    n, modes, size = len(waves), waves.shape[1], waves.shape[-1]
    amplitude = np.ascontiguousarray(amplitude, dtype=waves.real.dtype)
    correction = np.empty_like(waves)
    flat = (n, modes, size * size)
    _modes_correction(waves.reshape(flat), amplitude.reshape(n, -1), correction.reshape(flat))
    return correction if mask is None else correction * (mask if mask.ndim == 2 else mask[:, None])


@compiled
def _modes_correction(waves: Any, amplitude: Any, out: Any) -> None:
    zero, one = amplitude.dtype.type(0), amplitude.dtype.type(1)
    n, modes, pixels = waves.shape
    intensity = np.empty(pixels, amplitude.dtype)
    for k in range(n):
        for i in range(pixels):
            intensity[i] = zero
        for j in range(modes):
            wave = waves[k, j]
            for i in range(pixels):
                intensity[i] += wave[i].real ** 2 + wave[i].imag ** 2
        for i in range(pixels):
            dark = intensity[i] == 0
            intensity[i] = amplitude[k, i] / np.sqrt(one if dark else intensity[i]) - one
        for j in range(modes):
            wave, corrected = waves[k, j], out[k, j]
            for i in range(pixels):
                corrected[i] = wave[i] * intensity[i]
        _light_dark(waves[k], amplitude[k], out[k, 0])


@compiled
def _light_dark(waves: Any, amplitude: Any, first: Any) -> None:
    """Where no mode is lit the first takes the measured amplitude."""
    for i in range(amplitude.size):
        lit = False
        for j in range(len(waves)):
            lit = lit or waves[j, i].real != 0 or waves[j, i].imag != 0
        if not lit:
            first[i] = amplitude[i]


def dark_floor(amplitude: np.ndarray, photon_scale: float) -> np.ndarray:
    amplitude = np.ascontiguousarray(amplitude)
    found = [_smallest_and_mean(x.ravel(), amplitude.dtype.type(photon_scale)) for x in amplitude]
    smallest, mean = np.array(found, amplitude.dtype).reshape(-1, 2).T[:, :, None, None]
    floor: np.ndarray = np.minimum(
        np.maximum(2e-2 * smallest, 1e-2 * mean), amplitude.dtype.type(1e-2 * photon_scale)
    )
    return floor.astype(amplitude.dtype)


@compiled
def _smallest_and_mean(amplitude: Any, photon_scale: Any) -> Any:
    """Of a pattern's intensity: the smallest that is not 0, at most a photon where some are, and the mean."""
    smallest, total = amplitude.dtype.type(np.inf), 0.0
    for i in range(amplitude.size):
        data = amplitude[i] * amplitude[i]
        smallest = min(smallest, data if data > 0 else photon_scale)
        total += data
    return smallest, total / amplitude.size
