"""What the tests of the adapters share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.physics.shift import shift_phases
from ptychosuite.registry.lookup import build

from tests.conftest import small_problem


def between_pixels() -> Problem:
    """Fractions below one half, so that the nearest pixel is the one below; the probe is zero at its edge."""
    problem = small_problem(noise=0.05)
    positions = np.minimum(problem.scan_positions_px, 23)
    shifts = np.random.default_rng(0).uniform(0, 0.5, positions.shape)
    truth = problem.reference
    phases = shift_phases(problem.probe_size, shifts, truth.probe)
    intensity = diffraction_intensity(truth.object, truth.probe, positions, phases)
    return dataclasses.replace(
        problem,
        scan_positions_px=positions,
        subpixel_shifts_px=shifts,
        diffraction_amplitude=np.sqrt(intensity),
    )


def masked() -> Problem:
    """Some bad detector pixels, with nonsense in them."""
    problem = small_problem(noise=0.05)
    mask = np.ones((problem.probe_size, problem.probe_size))
    mask[3:5, 2:9] = 0
    amplitude = np.where(mask > 0, problem.diffraction_amplitude, 7.0)
    return dataclasses.replace(problem, detector_mask=mask, diffraction_amplitude=amplitude)


def blind() -> Problem:
    """A probe to start from that is too narrow."""
    problem = small_problem(noise=0.05)
    radius = np.hypot(*(np.indices(problem.probe.shape) - problem.probe_size // 2)) / problem.probe_size
    return dataclasses.replace(problem, probe=problem.probe * np.exp(-8 * radius**2), probe_known=False)


PROBLEMS = {
    "known": lambda: small_problem(noise=0.05),
    "single": lambda: small_problem(dtype="complex64", noise=0.05),
    "between pixels": between_pixels,
    "masked": masked,
    "blind": blind,
}


def residuals(problem: Problem, settings: Mapping[str, Any], iterations: int) -> np.ndarray:
    """Residual of the start and after every iteration."""
    solver, constants, rng = build("solvers", settings), DataConstants.of(problem), np.random.default_rng(0)
    state = solver.init(problem)
    values = [misfit_metrics(problem, state.object, state.probe, constants)["residual"]]
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
        values.append(misfit_metrics(problem, state.object, state.probe, constants)["residual"])
    return np.asarray(values)
