"""Gradient descent on the amplitude misfit, over all patterns at once.

    z <- z + relaxation * sum_k conj(Q_k) (R_k - psi_k) / max sum_k |Q_k|^2

with the object z, the probe Q_k as it lies on patch k, the exit wave psi_k = Q_k z_k, and R_k, which is psi_k
with the measured modulus on the detector (MAGPIE, arXiv 2504.10118, section 2.1). A relaxation below 2 never
increases the misfit.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Lt
from ptychosuite.backends.arrays import namespace, squared_modulus
from ptychosuite.physics.forward import add_patches, illuminate
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.solvers.solver import SweepState


@dataclass(frozen=True)
class RelaxedDescent:
    """Relaxed gradient descent on the amplitude misfit, known probe.

    Parameters
    ----------
    relaxation
        Length of a step; 1 is the longest that is safe in every direction at once.
    """

    relaxation: Annotated[float, Gt(0), Lt(2)] = 1.5

    def init(self, problem):
        return SweepState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        z, xp = state.object, namespace(state.object)
        lit = illuminate(problem, z, state.probe, slice(None))
        amplitude, mask = problem.diffraction_amplitude[:], problem.mask(slice(None))
        chi = exit_wave_correction(lit.exit_waves, amplitude, mask)
        ascent = add_patches(xp.zeros_like(z), xp.conj(lit.probes) * chi, lit.positions)
        power = xp.broadcast_to(squared_modulus(lit.probes), lit.patches.shape)
        illumination = add_patches(xp.zeros_like(z.real), power, lit.positions)
        return SweepState(z + self.relaxation * ascent / xp.max(illumination), state.probe)
