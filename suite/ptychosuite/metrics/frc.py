"""Fourier ring correlation: to which detail two images agree.

Symbols::

    A, B     DFTs of the two images, apodised, their means taken off
    FRC(r) = Re sum_ring A conj(B) / sqrt(sum_ring |A|^2 sum_ring |B|^2)

The real part is taken: a phase by which the two images differ counts as disagreement, so two blind
reconstructions must be brought into one gauge first (:func:`align_pair`). A linear filter that acts on
one image alone does not change the curve.

Sources: Saxton and Baumeister, J. Microsc. 127, 127 (1982); van Heel and Schatz, J. Struct. Biol. 151,
250 (2005), for the thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Bool, Complex, Complex128, Float, Inexact, Int, Real

from ptychosuite.backends.arrays import fft2
from ptychosuite.metrics.gauge import remove_gauge
from ptychosuite.metrics.image import bounding_box

TAPER_SHARE = 0.125  # of the side, on each edge


@dataclass(frozen=True)
class RingCorrelation:
    """One Fourier ring correlation; the zero frequency is left out."""

    frequency: Float[np.ndarray, " n"]  # fraction of Nyquist, (0, 1]
    correlation: Float[np.ndarray, " n"]  # in [-1, 1]; 0 where one image has no power
    n_pixels: Int[np.ndarray, " n"]  # Fourier pixels in the ring


@dataclass(frozen=True)
class Resolution:
    """A ring correlation, its threshold, and where the one falls below the other."""

    correlation: RingCorrelation
    threshold: Float[np.ndarray, " n"]
    crossing: float  # fraction of Nyquist

    @property
    def rings(self) -> Mapping[str, Float[np.ndarray, " n"]]:
        """As it is stored, by name."""
        found = self.correlation
        return {
            "frequency": found.frequency, "correlation": found.correlation, "threshold": self.threshold
        }  # fmt: skip


def resolution_between(
    a: Complex[np.ndarray, "H W"],
    b: Complex[np.ndarray, "H W"],
    scanned: Bool[np.ndarray, "H W"],
    criterion: Callable[[Int[np.ndarray, " n"]], Float[np.ndarray, " n"]],
) -> Resolution:
    """Ring correlation of two objects, brought into one gauge, over the box around ``scanned``.

    ``criterion`` makes the threshold from the numbers of pixels in the rings.
    """
    box = bounding_box(scanned)
    a, b = align_pair(a, b, scanned)
    found = ring_correlation(a[box], b[box])
    threshold = criterion(found.n_pixels)
    return Resolution(found, threshold, crossing(found, threshold))


def ring_correlation(
    a: Inexact[np.ndarray, "_ _"], b: Inexact[np.ndarray, "_ _"], window: bool = True
) -> RingCorrelation:
    """Correlate two images over rings of spatial frequency.

    Parameters
    ----------
    a, b
        (H, W) complex or real, in one gauge.
    window
        Whether to apodise the field with a cosine taper (Tukey) over an eighth of the side on each edge.
        Without it, the jump between opposite edges of an image that is not periodic correlates, too. The
        taper makes neighbouring Fourier pixels dependent: noise scatters as if a ring had about three
        quarters of its pixels, and a sharp cut-off of a strong signal moves up by up to five rings.

    Returns
    -------
    RingCorrelation of n = min(H, W) // 2 rings. Ring i holds the Fourier pixels whose frequency, in
    units of 1 / min(H, W) cycles per pixel, rounds to i.

    Raises
    ------
    ValueError
        The two shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"images of shapes {a.shape} and {b.shape}; crop both to the same field first")
    size = min(a.shape)
    weight = _taper(a.shape) if window else np.ones(a.shape)
    spectrum_a, spectrum_b = (fft2(weight * _centred(x, weight)) for x in (a, b))
    rings = _ring_numbers(a.shape)
    n_rings = size // 2

    def ring_sums(x: np.ndarray) -> np.ndarray:
        return np.bincount(rings.ravel(), x.ravel(), minlength=n_rings + 1)[1 : n_rings + 1]

    cross = ring_sums((spectrum_a * spectrum_b.conj()).real)
    power = np.sqrt(ring_sums(np.abs(spectrum_a) ** 2) * ring_sums(np.abs(spectrum_b) ** 2))
    return RingCorrelation(
        frequency=np.arange(1, n_rings + 1) / (size / 2),
        correlation=np.divide(cross, power, out=np.zeros(n_rings), where=power > 0),
        n_pixels=ring_sums(np.ones(a.shape)).astype(np.int64),
    )


def half_bit_threshold(n_pixels: Real[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Half-bit threshold for two independent reconstructions, of n pixels a ring.

    With SNR = (sqrt(2) - 1) / 2 = 0.2071 in each of the two, so that their mean carries half a bit of
    information a pixel, log2(1 + 2 SNR) = 1/2 (van Heel and Schatz 2005)::

        T = (SNR + 2 sqrt(SNR / n) + 1 / sqrt(n)) / (SNR + 2 sqrt(SNR / n) + 1)
          = (0.2071 + 1.9102 / sqrt(n)) / (1.2071 + 0.9102 / sqrt(n))
    """
    return _threshold(n_pixels, snr=(np.sqrt(2) - 1) / 2)


def one_bit_threshold(n_pixels: Real[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """One-bit threshold: as :func:`half_bit_threshold` with SNR = 1/2, log2(1 + 2 SNR) = 1::

    T = (0.5 + 2.4142 / sqrt(n)) / (1.5 + 1.4142 / sqrt(n))
    """
    return _threshold(n_pixels, snr=0.5)


def crossing(frc: RingCorrelation, threshold: Float[np.ndarray, " n"]) -> float:
    """Frequency, as a fraction of Nyquist, where the correlation falls below ``threshold``.

    The fall counts where two rings in a row are below; the place between the last ring above and the
    first below is interpolated linearly. 1 if there is no such place, 0 if the first two rings are below.
    """
    excess = frc.correlation - threshold
    below = excess < 0
    falls = np.flatnonzero(below[:-1] & below[1:])
    if len(falls) == 0:
        return 1.0
    first = int(falls[0])
    if first == 0:
        return 0.0
    above, under = excess[first - 1], excess[first]
    share = above / (above - under)
    return float(frc.frequency[first - 1] + share * (frc.frequency[first] - frc.frequency[first - 1]))


def resolution_px(crossing: float) -> float:
    """Half-period resolution in pixels, 1 / ``crossing``; infinite where the crossing is 0.

    The finest pattern that is resolved has lines and gaps each of this width. At Nyquist (crossing 1)
    that is one pixel; the full period is twice this.
    """
    return 1 / crossing if crossing > 0 else float("inf")


def align_pair(
    a: Complex[np.ndarray, "H W"],
    b: Complex[np.ndarray, "H W"],
    scanned: Bool[np.ndarray, "H W"] | None = None,
) -> tuple[Complex128[np.ndarray, "H W"], Complex128[np.ndarray, "H W"]]:
    """Bring two independent blind reconstructions of one field into one gauge.

    Parameters
    ----------
    a, b
        The two objects.
    scanned
        Where both are known; everywhere if None.

    Returns
    -------
    ``a`` with the scale, phase ramp and translation of ``b``, and ``b``.
    """
    known = np.ones(b.shape, dtype=bool) if scanned is None else scanned
    return remove_gauge(a, b, known), b.astype(np.complex128)


def _centred(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    # The window would spread the mean, which both images share, over the lowest rings.
    return x.astype(np.complex128) - (weight * x).sum() / weight.sum()


def _taper(shape: tuple[int, ...]) -> np.ndarray:
    sides = []
    for n in shape:
        width = max(1.0, TAPER_SHARE * n)
        from_edge = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
        sides.append(np.sin(np.pi / 2 * np.minimum(from_edge / width, 1)) ** 2)
    return sides[0][:, None] * sides[1]


def _ring_numbers(shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = (scipy.fft.fftfreq(n) * min(shape) for n in shape)
    return np.rint(np.hypot(rows[:, None], columns)).astype(np.int64)


def _threshold(n_pixels: np.ndarray, snr: float) -> np.ndarray:
    root = np.sqrt(np.asarray(n_pixels, dtype=np.float64))
    mixed = 2 * np.sqrt(snr) / root
    return (snr + mixed + 1 / root) / (snr + mixed + 1)
