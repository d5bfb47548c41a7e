"""eMAGPIE: the geometric mean and its step, written out."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.solvers.emagpie import EMAGPIE, geometric_mean
from ptychosuite.solvers.pie import RPIE, regularisation
from ptychosuite.solvers.scan_geometry import colour_groups
from ptychosuite.solvers.sweep import cut_into_batches

from tests.conftest import small_problem
from tests.oracles.magpie_literal import literal_v_cycle, revised_exit_wave
from tests.physics.test_forward import complex_random, fractional_problem, shifted

EPSILON = {"complex64": 1e-6, "complex128": 1e-14}
PROBLEMS = {"whole": small_problem, "fractional": fractional_problem}


def pairs(dtype="complex128", seed=0):
    """Two arrays that are nowhere zero and nowhere of opposite phase."""
    rng = np.random.default_rng(seed)
    a = complex_random(rng, 5, 6) * 10 ** rng.uniform(-3, 3, (5, 6))
    turn = np.exp(1j * rng.uniform(-3.1, 3.1, a.shape))
    return a.astype(dtype), (a * turn * 10 ** rng.uniform(-2, 2, a.shape)).astype(dtype)


def literal_mean(a, b):
    """sqrt(|a| |b|) exp(i arg a) sqrt((b / |b|) / (a / |a|)), entry by entry; 0 where either is 0."""
    found = np.zeros_like(a)
    for place in np.ndindex(a.shape):
        x, y = complex(a[place]), complex(b[place])
        if x and y:
            arc = np.angle((y / abs(y)) / (x / abs(x)))
            found[place] = np.sqrt(abs(x) * abs(y)) * np.exp(1j * (np.angle(x) + arc / 2))
    return found


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_mean_is_half_way(each_backend, dtype):
    """Modulus sqrt(|a| |b|), phase half way along the shorter arc, precision kept."""
    a, b = pairs(dtype)
    mean = geometric_mean(each_backend.asarray(a), each_backend.asarray(b))
    assert str(mean.dtype).endswith(dtype)
    found = to_numpy(mean)
    np.testing.assert_allclose(np.abs(found), np.sqrt(np.abs(a) * np.abs(b)), rtol=4 * EPSILON[dtype])
    to_mean, whole = np.angle(found / a), np.angle(b / a)
    np.testing.assert_allclose(to_mean, whole / 2, rtol=0, atol=10 * EPSILON[dtype])
    assert np.abs(to_mean).max() < np.pi / 2
    np.testing.assert_allclose(found, literal_mean(a, b), rtol=20 * EPSILON[dtype])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_mean_with_zero_is_zero(each_backend, dtype):
    """Zero on either side gives zero, without a NaN or a warning."""
    a = np.array([0, 0, 2j, -1 - 1j], dtype)
    b = np.array([0, 3 - 1j, 0, -4 - 4j], dtype)
    found = to_numpy(geometric_mean(each_backend.asarray(a), each_backend.asarray(b)))
    np.testing.assert_allclose(found, np.array([0, 0, 0, -2 - 2j]), rtol=0, atol=EPSILON[dtype] * 4)
    assert (found[:3] == 0).all()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_mean_of_equals(each_backend, dtype):
    """a o a = a."""
    a, _ = pairs(dtype)
    found = geometric_mean(each_backend.asarray(a), each_backend.asarray(a))
    np.testing.assert_allclose(to_numpy(found), a, rtol=4 * EPSILON[dtype])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-4, 1e4])
def test_mean_of_dim_and_bright_values(dtype, scale):
    """The dim tails of a probe keep their mean: nothing but zero makes it zero."""
    a = (scale * np.array([1, 1j, 0.6 - 0.8j])).astype(dtype)
    np.testing.assert_allclose(geometric_mean(a, a), a, rtol=1e-5)
    np.testing.assert_allclose(geometric_mean(a, 4 * a), 2 * a, rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.floats(-7, 7), st.floats(0.01, 100), st.integers(0, 1000))
def test_mean_follows_a_common_factor(phase, scale, seed):
    """(c a) o (c b) = c (a o b) for complex c, and a o b = b o a."""
    a, b = pairs(seed=seed)
    factor = scale * np.exp(1j * phase)
    mean = geometric_mean(a, b)
    np.testing.assert_allclose(geometric_mean(factor * a, factor * b), factor * mean, rtol=1e-11)
    np.testing.assert_allclose(geometric_mean(b, a), mean, rtol=1e-11)


def test_mean_of_opposite_values():
    """Opposite values have no shorter arc: zero. Next to them, a right angle on the nearer side."""
    a = np.array([1, 1j, -2, 3 - 3j])
    np.testing.assert_array_equal(geometric_mean(a, -a), 0)
    for side in (1, -1):
        found = geometric_mean(a, -a * np.exp(-1e-6j * side))
        np.testing.assert_allclose(found / a, side * 1j, rtol=0, atol=1e-6)


def literal_pass(problem, batches, alpha, beta, levels, moves_probe):
    """GM-MAGPIE in the paper's form: both factors from one residual, geometric means, weighted averages."""
    m = problem.probe_size
    obj, probe, shifts = problem.start_object.copy(), problem.probe.copy(), problem.subpixel_shifts_px
    for batch in batches:
        total, norm = np.zeros_like(obj), np.zeros(obj.shape)
        probe_total, probe_norm = np.zeros_like(probe), np.zeros(probe.shape)
        # patches that share no pixel are written as they are, dark pixels too
        alone = len(colour_groups(problem.scan_positions_px[batch], m, np.arange(len(batch)))) == 1
        for k in batch:
            row, column = problem.scan_positions_px[k]
            here = (slice(row, row + m), slice(column, column + m))
            local = probe if shifts is None else shifted(probe, shifts[k])
            patch = obj[here]
            revised = revised_exit_wave(local * patch, problem.diffraction_amplitude[k])
            _, regulariser = regularisation(local, alpha)
            proposal = literal_v_cycle(local, patch, revised, regulariser, levels)
            dense = np.abs(patch) ** 2
            probe_proposal = local + np.conj(patch) * (revised - local * patch) / (
                (1 - beta) * dense + beta * dense.max()
            )
            mean, probe_mean = literal_mean(patch, proposal), literal_mean(local, probe_proposal)
            probe_mean = probe_mean if shifts is None else shifted(probe_mean, -shifts[k])
            weight, probe_weight = np.abs(local) ** 2, dense
            if alone:
                weight = np.ones_like(weight)
            if len(batch) == 1:
                probe_weight = np.ones_like(dense)
            total[here] += weight * mean
            norm[here] += weight
            probe_total += probe_weight * probe_mean
            probe_norm += probe_weight
        obj = np.where(norm > 0, total / np.where(norm > 0, norm, 1), obj)
        if moves_probe:
            probe = np.where(probe_norm > 0, probe_total / np.where(probe_norm > 0, probe_norm, 1), probe)
    return obj, probe


@pytest.mark.parametrize("positions", PROBLEMS)
@pytest.mark.parametrize("moves_probe", [True, False], ids=["blind", "known"])
@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("batch", [1, 4])
def test_step_is_the_papers(positions, moves_probe, levels, batch):
    """One sweep is GM-rPIE (no levels) or GM-MAGPIE in the paper's own words."""
    problem = PROBLEMS[positions](noise=0.5, flat_start=False)
    solver = EMAGPIE(
        alpha=0.2,
        beta=0.4,
        levels=levels,
        sweep="minibatch",
        batch=batch,
        update_probe=moves_probe,
        hold_power=False,
    )
    rng = np.random.default_rng(6)
    batches = cut_into_batches("minibatch", problem.scan_positions_px, 16, batch, rng)
    obj, probe = literal_pass(problem, batches, 0.2, 0.4, levels, moves_probe)
    found = solver.step(problem, solver.init(problem), np.random.default_rng(6))
    np.testing.assert_allclose(found.object, obj, rtol=0, atol=1e-10 * np.abs(obj).max())
    np.testing.assert_allclose(found.probe, probe, rtol=0, atol=1e-10 * np.abs(probe).max())


@pytest.mark.parametrize("levels", [0, 3])
def test_step_lies_between_where_it_was_and_rpie(levels):
    """With one position, each pixel's modulus is the geometric mean of the old and the proposed one."""
    problem = small_problem(noise=0.5, flat_start=False)
    one = dataclasses.replace(
        problem,
        diffraction_amplitude=problem.diffraction_amplitude[:1],
        scan_positions_px=problem.scan_positions_px[:1],
    )
    rng = np.random.default_rng(0)
    found = EMAGPIE(alpha=0.2, levels=levels, update_probe=False)
    moved = found.step(one, found.init(one), rng).object
    _, regulariser = regularisation(one.probe, 0.2)
    patch = one.start_object[:16, :16]
    revised = revised_exit_wave(one.probe * patch, one.diffraction_amplitude[0])
    proposal = literal_v_cycle(one.probe, patch, revised, regulariser, levels)
    np.testing.assert_allclose(np.abs(moved[:16, :16]) ** 2, np.abs(patch * proposal), rtol=1e-10)
    np.testing.assert_array_equal(moved[16:], one.start_object[16:])
    if levels == 0:
        plain = RPIE(alpha=0.2, update_probe=False)
        np.testing.assert_allclose(
            plain.step(one, plain.init(one), rng).object[:16, :16], proposal, rtol=1e-10
        )


def test_levels_have_to_fit_the_probe():
    """A probe of 16 pixels can be halved four times."""
    EMAGPIE(levels=4).check(16)
    with pytest.raises(ValueError, match=r"levels: found 5; .*expected 0 to 4"):
        EMAGPIE(levels=5).check(16)
