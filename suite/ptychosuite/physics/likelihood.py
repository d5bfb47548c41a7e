"""The amplitude misfit of an exit wave, and the update it asks for.

The revised exit wave keeps the measured modulus and the computed phase (MAGPIE, arXiv 2504.10118,
Definition 2.1)::

    R(psi) = F^-1( sqrt(d) * exp(i arg F psi) )

Where F psi = 0 the phase is taken as 0. Bad detector pixels keep what was computed.
"""

from __future__ import annotations

from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace
from ptychosuite.backends.compiled import accelerated


def exit_wave_correction(
    exit_wave: Complex[Array, "*n m m"],
    amplitude: Float[Array, "*n m m"],
    mask: Float[Array, "*#n m m"] | None = None,
) -> Complex[Array, "*n m m"]:
    """R(psi) - psi, with one pair of transforms.

    Parameters
    ----------
    exit_wave
        psi.
    amplitude
        Square root of the measured intensity.
    mask
        1 for good detector pixels, 0 for bad ones.
    """
    wave = fft2(exit_wave)
    return ifft2(wave_correction(wave, amplitude, mask))


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
