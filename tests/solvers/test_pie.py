"""ePIE, rPIE and mPIE against their papers' formulas, written out."""

import numpy as np
import pytest
from ptychosuite.solvers.mpie import MPIE
from ptychosuite.solvers.pie import EPIE, RPIE, regularisation

from tests.conftest import small_problem
from tests.oracles.magpie_literal import revised_exit_wave


def literal_update(problem, obj, k, divisor, step_length=1.0):
    row, column = problem.scan_positions_px[k]
    here = (slice(row, row + problem.probe_size), slice(column, column + problem.probe_size))
    wave = problem.probe * obj[here]
    change = revised_exit_wave(wave, problem.diffraction_amplitude[k]) - wave
    obj[here] += step_length * np.conj(problem.probe) * change / divisor


@pytest.mark.parametrize(
    ("solver", "alpha"), [(EPIE(), 1.0), (RPIE(alpha=0.3), 0.3), (RPIE(alpha=0.01), 0.01)]
)
def test_sweep_is_the_papers(solver, alpha):
    """z_k += conj(Q) (R_k - psi_k) / ((1 - alpha) |Q|^2 + alpha max |Q|^2), position after position."""
    problem = small_problem(noise=0.5)
    intensity = np.abs(problem.probe) ** 2
    expected = problem.start_object.copy()
    for k in np.random.default_rng(5).permutation(problem.n_positions):
        literal_update(problem, expected, k, (1 - alpha) * intensity + alpha * intensity.max())
    found = solver.step(problem, solver.init(problem), np.random.default_rng(5)).object
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("interval", [1, 5, 16, 100])
def test_mpie_is_the_papers(interval):
    """Momentum after every T positions, with the count of T running on from sweep to sweep."""
    problem = small_problem(noise=0.5)
    solver = MPIE(alpha=0.1, step_length=0.3, momentum=0.7, interval=interval)
    intensity = np.abs(problem.probe) ** 2
    divisor = 0.9 * intensity + 0.1 * intensity.max()
    obj, anchor = problem.start_object.copy(), problem.start_object.copy()
    velocity, count = np.zeros_like(obj), 0
    rng, state, same = np.random.default_rng(2), solver.init(problem), np.random.default_rng(2)
    for _ in range(3):
        for k in rng.permutation(problem.n_positions):
            literal_update(problem, obj, k, divisor, 0.3)
            count += 1
            if count % interval == 0:
                velocity = 0.7 * velocity + (obj - anchor)
                obj = obj + 0.7 * velocity
                anchor = obj.copy()
        state = solver.step(problem, state, same)
    np.testing.assert_allclose(state.object, obj, rtol=0, atol=1e-11 * np.abs(obj).max())


def test_mpie_without_momentum_is_rpie():
    """Unit step and no momentum leave rPIE."""
    problem = small_problem(noise=0.5)
    one, other = MPIE(alpha=0.1, step_length=1.0, momentum=0.0, interval=3), RPIE(alpha=0.1)
    found, expected = (
        s.step(problem, s.init(problem), np.random.default_rng(0)).object for s in (one, other)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_probe_weights():
    """u is 0 at the brightest pixel, alpha max |Q|^2 where it is dark, never negative."""
    probe = np.array([[2j, 0], [1, 1 + 1j]])
    intensity, regulariser = regularisation(probe, 0.25)
    np.testing.assert_allclose(intensity, [[4, 0], [1, 2]])
    np.testing.assert_allclose(regulariser, [[0, 1], [0.75, 0.5]])
