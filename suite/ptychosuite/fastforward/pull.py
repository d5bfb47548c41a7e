"""Where the data pull object and probe: what all patterns together ask for, by least squares."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, divide, fft2, ifft2, namespace, squared_modulus
from ptychosuite.core.problem import Problem, batches
from ptychosuite.physics.forward import accumulate_patches, illuminate
from ptychosuite.physics.likelihood import wave_correction

FLOOR = 1e-3  # of the largest power: in the dark the quotient of sums is noise


@dataclass(frozen=True)
class Pull:
    """Sums over the patterns k, with chi_k = R_k - psi_k the correction of the exit wave."""

    object_sum: Complex[Array, "H W"]  # sum conj(Q) chi_k
    object_light: Float[Array, "H W"]  # sum |Q|^2
    probe_sum: Complex[Array, "m m"]  # sum conj(z_k) chi_k
    probe_light: Float[Array, "m m"]  # sum |z_k|^2
    mean_pattern: Float[Array, "m m"]  # zero frequency in the middle; bad pixels as the model has them

    @property
    def object(self) -> Complex[Array, "H W"]:
        """z + this is the least-squares refit of the object, but for a floor in the dark."""
        return _quotient(self.object_sum, self.object_light)

    @property
    def probe(self) -> Complex[Array, "m m"]:
        """Q + this is the least-squares refit of the probe, but for a floor in the dark."""
        return _quotient(self.probe_sum, self.probe_light)


def data_pull(problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "m m"]) -> Pull:
    """The pull at ``obj`` and ``probe``; costs one pass over the data."""
    xp = namespace(obj)
    object_sum, probe_sum = xp.zeros_like(obj), xp.zeros_like(probe)
    object_light, probe_light = xp.zeros_like(obj.real), xp.zeros_like(probe.real)
    pattern = xp.zeros_like(probe.real)
    for batch in batches(problem.n_positions, problem.probe_size, like=obj):
        lit = illuminate(problem, obj, probe, batch)
        wave = fft2(lit.exit_waves)
        revision = wave_correction(wave, problem.diffraction_amplitude[batch], problem.mask(batch))
        correction = ifft2(revision)
        object_sum = accumulate_patches(object_sum, xp.conj(lit.probes) * correction, lit.positions)
        power = xp.broadcast_to(squared_modulus(lit.probes), correction.shape)
        object_light = accumulate_patches(object_light, power, lit.positions)
        probe_sum = probe_sum + lit.laid_adjoint_of_product(correction)
        seen = squared_modulus(lit.patches)
        probe_light = probe_light + xp.sum(seen if lit.intensity is None else seen * lit.intensity, axis=0)
        pattern = pattern + xp.sum(squared_modulus(wave + revision), axis=0)
    mean_pattern = xp.fft.fftshift(pattern) / problem.n_positions
    return Pull(object_sum, object_light, probe_sum, probe_light, mean_pattern)


def refitted_probe(
    problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "m m"]
) -> Complex[Array, "m m"]:
    """The probe after one pass over the data with ``obj`` held.

    Q = sum_k conj(z_k) R_k / sum_k |z_k|^2, where R_k is the revised exit wave of the present probe, and z_k
    counts with its pattern's light (sqrt(I_k) z_k) where that varies; written
    as Q + sum_k conj(z_k) (R_k - psi_k) / sum_k |z_k|^2, so that a probe that meets the data stays, also
    where positions lie between pixels. So does the probe where the object is dark throughout.
    """
    pull = data_pull(problem, obj, probe)
    return probe + divide(pull.probe_sum, pull.probe_light)


def _quotient(total: Complex[Array, "h w"], light: Float[Array, "h w"]) -> Complex[Array, "h w"]:
    return divide(total, light + FLOOR * namespace(light).max(light))
