"""MAGPIE against the paper's literal form, and what the paper proves of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.solvers.magpie import MAGPIE
from ptychosuite.solvers.multigrid import hierarchy, prolong, restrict, v_cycle
from ptychosuite.solvers.pie import EPIE, RPIE, regularisation
from ptychosuite.solvers.sweep import sweep

from tests.conftest import small_problem
from tests.oracles import magpie_literal as literal

M = 16


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def probe_of(kind, rng, m=M):
    """Probes from everywhere bright to mostly dark."""
    probe = complex_random(rng, m, m)
    if kind == "dark regions":
        probe[: m // 2, m // 4 :] = 0
        probe[m // 2 :, : m // 2] *= 1e-6
    elif kind == "one pixel":
        probe = np.where(np.arange(m * m).reshape(m, m) == m + 1, probe, 0)
    elif kind == "averages vanish":
        probe[::2, ::2] = -(probe[1::2, ::2] + probe[::2, 1::2] + probe[1::2, 1::2])
        probe[: m // 2, : m // 2] = np.tile([[1, -1], [1, -1]], (m // 4, m // 4))
    return probe


PROBES = ["bright", "dark regions", "one pixel", "averages vanish"]


@pytest.mark.parametrize("levels", range(5))
@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_v_cycle_is_the_papers(kind, levels, alpha):
    """Carrying the gradient down gives the patch of the literal construction, dark probes included."""
    rng = np.random.default_rng(levels)
    probe, patch = probe_of(kind, rng), complex_random(rng, M, M)
    revised = literal.revised_exit_wave(probe * patch, rng.uniform(0, 20, (M, M)))
    _, u = regularisation(probe, alpha)
    expected = literal.literal_v_cycle(probe, patch, revised, u, levels)
    gradient = np.conj(probe) * (revised - probe * patch)
    found = patch + v_cycle(gradient, hierarchy(probe, u, levels))
    assert np.linalg.norm(found - expected) <= 1e-12 * np.linalg.norm(expected)


@pytest.mark.parametrize("levels", [1, 2])
def test_v_cycle_where_the_coarse_probe_vanishes(levels):
    """Bins whose probe averages to exactly 0 get no coarse correction, as in the literal form."""
    rng = np.random.default_rng(1)
    probe = np.tile([[1.0, -1.0], [1.0, -1.0]], (M // 2, M // 2)).astype(complex)
    probe[M // 2 :] = complex_random(rng, M // 2, M)
    patch = complex_random(rng, M, M)
    revised = complex_random(rng, M, M)
    _, u = regularisation(probe, 0.1)
    expected = literal.literal_v_cycle(probe, patch, revised, u, levels)
    found = patch + v_cycle(np.conj(probe) * (revised - probe * patch), hierarchy(probe, u, levels))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("levels", range(5))
def test_sweep_is_the_papers(levels):
    """One whole iteration on noisy data equals a literal sweep in the same order."""
    problem = small_problem(noise=0.5)
    solver = MAGPIE(alpha=0.05, levels=levels)
    found = solver.step(problem, solver.init(problem), np.random.default_rng(3)).object
    expected = literal.literal_sweep(
        problem.start_object,
        problem.probe,
        problem.diffraction_amplitude,
        problem.scan_positions_px,
        np.random.default_rng(3).permutation(problem.n_positions),
        alpha=0.05,
        levels=levels,
    )
    assert np.linalg.norm(found - expected) <= 1e-12 * np.linalg.norm(expected)


def test_v_cycle_in_batches(each_backend):
    """Leading axes are independent patches, on every backend."""
    rng = np.random.default_rng(0)
    probe, gradients = probe_of("dark regions", rng), complex_random(rng, 3, M, M)
    _, u = regularisation(probe, 0.05)
    expected = [v_cycle(g, hierarchy(probe, u, 3)) for g in gradients]
    found = v_cycle(each_backend.asarray(gradients), hierarchy(*map(each_backend.asarray, (probe, u)), 3))
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-12, atol=1e-12)


def test_restriction_and_prolongation(each_backend):
    """D U is the identity, and 4 D is the adjoint of U."""
    rng = np.random.default_rng(0)
    fine, coarse = complex_random(rng, 2, 8, 12), complex_random(rng, 2, 4, 6)
    Df, Uc = restrict(each_backend.asarray(fine)), prolong(each_backend.asarray(coarse))
    np.testing.assert_allclose(to_numpy(restrict(Uc)), coarse, rtol=1e-15)
    np.testing.assert_allclose(to_numpy(Df)[1], literal.average(fine[1]), rtol=1e-14)
    np.testing.assert_array_equal(to_numpy(Uc)[1], literal.repeat(coarse[1]))
    assert np.vdot(fine, to_numpy(Uc)) == pytest.approx(4 * np.vdot(to_numpy(Df), coarse), rel=1e-13)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_no_levels_is_rpie(each_backend, dtype):
    """L = 0 equals rPIE bit for bit."""
    problem = small_problem(each_backend, dtype, noise=0.5)
    assert_same_iterates(problem, MAGPIE(alpha=0.03, levels=0), RPIE(alpha=0.03))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_rpie_at_one_is_epie(each_backend, dtype):
    """alpha = 1 equals ePIE bit for bit, and ePIE divides by max |Q|^2 everywhere."""
    problem = small_problem(each_backend, dtype, noise=0.5)
    assert_same_iterates(problem, RPIE(alpha=1.0), EPIE())
    largest = float((problem.probe.real**2 + problem.probe.imag**2).max())
    weights = to_numpy(EPIE().object_weights(problem.probe))
    np.testing.assert_allclose(weights * largest, np.ones_like(weights), rtol=1e-6)


def assert_same_iterates(problem, one, other):
    first, second = one.init(problem), other.init(problem)
    for iteration in range(3):
        first = one.step(problem, first, np.random.default_rng(iteration))
        second = other.step(problem, second, np.random.default_rng(iteration))
    assert bool((first.object == second.object).all())


@pytest.mark.parametrize("levels", [0, 4])
def test_disjoint_patches_commute(levels):
    """Patches that do not overlap may be updated in either order; overlapping ones may not."""
    problem = small_problem(noise=0.5)
    solver = MAGPIE(alpha=0.05, levels=levels)

    def swept(order):
        return sweep(solver, problem, problem.start_object, problem.probe, np.array(order)[:, None])[0]

    apart = np.abs(problem.scan_positions_px - problem.scan_positions_px[0]).max(axis=1) >= problem.probe_size
    k = int(np.flatnonzero(apart)[0])
    np.testing.assert_array_equal(swept([0, k]), swept([k, 0]))
    assert not np.array_equal(swept([0, 1]), swept([1, 0]))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_surrogate_majorises_the_misfit(seed):
    """Proposition 3.1: ||Q x - R(z)||^2 >= ||Q x - R(x)||^2 for all x, equal in value and slope at z."""
    rng = np.random.default_rng(seed)
    probe, z, x = (complex_random(rng, 8, 8) for _ in range(3))
    x = z + rng.choice([1e-3, 1e-1, 1, 10]) * x
    amplitude = rng.uniform(0, 20, (8, 8))
    fixed = literal.revised_exit_wave(probe * z, amplitude)

    def misfit(v):
        return 0.5 * np.linalg.norm(probe * v - literal.revised_exit_wave(probe * v, amplitude)) ** 2

    def surrogate(v):
        return 0.5 * np.linalg.norm(probe * v - fixed) ** 2

    assert surrogate(x) >= misfit(x) * (1 - 1e-12)
    assert surrogate(z) == pytest.approx(misfit(z), rel=1e-12)
    d = 1e-6 * complex_random(rng, 8, 8)
    slopes = [f(z + d) - f(z - d) for f in (misfit, surrogate)]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-4, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(0, 4), st.sampled_from(PROBES), st.sampled_from([0.01, 0.1, 1.0]))
def test_v_cycle_descends(seed, levels, kind, alpha):
    """The V-cycle's step points downhill: Re <g, e> > 0, g being minus the gradient."""
    rng = np.random.default_rng(seed)
    probe, patch = probe_of(kind, rng), complex_random(rng, M, M)
    revised = literal.revised_exit_wave(probe * patch, rng.uniform(0, 20, (M, M)))
    gradient = np.conj(probe) * (revised - probe * patch)
    _, u = regularisation(probe, alpha)
    step = v_cycle(gradient, hierarchy(probe, u, levels))
    assert np.vdot(gradient, step).real > 0


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(0, 4))
def test_patch_misfit_falls(seed, levels):
    """One V-cycle lowers the patch's own misfit, from a smooth object and noisy data."""
    problem = small_problem(noise=0.5, seed=seed % 1000)
    solver = MAGPIE(alpha=0.05, levels=levels)
    k = seed % problem.n_positions
    row, column = problem.scan_positions_px[k]
    here = (slice(row, row + M), slice(column, column + M))

    def misfit(obj):
        wave = problem.probe * obj[here]
        revised = literal.revised_exit_wave(wave, problem.diffraction_amplitude[k])
        return np.linalg.norm(wave - revised)

    obj = problem.start_object.copy()
    before = misfit(obj)
    obj, _ = sweep(solver, problem, problem.start_object, problem.probe, np.array([[k]]))
    assert misfit(obj) < before


@pytest.mark.parametrize(
    ("size", "levels", "fits"), [(16, 4, True), (16, 5, False), (24, 3, True), (24, 4, False)]
)
def test_levels_have_to_fit_the_probe(size, levels, fits):
    """The probe's size must be divisible by 2^L; the message names the field and the deepest level."""
    if fits:
        MAGPIE(levels=levels).check(size)
    else:
        with pytest.raises(ValueError, match=rf"^levels: .*{levels - 1}"):
            MAGPIE(levels=levels).check(size)
