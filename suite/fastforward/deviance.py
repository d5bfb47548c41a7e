"""How well a state explains the counts: what the safeguard compares."""

from __future__ import annotations

from suite.core.arrays import Array, fft2
from suite.core.problem import Problem
from suite.metrics.misfit import half_deviance
from suite.physics.forward import batches, illuminate


def poisson_deviance(problem: Problem, obj: Array, probe: Array) -> float:
    """Poisson deviance per good pixel, as the metric of that name; one forward pass over the data.

    It is the negative log-likelihood less that of a model that meets every count, in other units: of two
    states, the one with the lower NLL has the lower deviance.
    """
    total = sum(
        half_deviance(
            fft2(illuminate(problem, obj, probe, batch).exit_waves),
            problem.diffraction_amplitude[batch],
            problem.photon_scale,
            problem.detector_mask,
        )
        for batch in batches(problem.n_positions, problem.probe_size, like=obj)
    )
    return 2 * total / (problem.n_positions * problem.good_pixels)
