"""What the tests of the adapters share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ptychosuite.core.problem import Found, Problem, split_positions
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.physics.shift import shift_phases
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.probe_modes import modes_from

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


def fractions() -> Problem:
    """All fractions of a pixel, some of them one half, and a probe that reaches its edge."""
    problem = small_problem(noise=0.05)
    shifts = np.random.default_rng(0).uniform(-0.5, 0.5, problem.scan_positions_px.shape)
    shifts[:4] = 0.5
    positions, shifts = split_positions(problem.scan_positions_px.clip(1, 23) + shifts)
    probe = problem.probe + 0.1 * np.abs(problem.probe).max()
    return dataclasses.replace(
        problem, scan_positions_px=positions, subpixel_shifts_px=shifts, probe=probe, probe_known=False
    )


def own_masks() -> Problem:
    """Other bad pixels in every pattern, with nonsense in them, and pixels held out of the fit."""
    problem = masked()
    rng = np.random.default_rng(3)
    valid, fitted = (rng.random(problem.diffraction_amplitude.shape) > share for share in (0.05, 0.1))
    amplitude = np.where(valid, problem.diffraction_amplitude, 7.0)
    return dataclasses.replace(
        problem, diffraction_amplitude=amplitude, valid_pixels=valid, fitted_pixels=fitted
    )


def everything() -> Problem:
    """Fractions, masks of every pattern and three modes that are known."""
    problem, masks = fractions(), own_masks()
    modes = modes_from(problem.probe, 3)
    return dataclasses.replace(
        problem,
        detector_mask=masks.detector_mask,
        valid_pixels=masks.valid_pixels,
        fitted_pixels=masks.fitted_pixels,
        probe_modes=modes,
    )


def uneven(problem: Problem) -> Problem:
    """From an object that shows where a patch lies; a flat one looks the same everywhere."""
    rng, shape = np.random.default_rng(4), problem.start_object.shape
    rough = 1 + 0.3 * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    return dataclasses.replace(problem, start_object=rough.astype(problem.start_object.dtype))


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
    "fractions": fractions,
    "own masks": own_masks,
    "everything": everything,
    "blind": blind,
}


def residuals(problem: Problem, settings: Mapping[str, Any], iterations: int) -> np.ndarray:
    """Residual of the start and after every iteration, with what was found of positions and probe."""
    solver, rng = build("solvers", settings), np.random.default_rng(0)
    state = solver.init(problem)
    values = [residual(problem, state)]
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
        values.append(residual(problem, state))
    return np.asarray(values)


def residual(problem: Problem, state: Any) -> float:
    """By our own forward model."""
    seen = Found.by(state).applied_to(problem)
    return misfit_metrics(seen, state.object, state.probe, DataConstants.of(problem))["residual"]


def theirs(problem: Problem, state: Any) -> float:
    """The same by the peer's forward model."""
    amplitude, modelled = problem.diffraction_amplitude[:], np.sqrt(state.session.modelled())
    mask = problem.mask(slice(None))
    squares = (modelled - amplitude) ** 2 * (1 if mask is None else mask)
    return float(squares.sum(dtype=np.float64) / (2 * problem.probe_size**2))
