"""LSQML: its directions, its optimal steps, its likelihoods."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import namespace, to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.solvers.lsqml import LSQML, _optimal_steps, _poisson_correction, normal_equations
from ptychosuite.solvers.sweep import cut_into_batches

from tests.conftest import small_problem
from tests.oracles.magpie_literal import revised_exit_wave
from tests.physics.test_forward import complex_random, fractional_problem, shifted
from tests.solvers.test_contract import iterate

DAMPING = 1.001  # of the determinant of the 2 x 2 systems
SWEEPS = [("sequential", 1), ("minibatch", 3), ("minibatch", 16), ("colour-groups", 4)]
PROBLEMS = {"whole": small_problem, "fractional": fractional_problem}


def optimal_steps(chi, object_waves, probe_waves):
    """Of changes of the exit wave that are given as such."""
    ones = namespace(chi).ones_like(chi)
    return _optimal_steps(normal_equations(chi, object_waves, ones, probe_waves, ones))


def real_vector(x):
    return np.concatenate([x.real.ravel(), x.imag.ravel()])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_optimal_steps_against_least_squares(each_backend, dtype):
    """Each pattern's pair of steps is NumPy's least-squares solution, but for the damped determinant."""
    rng = np.random.default_rng(0)
    chi, object_waves, probe_waves = (complex_random(rng, 5, 8, 8) for _ in range(3))
    probe_waves += 0.7 * object_waves
    found = optimal_steps(*(each_backend.asarray(x, dtype) for x in (chi, object_waves, probe_waves)))
    assert all(str(steps.dtype).endswith({"complex64": "float32", "complex128": "float64"}[dtype])
               for steps in found)  # fmt: skip
    for k in range(5):
        columns = np.stack([real_vector(object_waves[k]), real_vector(probe_waves[k])], axis=1)
        exact = np.linalg.lstsq(columns, real_vector(chi[k]), rcond=None)[0]
        normal = columns.T @ columns
        regular = normal[0, 0] * normal[1, 1]
        damped = exact * np.linalg.det(normal) / (np.linalg.det(normal) + (DAMPING - 1) * regular)
        rtol = 1e-10 if dtype == "complex128" else 1e-4
        np.testing.assert_allclose([float(steps[k]) for steps in found], damped, rtol=rtol)
        np.testing.assert_allclose([float(steps[k]) for steps in found], exact, rtol=5e-3)


@pytest.mark.parametrize("which", ["parallel", "no object", "no probe", "nothing"])
def test_optimal_steps_where_directions_agree_or_vanish(which):
    """The steps stay finite and never make the residual of the exit wave larger."""
    rng = np.random.default_rng(1)
    chi, object_waves = complex_random(rng, 3, 6, 6), complex_random(rng, 3, 6, 6)
    probe_waves = 2 * object_waves
    if which in ("no object", "nothing"):
        object_waves = 0 * object_waves
    if which in ("no probe", "nothing"):
        probe_waves = 0 * probe_waves
    a, b = optimal_steps(chi, object_waves, probe_waves)
    assert np.isfinite([a, b]).all()
    left = chi - a[:, None, None] * object_waves - b[:, None, None] * probe_waves
    assert (np.linalg.norm(left, axis=(1, 2)) <= np.linalg.norm(chi, axis=(1, 2)) * (1 + 1e-12)).all()


def literal_batch(problem, solver, obj, probe, batch, moves_probe):
    """One batch of the Gaussian LSQML with loops and full-size arrays."""
    m, shifts = problem.probe_size, problem.subpixel_shifts_px
    norm, top = np.zeros(obj.shape), np.zeros_like(obj)
    probe_norm, probe_top = np.zeros(probe.shape), np.zeros_like(probe)
    parts = []
    for k in batch:
        row, column = problem.scan_positions_px[k]
        here = (slice(row, row + m), slice(column, column + m))
        local = probe if shifts is None else shifted(probe, shifts[k])
        patch = obj[here].copy()
        chi = revised_exit_wave(local * patch, problem.diffraction_amplitude[k]) - local * patch
        norm[here] += np.abs(local) ** 2
        top[here] += np.conj(local) * chi
        gradient = np.conj(patch) * chi
        probe_top += gradient if shifts is None else shifted(gradient, -shifts[k])
        probe_norm += np.abs(patch) ** 2
        parts.append((here, local, patch, chi, k))
    direction = top / (norm + solver.regularisation * norm.max())
    probe_direction = probe_top / (probe_norm + solver.regularisation * probe_norm.max())
    weighted, probe_steps = np.zeros(obj.shape), []
    for here, local, patch, chi, k in parts:
        columns = [real_vector(local * direction[here])]
        if moves_probe:
            moved = probe_direction if shifts is None else shifted(probe_direction, shifts[k])
            columns.append(real_vector(moved * patch))
        columns = np.stack(columns, axis=1)
        normal = columns.T @ columns
        if moves_probe:
            steps = np.linalg.solve(normal, columns.T @ real_vector(chi))
            damped = np.linalg.det(normal) + (DAMPING - 1) * normal[0, 0] * normal[1, 1]
            steps *= np.linalg.det(normal) / damped
            probe_steps.append(steps[1])
        else:
            steps = columns.T @ real_vector(chi) / normal[0]
        weighted[here] += np.abs(local) ** 2 * steps[0]
    lit = norm > 0
    obj = obj + solver.step_length * direction * np.where(lit, weighted / np.where(lit, norm, 1), 0)
    if moves_probe:
        probe = probe + solver.step_length * np.mean(probe_steps) * probe_direction
    return obj, probe


@pytest.mark.parametrize("positions", PROBLEMS)
@pytest.mark.parametrize("moves_probe", [True, False], ids=["blind", "known"])
@pytest.mark.parametrize(("kind", "batch"), SWEEPS)
def test_step_is_the_papers(positions, moves_probe, kind, batch):
    """One iteration follows the module's formulas, batch after batch."""
    problem = PROBLEMS[positions](noise=0.5, flat_start=False)
    solver = LSQML(
        sweep=kind,
        batch=batch,
        step_length=0.8,
        regularisation=0.1,
        update_probe=moves_probe,
        hold_power=False,
    )
    obj, probe = problem.start_object, problem.probe
    rng = np.random.default_rng(3)
    for members in cut_into_batches(kind, problem.scan_positions_px, 16, batch, rng):
        obj, probe = literal_batch(problem, solver, obj, probe, members, moves_probe)
    found = solver.step(problem, solver.init(problem), np.random.default_rng(3))
    np.testing.assert_allclose(found.object, obj, rtol=0, atol=1e-9 * np.abs(obj).max())
    np.testing.assert_allclose(found.probe, probe, rtol=0, atol=1e-9 * np.abs(probe).max())


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
@pytest.mark.parametrize("moves_probe", [True, False], ids=["blind", "known"])
@pytest.mark.parametrize(("kind", "batch"), SWEEPS)
def test_every_iteration_lowers_its_misfit(kind, batch, moves_probe, likelihood):
    """From a flat object each of four iterations lowers the figure that belongs to the likelihood.

    Where every pattern alone moves the probe, only the first has to.
    """
    problem = fractional_problem(noise=0.2)
    solver = LSQML(likelihood=likelihood, sweep=kind, batch=batch, update_probe=moves_probe)
    constants = DataConstants.of(problem)
    name = "residual" if likelihood == "gaussian" else "poisson_nll"
    figures = [
        misfit_metrics(problem, s.object, s.probe, constants)[name] for s in iterate(solver, problem, 4)
    ]
    claimed = figures[:2] if moves_probe and kind == "sequential" else figures
    assert (np.diff(claimed) < 0).all(), figures
    assert figures[-1] < figures[0]


def poisson_misfit(waves, intensity):
    """sum |Psi|^2 - d log |Psi|^2 of each pattern."""
    model = np.abs(waves) ** 2
    return np.sum(model - intensity * np.log(model), axis=(-2, -1))


def bright_patterns(masked):
    """Detector waves and amplitudes of many counts: the floor of a hundredth of a count is nothing."""
    problem = fractional_problem(masked=masked)
    rng = np.random.default_rng(0)
    waves = 300 * np.exp(2j * np.pi * rng.uniform(size=(4, 16, 16))) * rng.uniform(1, 2, (4, 16, 16))
    amplitude = np.sqrt(rng.poisson(rng.uniform(0.5, 1.5, waves.shape) * np.abs(waves) ** 2))
    return problem, waves, amplitude


@pytest.mark.parametrize("masked", [False, True])
def test_poisson_correction_descends(masked):
    """On each pattern it is a positive multiple of minus the likelihood's numerical gradient."""
    problem, waves, amplitude = bright_patterns(masked)
    correction = _poisson_correction(waves, amplitude, problem.detector_mask, problem.photon_scale)
    good = np.ones((16, 16)) if problem.detector_mask is None else problem.detector_mask
    h, intensity = 1e-3, amplitude**2
    for k in range(len(waves)):
        lengths = []
        for place in [(0, 0), (3, 5), (8, 8), (15, 2), (7, 11)]:
            gradient = 0
            for unit in (1, 1j):
                step = np.zeros((16, 16), complex)
                step[place] = unit * h
                ahead, behind = (
                    poisson_misfit((waves[k] + s * step)[place][None, None], intensity[k][place][None, None])
                    for s in (1, -1)
                )
                gradient += unit * (ahead - behind) / (2 * h)
            if not good[place]:
                assert correction[k][place] == 0
                continue
            ratio = -correction[k][place] / gradient
            assert abs(ratio.imag) < 1e-4 * abs(ratio.real)
            lengths.append(ratio.real)
        assert min(lengths) > 0
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_poisson_step_is_newtons(masked):
    """Its length is -f' / f'' of the likelihood along the direction, by finite differences."""
    problem, waves, amplitude = bright_patterns(masked)
    correction = _poisson_correction(waves, amplitude, problem.detector_mask, problem.photon_scale)
    good = np.ones((16, 16)) if problem.detector_mask is None else problem.detector_mask
    direction = good * (amplitude**2 / np.abs(waves) ** 2 - 1) * waves
    h = 1e-3

    def along(length):
        waves_there = waves + length * direction
        model = np.abs(waves_there) ** 2
        return np.sum(good * (model - amplitude**2 * np.log(model)), axis=(-2, -1))

    slope = (along(h) - along(-h)) / (2 * h)
    curvature = (along(h) - 2 * along(0) + along(-h)) / h**2
    found = np.sum(correction * direction.conj(), axis=(-2, -1)) / np.sum(
        np.abs(direction) ** 2, axis=(-2, -1)
    )
    np.testing.assert_allclose(found, -slope / curvature, rtol=1e-3)
    assert (along(found.real[:, None, None]) < along(0)).all()


def test_poisson_correction_where_nothing_is_to_be_done():
    """Data that are met ask for no change, dark patterns and empty ones for a finite one."""
    problem, waves, _ = bright_patterns(masked=False)
    assert (
        np.abs(_poisson_correction(waves, np.abs(waves), problem.detector_mask, problem.photon_scale)).max()
        < 1e-9
    )
    for dark_waves, amplitude in ((0 * waves, np.abs(waves)), (waves, 0 * np.abs(waves))):
        assert np.isfinite(
            _poisson_correction(dark_waves, amplitude, problem.detector_mask, problem.photon_scale)
        ).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_precisions(each_backend, likelihood):
    """Single precision stays single and follows double over five iterations."""
    ends = {}
    for dtype in ("complex64", "complex128"):
        problem = fractional_problem(each_backend, dtype, noise=0.5, masked=True, flat_start=False)
        solver = LSQML(likelihood=likelihood, batch=4, update_probe=True)
        ends[dtype] = iterate(solver, problem, 5)[-1]
        assert str(ends[dtype].object.dtype).endswith(dtype)
        assert str(ends[dtype].probe.dtype).endswith(dtype)
    single, double = (to_numpy(ends[dtype].object) for dtype in ("complex64", "complex128"))
    assert np.abs(single - double).max() < 5e-4


def test_step_length_scales_the_first_batch():
    """With all positions in one batch, half the step length is half the change of both factors."""
    problem = dataclasses.replace(small_problem(noise=0.5, flat_start=False), probe_known=False)
    changes = []
    for length in (0.4, 0.8):
        solver = LSQML(batch=100, step_length=length, hold_power=False)
        end = iterate(solver, problem, 1)[-1]
        changes.append((end.object - problem.start_object, end.probe - problem.probe))
    for half, whole in zip(*changes, strict=True):
        np.testing.assert_allclose(2 * half, whole, rtol=0, atol=1e-11)
