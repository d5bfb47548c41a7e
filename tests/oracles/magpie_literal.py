"""MAGPIE as its paper writes it (arXiv 2504.10118, section 4), in plain NumPy complex128.

Slow and literal: every level has its own probe, object and revised exit wave, and one proximal step.
``ptychosuite.solvers.multigrid`` carries the fine gradient down instead; the two have to agree.
"""

import numpy as np


def average(x: np.ndarray) -> np.ndarray:
    """D: mean of every 2 x 2 bin."""
    return (x[0::2, 0::2] + x[0::2, 1::2] + x[1::2, 0::2] + x[1::2, 1::2]) / 4


def repeat(x: np.ndarray) -> np.ndarray:
    """U: every entry four times."""
    return np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)


def quotient(numerator: np.ndarray, divisor: np.ndarray, otherwise: float) -> np.ndarray:
    """numerator / divisor, and ``otherwise`` where the divisor is 0."""
    result = np.full(np.broadcast_shapes(numerator.shape, divisor.shape), otherwise, dtype=numerator.dtype)
    np.divide(numerator, divisor, out=result, where=divisor != 0)
    return result


def literal_v_cycle(
    probe: np.ndarray, object_patch: np.ndarray, revised: np.ndarray, regulariser: np.ndarray, levels: int
) -> np.ndarray:
    """The new patch z_k after one V-cycle from z_k, all arrays (m, m).

    ``revised`` is the revised exit wave R_k(z_k), ``regulariser`` is u_0 >= 0.
    """
    Q, z, R, u = [probe], [object_patch], [revised], [regulariser]
    for level in range(levels):
        p = np.abs(Q[level]) ** 2
        Dp = average(p)
        Q.append(average(Q[level]))  # Q_{l+1} = D Q_l
        p_coarse = np.abs(Q[level + 1]) ** 2
        w = quotient(p_coarse, Dp, 1)  # w_l = p_{l+1} / D p_l
        u.append(w * average(u[level]))  # u_{l+1} = w_l * D u_l
        UDp = repeat(Dp)
        z.append(average(quotient(p, UDp, 0) * z[level]))  # z_{l+1} = D( p_l / (U D p_l) * z_l )
        # R_{l+1} = D( conj(Q_l) * (U Q_{l+1}) / (U D p_l) * R_l )
        R.append(average(quotient(np.conj(Q[level]) * repeat(Q[level + 1]), UDp, 0) * R[level]))

    # on the coarsest level: argmin_x |Q_L x - R_L|^2 + u_L |x - z_L|^2
    new = proximal_step(Q[levels], R[levels], u[levels], z[levels], z[levels])
    for level in reversed(range(levels)):
        corrected = z[level] + repeat(new - z[level + 1])  # correction prolonged and added
        new = proximal_step(Q[level], R[level], u[level], corrected, z[level])
    return new


def proximal_step(
    probe: np.ndarray, revised: np.ndarray, u: np.ndarray, centre: np.ndarray, fallback: np.ndarray
) -> np.ndarray:
    """argmin over x of |Q x - R|^2 + u |x - centre|^2; ``fallback`` where every x serves."""
    p = np.abs(probe) ** 2
    new = quotient(np.conj(probe) * revised + u * centre, p + u, 0)
    return np.where(p + u == 0, fallback, new)


def revised_exit_wave(exit_wave: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """R = F^-1( sqrt(d) * exp(i arg F psi) )."""
    return np.fft.ifft2(amplitude * np.exp(1j * np.angle(np.fft.fft2(exit_wave))))


def literal_sweep(
    obj: np.ndarray,
    probe: np.ndarray,
    amplitude: np.ndarray,
    positions: np.ndarray,
    order: np.ndarray,
    alpha: float,
    levels: int,
) -> np.ndarray:
    """The object after one MAGPIE iteration: the positions in ``order``, each update seen by the next."""
    obj, m = obj.copy(), len(probe)
    p = np.abs(probe) ** 2
    u = alpha * (p.max() - p)
    for k in order:
        row, column = positions[k]
        here = (slice(row, row + m), slice(column, column + m))
        revised = revised_exit_wave(probe * obj[here], amplitude[k])
        obj[here] = literal_v_cycle(probe, obj[here], revised, u, levels)
    return obj
