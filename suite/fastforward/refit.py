"""The probe that fits an object best, by least squares."""

from __future__ import annotations

from suite.core.arrays import Array, divide, namespace, squared_modulus
from suite.core.problem import Problem
from suite.physics.forward import batches, illuminate, own_probes
from suite.physics.likelihood import exit_wave_correction


def refitted_probe(problem: Problem, obj: Array, probe: Array) -> Array:
    """The probe (m, m) after one pass over the data with ``obj`` (H, W) held.

    Q = sum_k conj(z_k) R_k / sum_k |z_k|^2, where R_k is the revised exit wave of the present probe; written
    as Q + sum_k conj(z_k) (R_k - psi_k) / sum_k |z_k|^2, so that a probe that meets the data stays, also
    where positions lie between pixels. So does the probe where the object is dark throughout.
    """
    xp = namespace(probe)
    gradient, norm = xp.zeros_like(probe), xp.zeros_like(probe.real)
    for batch in batches(problem.n_positions, problem.probe_size, like=obj):
        lit = illuminate(problem, obj, probe, batch)
        amplitude = problem.diffraction_amplitude[batch]
        correction = exit_wave_correction(lit.exit_waves, amplitude, problem.detector_mask)
        pulls = own_probes(xp.conj(lit.patches) * correction, lit.phases)
        gradient = gradient + xp.sum(pulls, axis=0)
        norm = norm + xp.sum(squared_modulus(lit.patches), axis=0)
    return probe + divide(gradient, norm)
