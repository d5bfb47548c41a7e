"""How near a reconstruction is to the truth."""

from __future__ import annotations

import numpy as np

from suite.core.problem import Reference, split_positions

SCANNED_SHARE = 0.05  # of the largest illumination: dimmer pixels do not count as scanned


def image_metrics(obj: np.ndarray, reference: Reference, scanned: np.ndarray) -> dict[str, float]:
    """Figures of one object (H, W) against ``reference``.

    error
        || |z| - |z*| ||_2 over all pixels (MAGPIE, arXiv 2504.10118, section 5).
    relative_error
        The same over || |z*| ||_2.
    phase_rmse_rad
        Root mean square of the phase difference in radians after the global phase is removed, over
        ``scanned`` pixels, weighted with |z*|^2.
    """
    truth = reference.object
    difference = np.abs(obj).astype(np.float64) - np.abs(truth)
    error = float(np.linalg.norm(difference))
    return {
        "error": error,
        "relative_error": error / float(np.linalg.norm(truth)),
        "phase_rmse_rad": phase_rmse_rad(obj[scanned], truth[scanned]),
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


def scanned_area(reference: Reference) -> np.ndarray:
    """Where the summed illumination exceeds ``SCANNED_SHARE`` of its maximum: (H, W) bool."""
    illumination = np.zeros(reference.object.shape)
    size = reference.probe.shape[-1]
    for r, c in split_positions(reference.scan_positions_px)[0]:
        illumination[r : r + size, c : c + size] += np.abs(reference.probe) ** 2
    return illumination > SCANNED_SHARE * illumination.max()
