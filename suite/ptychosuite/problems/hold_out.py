"""Detector pixels that are held out of the fit, so that it can be judged by what it has not seen."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from ptychosuite.core.problem import Problem


def fitted_pixels(
    problem: Problem, share: float, rng: np.random.Generator
) -> Bool[np.ndarray, "N m m"] | None:
    """False at ``share`` of the good pixels of each pattern, rounded down, others in each; None of none.

    Every good pixel has the same chance, be it bright or dark: what is held out is like what is fitted.
    """
    if not share:
        return None
    shape = problem.n_positions, problem.probe_size, problem.probe_size
    mask, valid = problem.detector_mask, problem.valid_pixels
    common = np.ones(shape[1:], dtype=bool) if mask is None else np.asarray(mask) > 0
    fitted = np.ones(shape, dtype=bool)
    for k, pattern in enumerate(fitted.reshape(len(fitted), -1)):
        good = np.flatnonzero(common if valid is None else common & np.asarray(valid[k]))
        number = int(share * len(good))
        pattern[good[rng.choice(len(good), number, replace=False, shuffle=False)]] = False
    return fitted
