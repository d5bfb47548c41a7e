"""Partial coherence: mutually incoherent modes of the illumination, and the detector's point spread.

The intensity is that of all modes: sum_i |F(Q_i z_k)|^2 (P. Thibault and A. Menzel, Nature 494, 68, 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MaxLen
from scipy.fft import fft2, fftfreq, ifft2
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import LinearOperator, eigsh

from ptychosuite.registry.validation import SettingError

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
SHARE = 0.999  # of the power that the modes of a source hold, where the study does not say how many there are
MOST_MODES = 64


@dataclass(frozen=True)
class Coherence:
    """Partial coherence of the illumination and of the detector.

    Parameters
    ----------
    powers
        Powers of mutually incoherent modes, strongest first; what counts is their ratio. The first mode is
        the probe, the others are the probe times powers of x and y, made orthogonal.
    source_fwhm_px
        Full width at half maximum of the image of a Gaussian source at the sample, in pixels, instead of
        ``powers``: a Gaussian Schell model in the lens, whose coherent modes are taken.
    n_modes
        Coherent modes of the source that are kept; by default (null) as many as hold 99.9 % of the power.
    detector_psf_px
        Full width at half maximum of the detector's Gaussian point spread in detector pixels.
    """

    powers: Annotated[Sequence[Annotated[float, Gt(0)]], MaxLen(10)] = ()
    source_fwhm_px: Annotated[float, Ge(0)] = 0.0
    n_modes: Annotated[int, Ge(1), Le(MOST_MODES)] | None = None
    detector_psf_px: Annotated[float, Ge(0)] = 0.0

    def check(self, probe_size: int) -> None:
        """Raise SettingError where the settings do not go together."""
        if self.powers and self.source_fwhm_px:
            message = "'powers' are given as well, and a source has its own; say one of them"
            raise SettingError(("source_fwhm_px",), message, partner=("powers",))
        if self.n_modes and not self.source_fwhm_px:
            message = "how many modes of a source are kept; say 'source_fwhm_px' as well"
            raise SettingError(("n_modes",), message, partner=("source_fwhm_px",))
        if list(self.powers) != sorted(self.powers, reverse=True):
            raise SettingError(("powers",), f"found {list(self.powers)}; expected the strongest first")
        if self.source_fwhm_px > probe_size / 4:
            message = (
                f"found {self.source_fwhm_px:g}; expected at most {probe_size / 4:g}, a quarter of the probe"
            )
            raise SettingError(("source_fwhm_px",), message, partner=("probe", "size"))

    def modes(self, probe: np.ndarray) -> np.ndarray:
        """The modes (M, m, m), orthogonal, strongest first, with the power of ``probe`` (m, m) in all."""
        if self.source_fwhm_px:
            return source_modes(probe, self.source_fwhm_px / FWHM_PER_SIGMA, self.n_modes)
        if len(self.powers) < 2:
            return probe[None]
        shares = np.asarray(self.powers) / np.sum(self.powers)
        return np.sqrt(shares)[:, None, None] * orthogonal_multiples(probe, len(shares))

    def blurred(self, intensity: np.ndarray) -> np.ndarray:
        """``intensity`` (n, m, m) with the detector's point spread, across the edges of the window."""
        if not self.detector_psf_px:
            return intensity
        sigma = self.detector_psf_px / FWHM_PER_SIGMA
        return np.asarray(gaussian_filter(intensity, (0, sigma, sigma), mode="wrap", truncate=6))


def orthogonal_multiples(probe: np.ndarray, number: int) -> np.ndarray:
    """``probe`` and its multiples by x, y, x^2, xy, ..., orthogonal, each with its power: (number, m, m).

    x and y count from the centre of the probe's power, in units of its width.
    """
    power = np.abs(probe) ** 2 / np.sum(np.abs(probe) ** 2)
    axes = np.indices(probe.shape).astype(float)
    axes -= np.sum(axes * power, axis=(1, 2), keepdims=True)
    axes /= np.sqrt(np.sum(axes**2 * power, axis=(1, 2), keepdims=True))
    y, x = axes
    exponents = sorted(((a, b) for a in range(number) for b in range(number)), key=lambda ab: (sum(ab), ab))
    fields = np.stack([probe * y**a * x**b for a, b in exponents[:number]])
    basis, upper = np.linalg.qr(fields.reshape(number, -1).T)
    basis = (basis * np.exp(1j * np.angle(np.diag(upper)))).T.reshape(fields.shape)
    return np.asarray(np.linalg.norm(probe) * basis)


def source_modes(probe: np.ndarray, sigma_px: float, n_modes: int | None) -> np.ndarray:
    """Coherent modes (M, m, m) of ``probe`` (m, m) averaged over shifts of ``sigma_px`` along either axis.

    The mutual intensity of the averaged probe is, in Fourier space, a Gaussian Schell model
    Q(f) conj(Q(f')) exp(-2 pi^2 sigma^2 |f - f'|^2), separable along rows and columns; the modes are its
    eigenvectors.
    """
    size = probe.shape[0]
    lens = fft2(probe, norm="ortho")
    cycles = fftfreq(size)
    kernel = np.exp(-2 * (np.pi * sigma_px * (cycles[:, None] - cycles)) ** 2)

    def mutual_intensity(x: np.ndarray) -> np.ndarray:
        return np.asarray(lens * (kernel @ (lens.conj() * x.reshape(size, size)) @ kernel)).ravel()

    operator = LinearOperator((size**2, size**2), matvec=mutual_intensity, dtype=np.complex128)
    power = np.sum(np.abs(probe) ** 2)
    wanted = n_modes or 4
    while True:
        values, vectors = eigsh(operator, min(wanted, MOST_MODES), v0=lens.ravel())
        values, vectors = values[::-1], vectors[:, ::-1]
        if n_modes or np.sum(values) >= SHARE * power or wanted > MOST_MODES:
            break
        wanted *= 2
    if not n_modes:
        enough = int(np.searchsorted(np.cumsum(values), SHARE * power)) + 1
        if enough > len(values):
            raise SettingError(
                ("source_fwhm_px",),
                f"{MOST_MODES} modes hold {np.sum(values) / power:.1%} of the power of such a source, less "
                f"than {SHARE:.1%}; make it smaller, or say 'n_modes'",
            )
        values, vectors = values[:enough], vectors[:, :enough]
    modes = ifft2((np.sqrt(values) * vectors).T.reshape(-1, size, size), norm="ortho")
    return np.asarray(np.sqrt(power / np.sum(values)) * _with_phase_of(probe, modes))


def _with_phase_of(probe: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """``modes``, each with the phase of ``probe`` where it is brightest: eigenvectors have none."""
    flat = modes.reshape(len(modes), -1)
    brightest = np.argmax(np.abs(flat), axis=1)
    turned = np.angle(probe.ravel()[brightest]) - np.angle(flat[np.arange(len(flat)), brightest])
    return np.asarray(np.exp(1j * turned)[:, None, None] * modes)
