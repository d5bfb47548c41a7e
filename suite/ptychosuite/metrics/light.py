"""How far the light of neighbouring scan positions overlaps, which the overlap of probe arrays does not tell.

Linear overlap is 1 - step / diameter. Of the arrays the diameter is their side, however dark they are towards
their edges; of the light it is that of the disk that holds most of the probe's power.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Real
from scipy.spatial import cKDTree

from ptychosuite.metrics.modes import listed_modes

HELD = 0.9  # share of the probe's power in the disk


def light_overlap(probe: Complex[np.ndarray, "*M m m"], positions_px: Real[np.ndarray, "N 2"]) -> float:
    """1 - step / diameter of the light; 0 where neighbours' disks do not touch.

    Parameters
    ----------
    probe
        With all its modes, whose powers add up.
    positions_px
        Those of the scan; the step is :func:`step_px`, the diameter :func:`light_diameter_px`.

    Returns
    -------
    In [0, 1]; NaN of a probe without light, and of a scan with one position.
    """
    return float(np.maximum(0.0, 1 - step_px(positions_px) / light_diameter_px(probe)))


def light_diameter_px(probe: Complex[np.ndarray, "*M m m"]) -> float:
    """Diameter in pixels of the disk about the probe's centroid that holds 90 % of its power.

    Of a uniform disk 0.95 of its own diameter, of a Gaussian with the full width at half maximum w of its
    intensity 1.82 w. NaN where there is no light, or a value is not finite.
    """
    power = np.sum(np.abs(listed_modes(probe)).astype(np.float64) ** 2, axis=0)
    total = power.sum()
    if not total > 0 or not np.isfinite(total):
        return float("nan")
    rows, columns = (np.arange(n, dtype=np.float64) for n in power.shape)
    down, across = rows @ power.sum(axis=1) / total, columns @ power.sum(axis=0) / total
    distance = np.hypot(rows[:, None] - down, columns - across).ravel()
    order = np.argsort(distance)
    held = np.cumsum(power.ravel()[order]) / total
    return 2 * float(np.interp(HELD, held, distance[order]))


def step_px(positions_px: Real[np.ndarray, "N 2"]) -> float:
    """Median distance in pixels of a scan position to its nearest neighbour; NaN where there is one only."""
    if len(positions_px) < 2:
        return float("nan")
    nearest = cKDTree(positions_px).query(positions_px, k=2)[0][:, 1]
    return float(np.median(nearest))
