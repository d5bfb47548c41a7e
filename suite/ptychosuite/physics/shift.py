"""Sub-pixel translation of square images by multiplying their spectrum.

A translation by d pixels (rows, columns) multiplies the DFT by exp(-2 pi i f . d), with f in cycles per
pixel. The multipliers have modulus one, so the translation is unitary: its adjoint is its inverse.
Images are taken as periodic: what leaves at one edge comes back at the other.
"""

from __future__ import annotations

import array_api_compat
import numpy as np
import scipy.fft
from jaxtyping import Complex, Inexact, Real

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace
from ptychosuite.backends.compiled import accelerated


def axis_phases(size: int, shifts_px: Real[np.ndarray, " n"]) -> Complex[np.ndarray, "n {size}"]:
    """exp(-2 pi i f d) along one axis of ``size`` pixels, on the host."""
    cycles = np.multiply.outer(np.asarray(shifts_px, dtype=np.float64), scipy.fft.fftfreq(size))
    return np.exp(-2j * np.pi * cycles)


def shift_phases(
    size: int, shifts_px: Real[np.ndarray, "n 2"], like: Inexact[Array, "*_"]
) -> Complex[Array, "n {size} {size}"]:
    """Fourier multipliers of ``n`` translations.

    Parameters
    ----------
    size
        Pixels on a side of the images to be moved.
    shifts_px
        (rows, columns) by which content moves towards larger indices, on the host.
    like
        An array whose library, device and precision the result takes.

    Returns
    -------
    Multipliers, zero frequency at [0, 0].
    """
    xp = namespace(like)
    device = array_api_compat.device(like)
    dtype = xp.result_type(like.dtype, xp.complex64)
    shifts = np.asarray(shifts_px, dtype=np.float64).reshape(-1, 2)
    # The angles are formed in double precision: at 1e-7 of many turns they would lose digits.
    rows, columns = (
        xp.asarray(axis_phases(size, along), dtype=dtype, device=device)
        for along in (shifts[:, 0], shifts[:, 1])
    )
    return rows[:, :, None] * columns[:, None, :]


@accelerated
def times_phases(
    spectrum: Complex[Array, "m m"], rows: Complex[Array, " m"], columns: Complex[Array, " m"]
) -> Complex[Array, "m m"]:
    """``spectrum`` times the multipliers of one translation, given along each axis."""
    return spectrum * (rows[:, None] * columns[None, :])


def fourier_shift(
    x: Complex[Array, "*#n m m"], phases: Complex[Array, "*#n m m"]
) -> Complex[Array, "*n m m"]:
    """Move the content of ``x`` by the translations of ``phases``, which are from :func:`shift_phases`.

    The two broadcast: one image comes back once each translation, several modes (M, m, m) by phases
    (n, 1, m, m) as (n, M, m, m).
    """
    return ifft2(fft2(x) * phases)


def fourier_unshift(
    x: Complex[Array, "*n m m"], phases: Complex[Array, "*#n m m"]
) -> Complex[Array, "*n m m"]:
    """Adjoint and inverse of :func:`fourier_shift`, image by image.

    Where one (m, m) image was moved to n places, the adjoint of that map is the sum of this over n.
    """
    return ifft2(fft2(x) * namespace(phases).conj(phases))
