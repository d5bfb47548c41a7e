"""Position correction: a step that any solver which sweeps over the scan can take.

From what a sweep computes of every position anyway, its exit wave's correction chi:

"gradient" (M. Odstrcil, A. Menzel, M. Guizar-Sicairos, Opt. Express 26, 3108 (2018), section 3.5): a patch
that lies d px further on has the exit wave Q * (z_k + d . grad z_k) to first order, so that the d which
explains most of chi minimises

    || chi_k - d_y Q * dz_k/dy - d_x Q * dz_k/dx ||^2              two real unknowns a position      (a)

"cross-correlation" (F. Zhang et al., Opt. Express 21, 13592 (2013)): the peak of the correlation of the patch
after a full update, seen through the probe, with the patch before it, moved:

    d_k = argmax_d | sum_x conj(z_k(x + d)) conj(Q) (psi_k + chi_k) | / sqrt(sum_x |Q z_k(x + d)|^2)   (b)

Either way the positions move after the sweep, by ``positions_step`` times d; their mean is held, since a
common shift is no error but a gauge, and none goes further than ``positions_limit_px`` from where it was
given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import array_api_compat
import numpy as np
from annotated_types import Ge, Gt
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, fft2, namespace, squared_modulus, to_numpy
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import MODES, Illumination
from ptychosuite.physics.shift import shift_phases

Method = Literal["gradient", "cross-correlation"]
STEP = 2.0  # ``positions_step`` where a study does not say it
LONGEST_PX = 1.0  # of one iteration
PEAK_PX = 0.5  # distance at which the correlation is sampled


@dataclass(frozen=True, kw_only=True)
class CorrectsPositions:
    """Settings of position correction.

    Parameters
    ----------
    positions
        "gradient" or "cross-correlation"; by default (null) positions stay as they are given.
    positions_start
        Iterations before the first correction.
    positions_step
        Factor of what a method finds in one iteration; by default (null) 2.
    positions_limit_px
        Furthest that a position may move from where it was given.
    """

    positions: Method | None = None
    positions_start: Annotated[int, Ge(0)] = 5
    positions_step: Annotated[float, Gt(0)] | None = None
    positions_limit_px: Annotated[float, Gt(0)] = 10.0

    def corrected(
        self, given: Float[np.ndarray, "N 2"], now: Float[np.ndarray, "N 2"], shifts: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, "N 2"]:
        """Positions after a sweep that found ``shifts``; what is not finite moves nothing."""
        assert self.positions is not None
        step = (self.positions_step or STEP) * np.nan_to_num(shifts, posinf=0, neginf=0)
        length = np.maximum(np.hypot(*step.T), 1e-300)[:, None]
        moved = now + step * np.minimum(1, LONGEST_PX / length) - given
        moved = moved - moved.mean(axis=0)
        return given + np.clip(moved, -self.positions_limit_px, self.positions_limit_px)


class PositionShifts:
    """Takes in what a sweep finds of each position; the caller owns it."""

    def __init__(self, problem: Problem, method: Method) -> None:
        self.method = method
        self.shifts_px = np.zeros((problem.n_positions, 2))

    def see(self, batch: Int[np.ndarray, " n"], lit: Illumination, chi: Complex[Array, "n *M m m"]) -> None:
        """The corrections ``chi`` of the exit waves ``lit`` at the positions ``batch``."""
        if self.method == "gradient":
            self.shifts_px[batch] = least_squares_shifts(lit.patches, lit.probes, chi)
        else:
            self.shifts_px[batch] = correlation_shifts(lit.patches, lit.probes, chi)


def least_squares_shifts(
    z: Complex[Array, "n *#M m m"], Q: Complex[Array, "#n *M m m"], chi: Complex[Array, "n *M m m"]
) -> Float[np.ndarray, "n 2"]:
    """d of (a), (row, column) in pixels, on the host; 0 where the patch has no structure."""
    yy, xx, yx, y, x = to_numpy(motion_products(z, Q, chi)).T.astype(np.float64)
    determinant = yy * xx - yx**2
    flat = determinant <= 1e-9 * yy * xx
    divisor = np.where(flat, 1, determinant)
    shifts = np.stack([(xx * y - yx * x) / divisor, (yy * x - yx * y) / divisor], axis=1)
    return np.where(flat[:, None], 0.0, shifts)


@accelerated
def motion_products(
    z: Complex[Array, "n *#M m m"], Q: Complex[Array, "#n *M m m"], chi: Complex[Array, "n *M m m"]
) -> Float[Array, "n 5"]:
    """<a, a>, <b, b>, <a, b>, <a, chi>, <b, chi> of each position, a = Q dz/dy and b = Q dz/dx.

    Re <u, v> summed over modes; slopes by central differences, at the edges of a patch one-sided.
    """
    xp = namespace(chi)
    a, b = Q * slope(z, -2), Q * slope(z, -1)
    pairs = ((a, a), (b, b), (a, b), (a, chi), (b, chi))
    axes = tuple(range(1, chi.ndim))
    return xp.stack([xp.sum(u.real * v.real + u.imag * v.imag, axis=axes) for u, v in pairs], axis=1)


def slope(z: Complex[Array, "*n m m"], axis: int) -> Complex[Array, "*n m m"]:
    """Derivative along ``axis`` (-2 or -1) per pixel."""
    xp = namespace(z)
    ahead, behind = xp.roll(z, -1, axis=axis), xp.roll(z, 1, axis=axis)
    middle = (ahead - behind) / 2
    first, last = ahead - z, z - behind
    places = xp.arange(z.shape[axis], device=array_api_compat.device(z))
    places = places[:, None] if axis == -2 else places
    return xp.where(places == 0, first, xp.where(places == z.shape[axis] - 1, last, middle))


def correlation_shifts(
    z: Complex[Array, "n *#M m m"], Q: Complex[Array, "#n *M m m"], chi: Complex[Array, "n *M m m"]
) -> Float[np.ndarray, "n 2"]:
    """d of (b), by parabolas through the correlation at the place and half a pixel to either side."""
    xp = namespace(chi)
    seen, light = xp.conj(Q) * (Q * z + chi), squared_modulus(Q)
    if chi.ndim > MODES:
        z, seen, light = z[:, 0], xp.sum(seen, axis=1), xp.sum(light, axis=1)
    products = _correlation(seen, z), _correlation(xp.astype(light, z.dtype), z * xp.conj(z))
    overlap, norm = (np.abs(to_numpy(x).astype(np.complex128)) for x in products)
    here, up, down, left, right = overlap / np.sqrt(np.maximum(norm, 1e-300))
    return PEAK_PX * np.stack([_peak(up, here, down), _peak(left, here, right)], axis=1)


def _correlation(seen: Complex[Array, "#n m m"], z: Complex[Array, "n m m"]) -> Complex[Array, "5 n"]:
    """sum_x seen(x) conj(z(x + d)) for no d, and for half a pixel up, down, left and right."""
    xp = namespace(z)
    spectrum = fft2(seen) * xp.conj(fft2(z))
    moves = PEAK_PX * np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]])
    phases = shift_phases(z.shape[-1], moves, z)
    return xp.stack([xp.sum(spectrum * phase, axis=(-2, -1)) for phase in phases])


def _peak(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Vertex of the parabolas through (-1, before), (0, here), (1, after); 0 where they open upwards."""
    bend = before - 2 * here + after
    return np.where(bend < 0, (before - after) / 2 / np.where(bend < 0, bend, 1), 0.0)
