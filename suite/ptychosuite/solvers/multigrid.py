"""Grid transfer and the V-cycle of MAGPIE, in the form that needs the fine gradient only.

D averages 2 x 2 bins, U repeats each entry 2 x 2 (MAGPIE, arXiv 2504.10118, eqs. 5 and 6). The paper
restricts the object and the revised exit wave at every level; the coarse residual that results is
Q_{l+1} / (D p_l) * D g_l, so that carrying the gradient down is enough:

    p_l = |Q_l|^2,  Q_{l+1} = D Q_l           intensity of the probe on level l
    w_l = p_{l+1} / D p_l                     weight (16); 1 where D p_l = 0
    u_{l+1} = w_l * D u_l                     coarse regulariser
    g_{l+1} = w_l * D g_l                                                          down
    e_L = g_L / (p_L + u_L)
    e_l = (g_l + u_l * U e_{l+1}) / (p_l + u_l)                                    up

``tests/oracles`` holds the paper's literal form; the two agree to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

from jaxtyping import Complex, Float, Inexact

from ptychosuite.backends.arrays import Array, divide, namespace, squared_modulus
from ptychosuite.backends.compiled import accelerated
from ptychosuite.physics.forward import intensity_of


@dataclass(frozen=True)
class Level:
    """One level's coefficients; m_l = m / 2^l."""

    gradient_gain: Float[Array, "*n m_l m_l"]  # 1 / (p + u); 0 where p + u = 0
    coarse_gain: Float[Array, "*n m_l m_l"]  # u / (p + u)
    weight: Float[Array, "*n half half"]  # w; on the deepest level it is unused and empty


Hierarchy = Any
"""A tuple of :class:`Level`, or what the fused forms keep in its place."""


def check_levels(levels: int, probe_size: int) -> None:
    """Refuse more ``levels`` than a probe of ``probe_size`` pixels on a side can be halved.

    Raises
    ------
    ValueError
        Its text begins with the field's name.
    """
    deepest = (probe_size & -probe_size).bit_length() - 1
    if levels > deepest:
        raise ValueError(
            f"levels: found {levels}; a probe of {probe_size} x {probe_size} pixels can be halved "
            f"{deepest} times, so expected 0 to {deepest}"
        )


def restrict(x: Inexact[Array, "*n m k"]) -> Inexact[Array, "*n m//2 k//2"]:
    """D: average over 2 x 2 bins of the last two axes."""
    rows, columns = x.shape[-2:]
    bins = namespace(x).reshape(x, (*x.shape[:-2], rows // 2, 2, columns // 2, 2))
    return (bins[..., 0, :, 0] + bins[..., 0, :, 1] + bins[..., 1, :, 0] + bins[..., 1, :, 1]) / 4


def prolong(x: Inexact[Array, "*n m k"]) -> Inexact[Array, "*n 2*m 2*k"]:
    """U: repeat each entry 2 x 2."""
    xp = namespace(x)
    rows, columns = x.shape[-2:]
    spread = xp.broadcast_to(x[..., :, None, :, None], (*x.shape[:-2], rows, 2, columns, 2))
    return xp.reshape(spread, (*x.shape[:-2], 2 * rows, 2 * columns))


@accelerated
def hierarchy(probe: Complex[Array, "*n m m"], regulariser: Float[Array, "*n m m"], levels: int) -> Hierarchy:
    """Coefficients of all levels, fine to coarse, for each probe.

    Parameters
    ----------
    probe
        Q_0.
    regulariser
        u_0, not negative.
    levels
        L, number of coarse levels; m must be divisible by 2^L.
    """
    return _coefficients(probe, regulariser, levels, squared_modulus)


@accelerated
def hierarchy_of_modes(
    probes: Complex[Array, "n M m m"], regulariser: Float[Array, "n 1 m m"], levels: int
) -> Hierarchy:
    """As :func:`hierarchy`, under several modes, whose intensities add up on every level."""
    return _coefficients(probes, regulariser, levels, lambda Q: intensity_of(Q)[:, None])


def _coefficients(
    probe: Complex[Array, "*n m m"],
    regulariser: Float[Array, "*_ m m"],
    levels: int,
    intensity_on: Callable[[Array], Array],
) -> tuple[Level, ...]:
    xp = namespace(probe)
    result = []
    intensity, u = intensity_on(probe), regulariser
    for level in range(levels + 1):
        divisor = intensity + u
        gain = divide(xp.ones_like(divisor), divisor)
        if level == levels:
            result.append(Level(gain, u * gain, xp.zeros_like(intensity[..., :0, :0])))
            break
        probe = restrict(probe)
        mean_intensity = restrict(intensity)
        intensity = intensity_on(probe)
        dark = mean_intensity == 0
        weight = xp.where(dark, xp.ones_like(mean_intensity), divide(intensity, mean_intensity))
        result.append(Level(gain, u * gain, weight))
        u = weight * restrict(u)
    return tuple(result)


@accelerated
def corrected(
    z: Complex[Array, "*n m m"], g: Complex[Array, "*n m m"], levels: Hierarchy
) -> Complex[Array, "*n m m"]:
    """z + e_0: patches after the V-cycle of their gradients."""
    return z + v_cycle(g, levels)


@accelerated
def v_cycle(gradient: Complex[Array, "*n m m"], levels: Hierarchy) -> Complex[Array, "*n m m"]:
    """e_0, the change of a patch, from its fine gradient g_0."""
    *fine_levels, deepest = levels
    gradients = [gradient]
    for level in fine_levels:
        gradients.append(level.weight * restrict(gradients[-1]))
    coarsest = gradients.pop() * deepest.gradient_gain
    return reduce(
        lambda coarse, fine: fine[0] * fine[1].gradient_gain + fine[1].coarse_gain * prolong(coarse),
        zip(reversed(gradients), reversed(fine_levels), strict=True),
        coarsest,
    )
