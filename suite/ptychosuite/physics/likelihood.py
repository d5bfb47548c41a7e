"""The amplitude misfit of an exit wave, and the update it asks for.

The revised exit wave keeps the measured modulus and the computed phase (MAGPIE, arXiv 2504.10118,
Definition 2.1)::

    R(psi) = F^-1( sqrt(d) * exp(i arg F psi) )

Where F psi = 0 the phase is taken as 0. Bad detector pixels keep what was computed.

Of several modes each keeps its phase and its share (P. Thibault, A. Menzel, Nature 494, 68 (2013))::

    R(psi)_i = F^-1( sqrt(d / sum_j |F psi_j|^2) * F psi_i )
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace, squared_modulus
from ptychosuite.backends.compiled import accelerated


def exit_wave_correction(
    exit_wave: Complex[Array, "*waves m m"],
    amplitude: Float[Array, "*n m m"],
    mask: Float[Array, "*#n m m"] | None = None,
) -> Complex[Array, "*waves m m"]:
    """R(psi) - psi, with one pair of transforms; of several modes, (n, M, m, m) to (n, m, m) amplitudes.

    Parameters
    ----------
    exit_wave
        psi.
    amplitude
        Square root of the measured intensity.
    mask
        1 for good detector pixels, 0 for bad ones.
    """
    one = exit_wave.ndim == amplitude.ndim == 2 or len(exit_wave) == 1
    if one or not isinstance(exit_wave, np.ndarray):
        return ifft2(detector_correction(fft2(exit_wave), amplitude, mask))
    result = np.empty_like(exit_wave, order="C")
    for k in range(len(exit_wave)):  # pattern by pattern, which stays in the processor's cache
        of_this = None if mask is None else mask[k : k + 1] if mask.ndim > 2 else mask
        result[k] = ifft2(detector_correction(fft2(exit_wave[k : k + 1]), amplitude[k : k + 1], of_this))[0]
    return result


def detector_correction(
    waves: Complex[Array, "*waves m m"],
    amplitude: Float[Array, "*n m m"],
    mask: Float[Array, "*#n m m"] | None = None,
) -> Complex[Array, "*waves m m"]:
    """F(R(psi) - psi) from F psi, of one mode or of several."""
    of = modes_correction if waves.ndim > amplitude.ndim else wave_correction
    return of(waves, amplitude, mask)


@accelerated
def wave_correction(
    detector_wave: Complex[Array, "*n m m"],
    amplitude: Float[Array, "*n m m"],
    mask: Float[Array, "*#n m m"] | None = None,
) -> Complex[Array, "*n m m"]:
    """F(R(psi) - psi) from F psi: what has to be added on the detector to meet the measured modulus."""
    xp = namespace(detector_wave)
    modulus = xp.abs(detector_wave)
    dark = modulus == 0
    scale = amplitude / xp.where(dark, xp.ones_like(modulus), modulus) - 1
    correction = xp.where(dark, xp.astype(amplitude, detector_wave.dtype), detector_wave * scale)
    return correction if mask is None else correction * mask


@accelerated
def modes_correction(
    detector_waves: Complex[Array, "n M m m"],
    amplitude: Float[Array, "n m m"],
    mask: Float[Array, "*#n m m"] | None = None,
) -> Complex[Array, "n M m m"]:
    """As :func:`wave_correction`, of modes whose intensities add up; where all are dark, the first is lit."""
    xp = namespace(detector_waves)
    modulus = xp.sqrt(xp.sum(squared_modulus(detector_waves), axis=1))
    dark = modulus == 0
    change = amplitude / xp.where(dark, xp.ones_like(modulus), modulus) - 1
    lit = xp.where(dark, amplitude, xp.zeros_like(amplitude))
    if mask is not None:
        change, lit = change * mask, lit * mask
    correction = detector_waves * change[:, None]
    correction[:, 0] += xp.astype(lit, correction.dtype)
    return correction


@accelerated
def dark_floor(amplitude: Float[Array, "n m m"], photon_scale: float) -> Float[Array, "n 1 1"]:
    """Intensity that is added to data and model before their quotient is taken: keeps dark pixels finite.

    A hundredth of a photon; less where the data are in units so large that it would hide them: then a
    hundredth of the pattern's mean, but where that is less than its smallest intensity a fiftieth of this.
    """
    xp = namespace(amplitude)
    data = amplitude**2
    lit = xp.where(data > 0, data, xp.full_like(data, photon_scale))
    smallest, mean = (f(x, axis=(-2, -1), keepdims=True) for f, x in ((xp.min, lit), (xp.mean, data)))
    return xp.clip(xp.maximum(2e-2 * smallest, 1e-2 * mean), max=1e-2 * photon_scale)
