"""Sub-pixel translation of square images by multiplying their spectrum.

A translation by d pixels (rows, columns) multiplies the DFT by exp(-2 pi i f . d), with f in cycles per
pixel. The multipliers have modulus one, so the translation is unitary: its adjoint is its inverse.
Images are taken as periodic: what leaves at one edge comes back at the other.
"""

from __future__ import annotations

import array_api_compat
import numpy as np
import scipy.fft

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace


def axis_phases(size: int, shifts_px: np.ndarray) -> np.ndarray:
    """exp(-2 pi i f d) along one axis of ``size`` pixels for shifts (n,), on the host: (n, size)."""
    cycles = np.multiply.outer(np.asarray(shifts_px, dtype=np.float64), scipy.fft.fftfreq(size))
    return np.exp(-2j * np.pi * cycles)


def shift_phases(size: int, shifts_px: np.ndarray, like: Array) -> Array:
    """Fourier multipliers of ``n`` translations.

    Parameters
    ----------
    size
        Pixels on a side of the images to be moved.
    shifts_px
        (n, 2) real on the host: (rows, columns) by which content moves towards larger indices.
    like
        An array, real or complex, whose library, device and precision the result takes.

    Returns
    -------
    (n, size, size) complex, zero frequency at [0, 0].
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


def fourier_shift(x: Array, phases: Array) -> Array:
    """Move the content of ``x`` by the translations of ``phases``.

    Parameters
    ----------
    x
        (m, m) complex, or (n, m, m) for one image each translation.
    phases
        (n, m, m) complex from :func:`shift_phases`.

    Returns
    -------
    (n, m, m) complex; an ``x`` of (m, m) comes back once each translation.
    """
    return ifft2(fft2(x) * phases)


def fourier_unshift(x: Array, phases: Array) -> Array:
    """Adjoint and inverse of :func:`fourier_shift`, image by image: (n, m, m) complex.

    Where one (m, m) image was moved to n places, the adjoint of that map is the sum of this over n.
    """
    return ifft2(fft2(x) * namespace(phases).conj(phases))
