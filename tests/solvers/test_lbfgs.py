"""L-BFGS: its gradient, its two-loop recursion, its line search."""

import numpy as np
import ptychosuite.solvers.lbfgs as lbfgs
import pytest
import scipy.optimize
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.solvers.lbfgs import LBFGS, inner, misfit_and_gradient, search_direction

from tests.conftest import small_problem


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def literal_misfit(problem, obj):
    total = 0.0
    for (row, column), amplitude in zip(
        problem.scan_positions_px, problem.diffraction_amplitude, strict=True
    ):
        m = problem.probe_size
        wave = np.fft.fft2(problem.probe * obj[row : row + m, column : column + m])
        total += 0.5 * np.sum((np.abs(wave) - amplitude) ** 2) / m**2
    return total


def test_gradient_against_finite_differences():
    """Re <gradient, d> is the slope of Phi along d, for any complex d."""
    problem = small_problem(noise=0.5)
    rng = np.random.default_rng(0)
    obj = problem.start_object + 0.3 * complex_random(rng, *problem.start_object.shape)
    misfit, gradient = misfit_and_gradient(problem, obj)
    assert misfit == pytest.approx(literal_misfit(problem, obj), rel=1e-12)
    for _ in range(4):
        direction, h = complex_random(rng, *obj.shape), 1e-6
        ahead, behind = (literal_misfit(problem, obj + sign * h * direction) for sign in (1, -1))
        slope = inner(gradient, direction)
        assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=1e-5 * abs(misfit))


def test_misfit_is_the_residual_metric(each_backend):
    """What L-BFGS lowers is what is reported as residual."""
    problem = small_problem(each_backend, noise=0.5)
    misfit, _ = misfit_and_gradient(problem, problem.start_object)
    figures = misfit_metrics(problem, problem.start_object, problem.probe, DataConstants.of(problem))
    assert misfit == pytest.approx(figures["residual"], rel=1e-12)


def test_misfit_does_not_depend_on_the_batches(monkeypatch):
    """Cutting the scan into batches changes nothing but rounding."""
    problem = small_problem(noise=0.5)
    whole = misfit_and_gradient(problem, problem.start_object)
    monkeypatch.setattr("ptychosuite.core.problem.BATCH_PIXELS", 3 * problem.probe_size**2)
    cut = misfit_and_gradient(problem, problem.start_object)
    assert cut[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(cut[1], whole[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_pairs", [0, 1, 3, 6])
def test_two_loop_recursion_is_the_bfgs_matrix(n_pairs):
    """The recursion equals the inverse Hessian built explicitly (Nocedal & Wright, eqs. 7.16 and 7.20)."""
    rng = np.random.default_rng(n_pairs)
    n = 6
    root = rng.standard_normal((n, n))
    hessian = root @ root.T + np.eye(n)
    steps = rng.standard_normal((n_pairs, n))
    pairs = [(s, hessian @ s) for s in steps]
    H = (
        0.3 * np.eye(n)
        if not pairs
        else np.eye(n) * (pairs[-1][0] @ pairs[-1][1]) / np.sum(pairs[-1][1] ** 2)
    )
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = np.eye(n) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    gradient = rng.standard_normal(n)
    halves = [(s[:3] + 1j * s[3:], y[:3] + 1j * y[3:]) for s, y in pairs]
    found = search_direction(gradient[:3] + 1j * gradient[3:], halves, 0.3)
    np.testing.assert_allclose(np.concatenate([found.real, found.imag]), -H @ gradient, rtol=1e-9, atol=1e-10)


def test_line_search_never_goes_up():
    """The residual falls at every iteration, and each evaluation is a pass over the data."""
    problem = small_problem(noise=0.5)
    solver = LBFGS()
    state, rng, counted = solver.init(problem), np.random.default_rng(0), 1
    assert state.data_passes == 1
    original = lbfgs.misfit_and_gradient

    def counting(*arguments):
        nonlocal counted
        counted += 1
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lbfgs, "misfit_and_gradient", counting)
        for _ in range(20):
            new = solver.step(problem, state, rng)
            assert new.misfit < state.misfit
            assert new.misfit == pytest.approx(literal_misfit(problem, new.object), rel=1e-10)
            assert len(new.pairs) <= solver.history
            assert all(inner(s, y) > 0 for s, y in new.pairs)
            state = new
    assert state.data_passes == counted


def test_sufficient_decrease():
    """Every accepted step meets Armijo's condition, a strict one included."""
    problem, solver = small_problem(noise=0.5), LBFGS(armijo=0.4)
    state, rng = solver.init(problem), np.random.default_rng(0)
    for _ in range(10):
        new = solver.step(problem, state, rng)
        slope = inner(state.gradient, new.object - state.object)
        assert new.misfit <= state.misfit + 0.4 * slope * (1 - 1e-9)
        state = new


def test_a_hopeless_direction_drops_the_history():
    """Where no step along the direction descends, the object stays and the history goes."""
    problem, solver = small_problem(noise=0.5), LBFGS(max_backtracks=1, armijo=1 - 1e-9)
    state = solver.init(problem)
    state = LBFGS().step(problem, state, np.random.default_rng(0))
    assert state.pairs
    new = solver.step(problem, state, np.random.default_rng(0))
    assert new.pairs == ()
    assert new.data_passes == state.data_passes + 1
    np.testing.assert_array_equal(new.object, state.object)


def test_reaches_scipys_minimum():
    """After many iterations Phi is as low as SciPy's L-BFGS-B makes it from the same start."""
    problem = small_problem(noise=0.5, object_size=24, probe_size=8, step=4)
    shape = problem.start_object.shape

    def flat(x):
        obj = (x[: x.size // 2] + 1j * x[x.size // 2 :]).reshape(shape)
        misfit, gradient = misfit_and_gradient(problem, obj)
        return misfit, np.concatenate([gradient.real.ravel(), gradient.imag.ravel()])

    start = np.concatenate([problem.start_object.real.ravel(), problem.start_object.imag.ravel()])
    best = scipy.optimize.minimize(flat, start, jac=True, method="L-BFGS-B", options={"maxiter": 60}).fun
    solver, rng = LBFGS(), np.random.default_rng(0)
    state = solver.init(problem)
    for _ in range(60):
        state = solver.step(problem, state, rng)
    assert state.misfit < 1.2 * best


def test_inner_product(each_backend):
    """Re sum conj(a) b: the dot product of real vectors of twice the length."""
    rng = np.random.default_rng(0)
    a, b = complex_random(rng, 5, 4), complex_random(rng, 5, 4)
    expected = np.vdot(a, b).real
    assert inner(each_backend.asarray(a), each_backend.asarray(b)) == pytest.approx(expected, rel=1e-13)


def test_curvature_bound():
    """The first step is scaled by the largest illumination sum_k |Q(r - r_k)|^2."""
    problem = small_problem(backend("numpy"))
    illumination = np.zeros(problem.start_object.shape)
    for row, column in problem.scan_positions_px:
        illumination[row : row + 16, column : column + 16] += np.abs(to_numpy(problem.probe)) ** 2
    assert LBFGS().init(problem).first_scale == pytest.approx(1 / illumination.max(), rel=1e-12)


def test_pairs_of_negative_curvature_are_left_out(monkeypatch):
    """A step along which the gradient does not grow leaves the history as it was, but is taken."""
    problem = small_problem(noise=0.5)
    monkeypatch.setattr(lbfgs, "misfit_and_gradient", lambda problem, obj: (-inner(obj, obj), -2 * obj))
    state = LBFGS().init(problem)
    new = LBFGS().step(problem, state, np.random.default_rng(0))
    assert new.pairs == ()
    assert new.misfit < state.misfit
