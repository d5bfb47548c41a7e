"""A scan that suffers: several probe modes, wrong positions; small, with the truth beside it."""

import dataclasses

import numpy as np
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.problem import Problem, Reference, split_positions
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.physics.shift import shift_phases
from ptychosuite.problems.objects import Texture
from ptychosuite.problems.probes import Gaussian
from ptychosuite.solvers.probe_modes import modes_from, power

POWERS = (0.8, 0.15, 0.05)


def suffering_problem(powers=(1.0,), error_px=0.0, noise=0.0, known=True, on="numpy", dtype="complex128"):
    """49 patterns of 32 x 32 pixels; solvers are told whole pixels, the truth lies ``error_px`` (rms) off."""
    rng, size = np.random.default_rng(1), 80
    obj = Texture(size=size).make()
    probe = Gaussian(size=32, fwhm_px=10, curvature=1.0).make()
    corners = np.arange(4, size - 32 - 3, 7)
    given = np.stack(np.meshgrid(corners, corners, indexing="ij"), axis=-1).reshape(-1, 2)
    given = given + rng.integers(-1, 2, given.shape)
    error = error_px * rng.standard_normal(given.shape)
    true = given + error - error.mean(axis=0)
    modes = modes_from(probe, len(powers))
    modes = np.stack([q * np.sqrt(w * power(probe) / power(q)) for q, w in zip(modes, powers, strict=True)])
    whole, shifts = split_positions(true)
    phases = None if shifts is None else shift_phases(32, shifts, probe)
    intensity = sum(diffraction_intensity(obj, mode, whole, phases) for mode in modes)
    if noise:
        intensity = noise * rng.poisson(intensity / noise)
    chosen, real = backend(on), {"complex64": "float32", "complex128": "float64"}[dtype]
    return Problem(
        diffraction_amplitude=chosen.asarray(np.sqrt(intensity), real),
        scan_positions_px=given,
        probe=chosen.asarray(probe, dtype),
        start_object=chosen.asarray(np.ones((size, size)), dtype),
        noise=noise,
        probe_known=known,
        reference=Reference(obj, modes[0], true),
        probe_modes=chosen.asarray(modes, dtype) if len(powers) > 1 and known else None,
    )


def from_the_truth(problem: Problem) -> Problem:
    """The problem that begins with the true object."""
    truth = backend("numpy").asarray(problem.reference.object, str(to_numpy(problem.start_object).dtype))
    xp_start = type(problem.start_object)
    start = truth if xp_start is np.ndarray else backend("torch").asarray(truth)
    return dataclasses.replace(problem, start_object=start)
