"""How near a reconstruction is to the truth."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Complex, Real
from scipy.ndimage import binary_erosion, uniform_filter

from ptychosuite.core.problem import Reference, split_positions
from ptychosuite.metrics.gauge import NEGLIGIBLE, Aligner, Gauge, apply_gauge
from ptychosuite.metrics.modes import listed_modes
from ptychosuite.metrics.positions import common_shift_px

SCANNED_SHARE = 0.05  # of the largest illumination: dimmer pixels do not count as scanned
WINDOW_PX = 5  # over which a phase error is averaged to tell structure from noise
HIGHEST_SHARE = 0.99  # of such means are below what is called the size of the artefacts


class TrueObject:
    """The truth that objects (H, W) are compared with; what depends on it alone is made once.

    With a known probe a global phase is all that is removed before phases are compared, and magnitudes are
    compared over all pixels; with an unknown one the whole gauge (scale, phase, phase ramp and sub-pixel
    translation), and over the scanned pixels, as what the gauge leaves elsewhere is arbitrary.

    Parameters
    ----------
    reference
        The true object, probe and positions.
    probe_known
        Whether the reconstruction was given the probe.
    """

    def __init__(self, reference: Reference, probe_known: bool) -> None:
        self.object = reference.object  # (H, W) complex
        self.scanned = scanned_area(reference)  # (H, W) bool
        self.positions_px = reference.scan_positions_px  # (N, 2), the true ones
        modes = reference.probe_modes
        self.modes = listed_modes(reference.probe if modes is None else modes)  # (M, m, m)
        self._aligner = None if probe_known else Aligner(self.object, self.scanned)
        self.compared = np.ones_like(self.scanned) if probe_known else self.scanned  # whose magnitudes are
        self._modulus = np.abs(self.object[self.compared])
        self.modulus_norm = float(np.linalg.norm(self._modulus))  # || |z*| ||_2 over the compared pixels
        self.scanned_object = self.object[self.scanned]  # (n,) complex

    @cached_property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the smallest rectangle around the scanned area."""
        return bounding_box(self.scanned)

    def align(
        self, obj: Complex[np.ndarray, "H W"], positions_px: Real[np.ndarray, "N 2"] | None = None
    ) -> tuple[Complex[np.ndarray, "H W"], Gauge]:
        """``obj`` in the gauge of the truth, and the gauge that object and probe have in common.

        Parameters
        ----------
        positions_px
            Those that it was reconstructed with; None: the true ones. By what all of them are off the object
            alone is moved back first: the probe has no part in that, be it known or not.

        Returns
        -------
        aligned
            The object; with a known probe nothing else is removed.
        gauge
            What was removed from the object then; the probe has the opposite (:func:`probe_in_gauge`).
        """
        if positions_px is not None:
            shift = common_shift_px(positions_px, self.positions_px)
            if np.abs(shift).max() > NEGLIGIBLE:
                obj = apply_gauge(obj, Gauge(shift_px=(-float(shift[0]), -float(shift[1]))))
        return (obj, Gauge()) if self._aligner is None else self._aligner.align(obj)

    def phase_factor(self, aligned: Complex[np.ndarray, "H W"]) -> complex:
        """What takes the global phase out of an aligned object, as before phases are compared."""
        return phase_factor(aligned[self.scanned], self.scanned_object)

    def error(self, aligned: Complex[np.ndarray, "H W"]) -> float:
        """|| |z| - |z*| ||_2 of an aligned object over the compared pixels."""
        modulus = np.abs(aligned[self.compared]).astype(np.float64)
        return float(np.linalg.norm(modulus - self._modulus))


def phase_rmse_rad(obj: Complex[np.ndarray, "*shape"], truth: Complex[np.ndarray, "*shape"]) -> float:
    """|z*|^2-weighted RMS phase difference in radians, global phase removed.

    A pixel of ``obj`` that is exactly 0 has no phase, right or wrong: it has no part in the mean.
    """
    ratio = obj.astype(np.complex128) * np.conj(truth)
    common = np.sum(ratio)
    if common == 0:
        return float("nan")  # an object of zeros has no phase
    weight = np.abs(truth) ** 2 * (obj != 0)
    phase = np.angle(ratio * np.conj(common))
    return float(np.sqrt(np.sum(weight * phase**2) / np.sum(weight)))


def phase_artefact_rad(
    obj: Complex[np.ndarray, "H W"], truth: Complex[np.ndarray, "H W"], scanned: Bool[np.ndarray, "H W"]
) -> float:
    """The 99th percentile of the size of the phase error averaged over windows of 5 x 5 pixels, in radians.

    Each mean is that of exp(i error), so that no wrap of the phase shows; the global phase is removed first.
    Weights are |z*|^2, in the mean and of the windows, as where the object is dark it has no phase to speak
    of. Of all windows that lie in ``scanned``; NaN where there is none, and for an object without a phase.
    """
    ratio = np.where(scanned, obj.astype(np.complex128) * np.conj(truth), 0)
    common = np.sum(ratio)
    whole = binary_erosion(scanned, np.ones((WINDOW_PX, WINDOW_PX)))
    if common == 0 or not np.isfinite(common) or not whole.any():
        return float("nan")
    size = np.abs(ratio)
    unit = np.divide(ratio, size, out=np.zeros_like(ratio), where=size > 0) * np.conj(common) / abs(common)
    power = np.abs(truth) ** 2
    fields = power * unit, power
    mean, weight = (uniform_filter(field, WINDOW_PX, mode="constant")[whole] for field in fields)
    found = np.abs(np.angle(mean))
    order = np.argsort(found)
    held = np.cumsum(weight[order])
    return float(found[order][np.searchsorted(held, HIGHEST_SHARE * held[-1])])


def phase_factor(obj: Complex[np.ndarray, "*shape"], truth: Complex[np.ndarray, "*shape"]) -> complex:
    """exp(i a) that brings ``obj`` nearest to ``truth``; 1 where ``obj`` has no phase."""
    common = complex(np.vdot(obj.astype(np.complex128), truth))
    return common / abs(common) if common and np.isfinite(common) else 1.0 + 0.0j


def nmse(obj: Complex[np.ndarray, "*shape"], truth: Complex[np.ndarray, "*shape"]) -> float:
    """min over phases of ||exp(i a) z - z*||^2 / ||z*||^2."""
    energy = np.sum(np.abs(truth) ** 2)
    overlap = np.abs(np.vdot(truth, obj))
    return float((np.sum(np.abs(obj) ** 2) + energy - 2 * overlap) / energy)


def bounding_box(area: Bool[np.ndarray, "H W"]) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle around ``area``."""
    rows, columns = (slice(axis.min(), axis.max() + 1) for axis in np.nonzero(area))
    return rows, columns


def scanned_area(reference: Reference) -> Bool[np.ndarray, "H W"]:
    """Where the summed illumination, of all modes, exceeds ``SCANNED_SHARE`` of its maximum.

    What a position is outside of the object is left out.
    """
    illumination = np.zeros(reference.object.shape)
    modes = listed_modes(reference.probe if reference.probe_modes is None else reference.probe_modes)
    light, size = np.sum(np.abs(modes) ** 2, axis=0), modes.shape[-1]
    whole, _ = split_positions(reference.scan_positions_px)
    for r, c in np.clip(whole, 0, np.array(illumination.shape) - size):
        illumination[r : r + size, c : c + size] += light
    return illumination > SCANNED_SHARE * illumination.max()
