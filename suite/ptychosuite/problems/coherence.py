"""Partial coherence: mutually incoherent modes of the illumination, and the detector's point spread.

The intensity is that of all modes: sum_i |F(Q_i z_k)|^2 (P. Thibault and A. Menzel, Nature 494, 68, 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MaxLen
from scipy.fft import fft2, fftfreq, ifft2
from scipy.ndimage import gaussian_filter

from ptychosuite.problems.problem_kind import ProbeKind
from ptychosuite.registry.validation import SettingError

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
SHARE = 0.99  # of the power that the modes of a source hold, where the study does not say how many there are
MOST_MODES = 64
NEGLIGIBLE = 1e-5


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
        Coherent modes of the source that are kept; by default (null) as many as hold 99 % of the power.
    detector_psf_px
        Full width at half maximum of the detector's Gaussian point spread in detector pixels.
    """

    powers: Annotated[Sequence[Annotated[float, Gt(0)]], MaxLen(10)] = ()
    source_fwhm_px: Annotated[float, Ge(0)] = 0.0
    n_modes: Annotated[int, Ge(1), Le(MOST_MODES)] | None = None
    detector_psf_px: Annotated[float, Ge(0)] = 0.0

    def check(self, probe: ProbeKind) -> None:
        """Refuse settings that do not go together, or not with the probe.

        Raises
        ------
        SettingError
            Its path counts from the group.
        """
        if self.powers and self.source_fwhm_px:
            message = "'powers' are given as well, and a source has its own; say one of them"
            raise SettingError(("source_fwhm_px",), message, partner=("powers",))
        if self.n_modes and not self.source_fwhm_px:
            message = "how many modes of a source are kept; say 'source_fwhm_px' as well"
            raise SettingError(("n_modes",), message, partner=("source_fwhm_px",))
        if list(self.powers) != sorted(self.powers, reverse=True):
            raise SettingError(("powers",), f"found {list(self.powers)}; expected the strongest first")
        if self.source_fwhm_px > probe.size / 16:
            message = (
                f"found {self.source_fwhm_px:g}; expected at most {probe.size / 16:g}, 1/16 of the probe"
            )
            raise SettingError(("source_fwhm_px",), message)
        if self.source_fwhm_px:
            self.modes(probe.make())

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
    """``probe`` (m, m) and its multiples by x, y, x^2, xy, ..., orthogonal: (number, m, m).

    Each has its power. x and y count from the centre of the probe's power, in units of its width.
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
    Q(f) conj(Q(f')) exp(-2 pi^2 sigma^2 |f - f'|^2). Its exponential is a product for rows and columns, of
    whose eigenvectors the strongest give fields that add to it incoherently; the modes are their principal
    components.

    Raises
    ------
    SettingError
        More than MOST_MODES would be needed; its path counts from the coherence.
    """
    return _source_modes(probe.tobytes(), probe.shape[0], sigma_px, n_modes)


@lru_cache(maxsize=4)
def _source_modes(content: bytes, size: int, sigma_px: float, n_modes: int | None) -> np.ndarray:
    """The same, remembered: a study's runs have few probes."""
    probe = np.frombuffer(content, np.complex128).reshape(size, size)
    fields = _source_fields(probe, sigma_px)
    flat = fields.reshape(len(fields), -1)
    values, vectors = np.linalg.eigh(flat.conj() @ flat.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    held = np.cumsum(values) / np.sum(values)
    number = n_modes or int(np.searchsorted(held, SHARE)) + 1
    if number > MOST_MODES:
        raise SettingError(
            ("source_fwhm_px",),
            f"{MOST_MODES} modes hold {held[MOST_MODES - 1]:.1%} of the power of such a source, less than "
            f"{SHARE:.1%}; make it smaller, or say 'n_modes'",
        )
    modes = np.tensordot(vectors[:, :number], fields, axes=(0, 0))
    modes *= np.linalg.norm(probe) / np.linalg.norm(modes)
    modes = _with_phase_of(probe, modes)
    modes.setflags(write=False)
    return modes


def _source_fields(probe: np.ndarray, sigma_px: float) -> np.ndarray:
    """Fields (n, m, m) that add incoherently to ``probe`` averaged over its shifts, nearly."""
    cycles = fftfreq(len(probe))
    along, vectors = np.linalg.eigh(np.exp(-2 * (np.pi * sigma_px * (cycles[:, None] - cycles)) ** 2))
    strengths = np.multiply.outer(along, along).ravel()
    order = np.argsort(-strengths)
    held = np.cumsum(strengths[order]) / np.sum(strengths)
    kept = order[: int(np.searchsorted(held, 1 - NEGLIGIBLE)) + 1]
    rows, columns = np.unravel_index(kept, (len(along), len(along)))
    products = vectors.T[rows][:, :, None] * vectors.T[columns][:, None, :]
    fields = ifft2(fft2(probe) * products)
    return np.asarray(np.sqrt(strengths[kept])[:, None, None] * fields)


def _with_phase_of(probe: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """``modes``, each with the phase of ``probe`` where it is brightest: eigenvectors have none."""
    flat = modes.reshape(len(modes), -1)
    brightest = np.argmax(np.abs(flat), axis=1)
    turned = np.angle(probe.ravel()[brightest]) - np.angle(flat[np.arange(len(flat)), brightest])
    return np.asarray(np.exp(1j * turned)[:, None, None] * modes)
