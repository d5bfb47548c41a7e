"""How the probe differs from pattern to pattern: its intensity, and orthogonal probe relaxation (OPR).

M. Odstrcil et al., "Ptychographic coherent diffractive imaging with orthogonal probe relaxation", Opt.
Express 24, 8360 (2016); in the steps of M. Odstrcil, A. Menzel, M. Guizar-Sicairos, Opt. Express 26, 3108
(2018), from what object and probe leave of the change chi_k of the exit wave psi_k:

    Q_k = sqrt(I_k) (Q + sum_j w_kj U_j)                          probe of pattern k, w real

    (c_k, v_k) minimise || chi_k - c_k psi_k - sum_j v_kj sqrt(I_k) U_j z_k ||^2                  (a)
    sqrt(I_k) <- (1 + step * c_k) sqrt(I_k)          w_kj <- w_kj + step * v_kj                   (b)
    U_j <- U_j + step * sum_k w_kj G_k / sum_k w_kj^2 I_k |z_k|^2                                 (c)

with G_k = sqrt(I_k) conj(z_k) chi_k of what (b) leaves of chi_k. A batch sees some of the patterns alone, so
that to the divisor of (c) is added what it is for as many patterns on the average over all. One after the
other, (b) and (c) are a power iteration towards the largest components of what differs. I, w and U have a
gauge, which is fixed after every sweep: I has the mean 1, w_j the mean 0 where the probe can take it, the U
are orthogonal over the real numbers and have the norm of Q, so that w_kj is a relative amplitude, the
strongest first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import (
    Array,
    as_complex,
    as_reals,
    asarray_like,
    namespace,
    squared_modulus,
    to_numpy,
)
from ptychosuite.core.problem import ProbeVariation, Problem
from ptychosuite.physics.forward import MODES, Illumination, first_mode, own_probes
from ptychosuite.physics.shift import fourier_shift
from ptychosuite.solvers.probe_modes import modes_from, power

RIDGE = 1e-3  # added to the diagonal of (a), relative: directions that agree share what they explain
LARGEST_CHANGE = 0.5  # of sqrt(I_k) in one step
REGULARISATION = 0.05  # added to the divisor of (c), as a share of its maximum


@dataclass(frozen=True)
class Varying:
    """What of the probe varies, and the share of the optimal steps that is taken."""

    n_modes: int
    intensity: bool
    step: float

    def first(self, problem: Problem, probe: Complex[Array, "*M m m"]) -> ProbeVariation:
        """What the problem knows; of what it does not know nothing varies yet, by the probe's first moments.

        Where it knows more modes than are asked for, the strongest stay; all of them where none is asked for.
        """
        known = problem.variation or ProbeVariation(np.ones(problem.n_positions))
        there = 0 if known.modes is None else len(known.modes)
        if self.n_modes in (0, there):
            return known
        if known.modes is not None and known.weights is not None and self.n_modes < there:
            return replace(known, modes=known.modes[: self.n_modes], weights=known.weights[:, : self.n_modes])
        mode = first_mode(probe)
        moments = modes_from(to_numpy(mode), self.n_modes + 1)[1 + there :]
        moments *= np.sqrt(power(mode) / np.sum(np.abs(moments) ** 2, axis=(1, 2), keepdims=True))
        modes, weights = asarray_like(moments, mode), np.zeros((problem.n_positions, len(moments)))
        if known.modes is not None and known.weights is not None:
            modes = namespace(modes).concat([known.modes, modes])
            weights = np.concatenate([known.weights, weights], axis=1)
        return replace(known, modes=modes, weights=weights)

    def moved(
        self,
        now: ProbeVariation,
        batch: Int[np.ndarray, " n"],
        lit: Illumination,
        chi: Complex[Array, "n *M m m"],
    ) -> ProbeVariation:
        """After a batch ``lit``, of whose exit waves' change ``chi`` is left."""
        waves = variation_waves(now, lit)
        waves = waves if self.n_modes else waves[:, :0]  # modes that are known and not asked for stay
        c, v = pattern_steps(lit.exit_waves if self.intensity else None, waves, chi)
        intensity = now.intensity.copy()
        intensity[batch] *= (1 + self.step * np.clip(c, -LARGEST_CHANGE, LARGEST_CHANGE)) ** 2  # (b)
        if now.modes is None or now.weights is None or not self.n_modes:
            return replace(now, intensity=intensity)
        weights = now.weights.copy()
        weights[batch] += self.step * v
        xp = namespace(chi)
        explained = xp.sum(asarray_like(self.step * v, chi.real)[..., None, None] * waves, axis=1)
        direction = mode_directions(weights, batch, lit, _of_first_mode(chi) - explained)
        return ProbeVariation(intensity, now.modes + self.step * direction, weights)  # (c)


def variation_waves(variation: ProbeVariation, lit: Illumination) -> Complex[Array, "n J m m"]:
    """sqrt(I_k) U_j z_k of each pattern; J may be 0."""
    z = lit.patches if lit.has_modes else lit.patches[:, None]
    if variation.modes is None:
        return z[:, :0]
    local = variation.modes[None]
    if lit.phases is not None:
        local = fourier_shift(local, lit.phases if lit.has_modes else lit.phases[:, None])
    waves = local * z
    if lit.intensity is None:
        return waves
    return waves * namespace(z).sqrt(lit.intensity if lit.has_modes else lit.intensity[:, None])


def pattern_steps(
    psi: Complex[Array, "n *M m m"] | None,
    waves: Complex[Array, "n J m m"],
    chi: Complex[Array, "n *M m m"],
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n J"]]:
    """(c_k, v_k) of (a), on the host; c is 0 where ``psi`` is None."""
    xp = namespace(chi)
    basis = waves if psi is None else xp.concat([_of_first_mode(psi)[:, None], waves], axis=1)
    rows, aim = _rows(basis), _rows(_of_first_mode(chi)[:, None])
    normal = to_numpy(rows @ xp.matrix_transpose(rows)).astype(np.float64)
    right = to_numpy(rows @ xp.matrix_transpose(aim)).astype(np.float64)
    if psi is not None and psi.ndim > MODES:  # all modes have the pattern's intensity in common
        rows, aim = _rows(psi[:, 1:]), _rows(chi[:, 1:])
        normal[:, 0, 0] += to_numpy(xp.sum(rows * rows, axis=(1, 2)))
        right[:, 0, 0] += to_numpy(xp.sum(rows * aim, axis=(1, 2)))
    diagonal = np.einsum("kii->ki", normal)  # a view
    diagonal *= 1 + RIDGE
    diagonal[diagonal <= 0] = 1
    steps = np.linalg.solve(normal, right)[..., 0]
    return (np.zeros(len(steps)), steps) if psi is None else (steps[:, 0], steps[:, 1:])


def mode_directions(
    weights: Float[np.ndarray, "N J"],
    batch: Int[np.ndarray, " n"],
    lit: Illumination,
    chi: Complex[Array, "n m m"],
) -> Complex[Array, "J m m"]:
    """What (c) adds to each U_j at full length, from what is left of the first mode's ``chi``."""
    xp = namespace(chi)
    z = _of_first_mode(lit.patches)
    phases, light = lit.phases, squared_modulus(z)
    G = xp.conj(z) * chi
    if lit.intensity is not None:
        factor = xp.reshape(lit.intensity, (-1, 1, 1))
        G, light = xp.sqrt(factor) * G, factor * light
    own = own_probes(G, phases[:, 0] if phases is not None and lit.has_modes else phases)
    w = asarray_like(weights[batch], light)[..., None, None]
    expected = asarray_like((weights**2).mean(axis=0), light)[:, None, None] * xp.sum(light, axis=0)
    divisor = xp.sum(w**2 * light[:, None], axis=0) + expected
    divisor = divisor + REGULARISATION * xp.max(divisor, axis=(-2, -1), keepdims=True)
    return xp.sum(w * own[:, None], axis=0) / xp.where(divisor > 0, divisor, xp.ones_like(divisor))


def in_gauge(
    variation: ProbeVariation,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    moves_probe: bool,
) -> tuple[ProbeVariation, Complex[Array, "H W"], Complex[Array, "*M m m"]]:
    """The same exit waves with the gauge fixed: variation, object and probe."""
    mean = float(variation.intensity.mean())
    obj, variation = obj * mean**0.5, replace(variation, intensity=variation.intensity / mean)
    if variation.modes is None or variation.weights is None:
        return variation, obj, probe
    xp, weights = namespace(probe), variation.weights
    if moves_probe:
        shift = asarray_like(weights.mean(axis=0), probe.real)[:, None, None]
        common = xp.sum(shift * variation.modes, axis=0)
        probe = probe + common if probe.ndim < MODES else xp.concat([probe[:1] + common, probe[1:]], axis=0)
        weights = weights - weights.mean(axis=0)
    modes, weights = orthogonal_over_the_reals(variation.modes, weights)
    norm = power(first_mode(probe)) ** 0.5
    return replace(variation, modes=modes * norm, weights=weights / norm), obj, probe


def orthogonal_over_the_reals(
    modes: Complex[Array, "J m m"], weights: Float[np.ndarray, "N J"]
) -> tuple[Complex[Array, "J m m"], Float[np.ndarray, "N J"]]:
    """The same sum_j w_kj U_j by modes with Re <U_i, U_j> = 1 or 0, those of the largest weights first."""
    xp = namespace(modes)
    flat = _rows(modes[None])[0]
    gram, turn = np.linalg.eigh(to_numpy(flat @ flat.T).astype(np.float64))
    root = np.sqrt(np.maximum(gram, 1e-12 * max(gram.max(), 1e-300)))
    new_weights, sizes, mixture = np.linalg.svd(weights @ (turn * root), full_matrices=False)
    mixture = mixture / root @ turn.T
    mixed = asarray_like(mixture, modes.real) @ flat
    return as_complex(xp.reshape(mixed, (*modes.shape, 2))), new_weights * sizes


def _of_first_mode(x: Complex[Array, "n *M m m"]) -> Complex[Array, "n m m"]:
    return x[:, 0] if x.ndim > MODES else x


def _rows(x: Complex[Array, "n K m m"]) -> Float[Array, "n K d"]:
    """Each image as a row of real numbers."""
    return namespace(x).reshape(as_reals(x), (*x.shape[:2], -1))
