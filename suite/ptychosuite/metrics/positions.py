"""How far found scan positions are from the true ones, once what no data can tell is taken off.

A common shift of all positions is a gauge: the object moves with them. An affine map is nearly one: a
stretched, sheared or turned scan comes with an object that is so too, and little but the probe's size speaks
against it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Real

Positions = Real[np.ndarray, "N 2"]


def common_shift_px(found: Positions, true: Positions) -> Float[np.ndarray, " 2"]:
    """Mean of found minus true positions, (rows, columns) in pixels: so far the object is moved."""
    return np.mean(np.asarray(found, dtype=np.float64) - true, axis=0)


def position_errors_px(found: Positions, true: Positions) -> Float[np.ndarray, "N 2"]:
    """Found minus true positions without their common shift, in pixels."""
    return np.asarray(found, dtype=np.float64) - true - common_shift_px(found, true)


def jitter_px(found: Positions, true: Positions) -> Float[np.ndarray, "N 2"]:
    """Found minus true positions without the affine map of the true ones that fits them best, in pixels."""
    errors = position_errors_px(found, true)
    base = np.concatenate([np.ones((len(true), 1)), true - np.mean(true, axis=0)], axis=1)
    fitted, *_ = np.linalg.lstsq(base, errors, rcond=None)
    return errors - base @ fitted


def rms_px(errors: Float[np.ndarray, "N 2"]) -> float:
    """Root mean square along either axis, in pixels: of normal errors, their standard deviation."""
    return float(np.sqrt(np.mean(errors**2)))
