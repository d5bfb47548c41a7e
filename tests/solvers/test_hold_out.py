"""Detector pixels that are held out of the fit have no part in any solver's result."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.problems.hold_out import fitted_pixels
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.stack import RunStack

from tests.conftest import small_problem
from tests.solvers.test_contract import SOLVERS, iterate

MORE = {
    "modes": {"name": "rpie", "alpha": 0.1, "probe_modes": 3},
    "gradient": {"name": "rpie", "alpha": 0.1, "positions": "gradient", "positions_start": 0},
    "cross-correlation": {
        "name": "lsqml",
        "batch": 4,
        "positions": "cross-correlation",
        "positions_start": 0,
    },
    "varying": {
        "name": "lsqml", "batch": 4, "probe_modes": 2, "probe_variations": 1, "intensity": True,
        "variation_start": 0, "update_probe": True,
    },
    "adam-modes": {
        "name": "adam", "batch": 4, "probe_modes": 2, "positions": "gradient", "positions_start": 0
    },
}  # fmt: skip
GOOD = (np.random.default_rng(5).random((16, 16)) > 0.1) * 1.0


def held_out(each_backend, share=0.2, masked=False):
    problem = small_problem(each_backend, noise=0.5)
    if masked:
        problem = dataclasses.replace(problem, detector_mask=GOOD)
    fitted = fitted_pixels(problem, share, np.random.default_rng(1))
    mask = None if not masked else each_backend.asarray(GOOD)
    return dataclasses.replace(problem, fitted_pixels=each_backend.asarray(fitted), detector_mask=mask)


def spoilt(problem, each_backend):
    """Other counts where pixels are held out."""
    amplitude, fitted = to_numpy(problem.diffraction_amplitude), to_numpy(problem.fitted_pixels)
    other = np.where(fitted, amplitude, 1000 + 3 * amplitude)
    return dataclasses.replace(problem, diffraction_amplitude=each_backend.asarray(other))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", [*SOLVERS, *MORE])
def test_no_solver_sees_them(each_backend, name, masked):
    """Whatever was counted there, the result is the same to the last digit; elsewhere counts matter."""
    problem, solver = held_out(each_backend, masked=masked), build("solvers", {**SOLVERS, **MORE}[name])
    state, other = (iterate(solver, p, 3)[-1] for p in (problem, spoilt(problem, each_backend)))
    np.testing.assert_array_equal(to_numpy(state.object), to_numpy(other.object))
    np.testing.assert_array_equal(to_numpy(state.probe), to_numpy(other.probe))
    fitted = iterate(solver, dataclasses.replace(problem, fitted_pixels=None), 3)[-1]
    assert not np.allclose(to_numpy(state.object), to_numpy(fitted.object), rtol=1e-6)


def test_nor_do_runs_side_by_side(each_backend):
    """In a stack as alone."""
    solver = build("solvers", SOLVERS["rpie"])
    problem = held_out(each_backend)
    states = []
    for each in (problem, spoilt(problem, each_backend)):
        first = solver.init(each)
        xp = each_backend.library
        both = dataclasses.replace(
            first, object=xp.stack([first.object] * 2), probe=xp.stack([first.probe] * 2)
        )
        rngs = [np.random.default_rng(seed) for seed in range(2)]
        states.append(solver.step_stack(RunStack.of([each, each]), both, rngs))
    np.testing.assert_array_equal(to_numpy(states[0].object), to_numpy(states[1].object))
    alone = iterate(solver, problem, 1)[-1].object
    np.testing.assert_allclose(to_numpy(states[0].object[0]), to_numpy(alone), atol=1e-12)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.999])
def test_the_same_number_of_good_pixels_of_each_pattern(share):
    """Rounded down, never bad ones, others in each pattern."""
    problem = dataclasses.replace(small_problem(), detector_mask=GOOD)
    fitted = fitted_pixels(problem, share, np.random.default_rng(0))
    assert set((~fitted).sum(axis=(1, 2))) == {int(share * GOOD.sum())}
    assert not (~fitted & (GOOD == 0)).any()
    assert (fitted[0] != fitted[1]).any()
    assert fitted_pixels(problem, 0, np.random.default_rng(0)) is None


def test_every_good_pixel_has_the_same_chance():
    """Over 400 draws of 16 patterns: numbers scatter as binomial ones do."""
    problem, rng = small_problem(), np.random.default_rng(0)
    drawn = sum((~fitted_pixels(problem, 0.05, rng)).sum(axis=0) for _ in range(400))
    draws, chance = 400 * problem.n_positions, 12 / 256
    assert drawn.mean() == draws * chance
    assert drawn.var() == pytest.approx(draws * chance * (1 - chance), rel=0.3)
