"""How near a reconstruction is to the truth."""

from __future__ import annotations

import numpy as np

from ptychosuite.core.problem import Reference, split_positions
from ptychosuite.metrics.gauge import Aligner

SCANNED_SHARE = 0.05  # of the largest illumination: dimmer pixels do not count as scanned


class ImageMetrics:
    """Figures of objects (H, W) against one truth.

    error
        || |z| - |z*| ||_2 over all pixels (MAGPIE, arXiv 2504.10118, section 5); with an unknown probe over
        the scanned pixels, as what the gauge leaves elsewhere is arbitrary.
    relative_error
        The same over the norm of |z*|.
    phase_rmse_rad
        Root mean square of the phase difference in radians over the scanned pixels, weighted with |z*|^2.
    nmse
        Squared complex distance over the scanned pixels, relative to the truth.

    With a known probe a global phase is all that is removed before phases are compared; with an unknown one
    the whole gauge: scale, phase, phase ramp and sub-pixel translation.
    """

    def __init__(self, reference: Reference, probe_known: bool) -> None:
        self.truth = reference.object
        self.scanned = scanned_area(reference)
        self.aligner = None if probe_known else Aligner(self.truth, self.scanned)
        self.compared = np.ones_like(self.scanned) if probe_known else self.scanned

    def __call__(self, obj: np.ndarray) -> dict[str, float]:
        if self.aligner is not None:
            obj, _ = self.aligner.align(obj)
        modulus = np.abs(self.truth[self.compared])
        error = float(np.linalg.norm(np.abs(obj[self.compared]).astype(np.float64) - modulus))
        obj, truth = obj[self.scanned].astype(np.complex128), self.truth[self.scanned]
        return {
            "error": error,
            "relative_error": error / float(np.linalg.norm(modulus)),
            "phase_rmse_rad": phase_rmse_rad(obj, truth),
            "nmse": nmse(obj, truth),
        }


def phase_rmse_rad(obj: np.ndarray, truth: np.ndarray) -> float:
    """|z*|^2-weighted RMS phase difference in radians, global phase removed; arrays of one shape."""
    ratio = obj.astype(np.complex128) * np.conj(truth)
    common = np.sum(ratio)
    if common == 0:
        return float("nan")  # an object of zeros has no phase
    weight = np.abs(truth) ** 2
    phase = np.angle(ratio * np.conj(common))
    return float(np.sqrt(np.sum(weight * phase**2) / np.sum(weight)))


def nmse(obj: np.ndarray, truth: np.ndarray) -> float:
    """min over phases of ||exp(i a) z - z*||^2 / ||z*||^2; arrays of one shape."""
    energy = np.sum(np.abs(truth) ** 2)
    overlap = np.abs(np.vdot(truth, obj))
    return float((np.sum(np.abs(obj) ** 2) + energy - 2 * overlap) / energy)


def scanned_area(reference: Reference) -> np.ndarray:
    """Where the summed illumination exceeds ``SCANNED_SHARE`` of its maximum: (H, W) bool."""
    illumination = np.zeros(reference.object.shape)
    size = reference.probe.shape[-1]
    whole, _ = split_positions(reference.scan_positions_px)
    for r, c in whole:
        illumination[r : r + size, c : c + size] += np.abs(reference.probe) ** 2
    return illumination > SCANNED_SHARE * illumination.max()
