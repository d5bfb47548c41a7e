"""Probe modes: what partially coherent light does not add up coherently.

P. Thibault, A. Menzel, "Reconstructing state mixtures from diffraction measurements", Nature 494, 68 (2013).
Modes are determined up to a unitary mixture, which leaves every intensity as it is; the orthogonal ones are
the eigenvectors of their Gram matrix G_ij = <Q_i, Q_j>, in the order of their powers.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, asarray_like, namespace, squared_modulus, to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import first_mode

FIRST_SHARE = 0.04  # of the power of all, which a mode beyond the first has at the start


def start_modes(problem: Problem, n_modes: int) -> Complex[Array, "*M m m"]:
    """The probe to start from, with ``n_modes`` modes where that is more than one.

    Those that the problem knows; where it knows fewer, the others are made from the strongest. The power of
    all is that of ``problem.probe``.
    """
    probe = first_mode(problem.probe)
    if n_modes == 1:
        return probe
    if problem.probe_modes is None or not problem.has_modes(n_modes):
        modes = np.ascontiguousarray(modes_from(to_numpy(probe), n_modes))  # sums are taken in memory's order
        return asarray_like(modes, probe)
    known = problem.probe_modes[:n_modes]
    return known * math.sqrt(power(probe) / power(known))


def with_first(modes: Complex[Array, "M m m"], probe: Complex[Array, "m m"]) -> Complex[Array, "M m m"]:
    """``probe`` in the place of the first mode, with the first one's share of the power."""
    first = probe * math.sqrt(power(modes[0]) / power(probe))
    return namespace(modes).concat([first[None], modes[1:]])


def modes_from(probe: Complex[np.ndarray, "m m"], n_modes: int) -> Complex[np.ndarray, "M m m"]:
    """Orthogonal modes: the probe, and the probe times 1, y, x, y x, y^2 ... (Gram and Schmidt), much weaker.

    The power of all is that of ``probe``.
    """
    probe = probe.astype(np.complex128)
    axis = (np.arange(len(probe)) - len(probe) // 2) / len(probe)
    orders = sorted(
        ((a, b) for a in range(n_modes) for b in range(n_modes)), key=lambda each: (sum(each), max(each))
    )[:n_modes]
    products = [probe * axis[:, None] ** a * axis**b for a, b in orders]
    orthonormal, _ = np.linalg.qr(np.stack([product.ravel() for product in products], axis=1))
    shares = np.full(n_modes, FIRST_SHARE)
    shares[0] = max(1 - FIRST_SHARE * (n_modes - 1), FIRST_SHARE)
    modes = (orthonormal * np.sqrt(shares / shares.sum() * power(probe))).T.reshape(n_modes, *probe.shape)
    modes[0] = probe * math.sqrt(shares[0] / shares.sum())  # with its own phase
    return modes


def orthogonalised(modes: Complex[Array, "M m m"]) -> Complex[Array, "M m m"]:
    """The same light in orthogonal modes, strongest first; each keeps the phase of what it mostly is."""
    xp = namespace(modes)
    flat = xp.reshape(modes, (len(modes), -1))
    gram = to_numpy(xp.conj(flat) @ flat.T).astype(np.complex128)
    if not np.isfinite(gram).all():
        return modes
    _, mixture = np.linalg.eigh(gram)
    mixture = mixture[:, ::-1]  # eigenvalues come in ascending order
    largest = mixture[np.abs(mixture).argmax(axis=0), np.arange(len(modes))]
    mixture = mixture * (np.abs(largest) / largest)
    return xp.reshape(asarray_like(mixture.T, modes) @ flat, modes.shape)


def power(probe: Complex[Array, "*M m m"]) -> float:
    """sum |Q|^2, over all modes, in double precision."""
    xp = namespace(probe)
    return float(xp.sum(probe.real**2 + probe.imag**2, dtype=xp.float64))


def power_scale(probe: Complex[Array, "*_ m m"], start: Complex[Array, "*R m m"]) -> Float[Array, "*R 1 1"]:
    """Factor that gives a probe the power of ``start``; one for each of R runs; over all modes of one.

    Of R runs ``probe`` is (R, m, m) as well, of one run (m, m), or (M, m, m). The factor is 1 where it has no
    power, or is not finite.
    """
    xp = namespace(probe)
    then, now = (xp.sum(squared_modulus(x), axis=(-2, -1), keepdims=True) for x in (start, probe))
    if probe.ndim > start.ndim:
        now = xp.sum(now, axis=0)
    return xp.sqrt(then / xp.where((now > 0) & xp.isfinite(now), now, then))
