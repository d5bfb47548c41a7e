"""LSQML under an unstable beam: intensity and probe of each pattern, on data that are made with both."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, fft2, to_numpy
from ptychosuite.core.problem import Found, ProbeVariation
from ptychosuite.fastforward.pull import refitted_probe
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import illuminate, intensity_of, own_probes
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.solvers.adam import Adam
from ptychosuite.solvers.emagpie import EMAGPIE
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.probe_modes import power
from ptychosuite.solvers.variations import (
    Varying,
    in_gauge,
    mode_directions,
    orthogonal_over_the_reals,
    pattern_steps,
    variation_waves,
)
from ptychosuite.testing import dot_test

from tests.conftest import small_problem
from tests.physics.test_forward import complex_random
from tests.solvers.test_contract import iterate
from tests.solvers.test_lsqml import real_vector


def unstable_problem(
    chosen=None, dtype="complex128", *, n_modes=1, intensity_rms=0.0, noise=0.0, object_size=88, modes=1
):
    """The small problem with a beam that turns about the sample and flickers, and what it does."""
    base = small_problem(object_size=object_size)
    probe, n, rng = base.reference.probe, base.n_positions, np.random.default_rng(3)
    if modes > 1:
        probe = np.stack([probe, 0.3 * np.roll(probe, 3, axis=0)])
    axis = (np.arange(16) - 8) / 16
    own = np.stack([base.probe * axis[:, None], 1j * base.probe * axis])[:n_modes]
    own *= np.linalg.norm(base.probe) / np.linalg.norm(own, axis=(1, 2))[:, None, None]
    weights = rng.standard_normal((n, n_modes)) * [0.2, 0.1][:n_modes]
    intensity = 1 + intensity_rms * rng.uniform(-1.7, 1.7, n)
    truth = ProbeVariation(
        intensity / intensity.mean(), own if n_modes else None, weights - weights.mean(0) if n_modes else None
    )
    exact = dataclasses.replace(
        base, probe=probe, variation=truth, subpixel_shifts_px=rng.uniform(-0.5, 0.5, (n, 2))
    )
    counts = intensity_of(fft2(illuminate(exact, base.reference.object, probe, slice(None)).exit_waves))
    if noise:
        counts = noise * rng.poisson(counts / noise)
    chosen, real = chosen or backend("numpy"), "float64" if dtype == "complex128" else "float32"
    problem = dataclasses.replace(
        exact,
        diffraction_amplitude=chosen.asarray(np.sqrt(counts), real),
        start_object=chosen.asarray(base.start_object, dtype),
        probe=chosen.asarray(base.probe, dtype),
        probe_known=False,
        noise=noise,
        variation=None,
    )
    return problem, truth


def residuals(problem, states):
    constants = DataConstants.of(problem)
    return [
        misfit_metrics(Found.by(s).applied_to(problem), s.object, s.probe, constants)["residual"]
        for s in states
    ]


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_varying_probe_is_found(likelihood, noise):
    """Where LSQML stalls, one mode more goes on, and its weights are the true ones but for their unit."""
    problem, truth = unstable_problem(noise=noise)
    plain, varying = (
        iterate(LSQML(likelihood=likelihood, probe_variations=count), problem, 40) for count in (0, 1)
    )
    without, with_it = (residuals(problem, [states[20], states[-1]]) for states in (plain, varying))
    assert with_it[-1] < 0.5 * without[-1]
    assert with_it[-1] < (0.8 if noise == 0 else 0.9) * with_it[0]
    found = varying[-1].found.variation
    assert abs(np.corrcoef(found.weights[:, 0], truth.weights[:, 0])[0, 1]) > 0.95
    np.testing.assert_allclose(found.weights.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(found.intensity, 1)


def test_two_modes_and_the_intensity_are_found():
    """The spaces of weights agree, and the intensities but for an exponential of the position, a gauge."""
    problem, truth = unstable_problem(n_modes=2, intensity_rms=0.15)
    states = iterate(LSQML(probe_variations=2, intensity=True), problem, 80)
    found = states[-1].found.variation
    spaces = [np.linalg.qr(each.weights - each.weights.mean(0))[0] for each in (found, truth)]
    assert np.linalg.svd(spaces[0].T @ spaces[1])[1].min() > 0.85
    assert found.intensity.mean() == pytest.approx(1)
    gauge = np.column_stack([np.ones(problem.n_positions), problem.positions_px])
    logarithms = np.log([found.intensity, truth.intensity]).T
    logarithms -= gauge @ np.linalg.lstsq(gauge, logarithms, rcond=None)[0]
    assert np.corrcoef(logarithms.T)[0, 1] > 0.8
    assert (
        residuals(problem, states[-1:])[0] < 0.4 * residuals(problem, iterate(LSQML(), problem, 80)[-1:])[0]
    )


def test_nothing_is_found_before_the_start_and_where_nothing_is_asked_for():
    problem, _ = unstable_problem(object_size=40)
    assert all(s.found is None for s in iterate(LSQML(), problem, 3))
    states = iterate(LSQML(intensity=True, variation_start=2), problem, 3)
    assert [s.found is None for s in states] == [True, True, True, False]
    assert states[-1].found.variation.modes is None


@pytest.mark.parametrize("modes", [1, 2])
@pytest.mark.parametrize("n_modes", [0, 2])
@pytest.mark.parametrize("with_intensity", [True, False])
def test_pattern_steps_are_least_squares(each_backend, modes, n_modes, with_intensity):
    """(a): each pattern's numbers are NumPy's least-squares solution, but for the ridge."""
    if not (n_modes or with_intensity):
        return
    rng = np.random.default_rng(0)
    shape = (5, 8, 8) if modes == 1 else (5, modes, 8, 8)
    psi, chi, waves = (
        complex_random(rng, *shape),
        complex_random(rng, *shape),
        complex_random(rng, 5, n_modes, 8, 8),
    )
    to = each_backend.asarray
    c, v = pattern_steps(to(psi) if with_intensity else None, to(waves), to(chi))
    assert c.shape == (5,)
    assert v.shape == (5, n_modes)
    for k in range(5):
        columns = [real_vector(psi[k])] if with_intensity else []
        for wave in waves[k]:
            own = wave if modes == 1 else np.stack([wave, *np.zeros((modes - 1, 8, 8))])
            columns.append(real_vector(own))
        matrix = np.stack(columns, axis=1)
        normal = matrix.T @ matrix
        expected = np.linalg.solve(normal + 1e-3 * np.diag(np.diag(normal)), matrix.T @ real_vector(chi[k]))
        np.testing.assert_allclose(
            np.append(c[k : k + 1] if with_intensity else [], v[k]), expected, rtol=1e-8
        )


def test_pattern_steps_where_there_is_no_light():
    """A pattern without exit wave gets 0, and no neighbour of it another step."""
    rng = np.random.default_rng(1)
    psi, chi, waves = (
        complex_random(rng, 2, 8, 8),
        complex_random(rng, 2, 8, 8),
        complex_random(rng, 2, 1, 8, 8),
    )
    expected = [x[1] for x in pattern_steps(psi, waves, chi)]
    psi[0], waves[0] = 0, 0
    c, v = pattern_steps(psi, waves, chi)
    assert (c[0], v[0, 0]) == (0, 0)
    np.testing.assert_allclose([c[1], *v[1]], [expected[0], *expected[1]])


@pytest.mark.parametrize("modes", [1, 2])
def test_mode_directions_are_a_gradient(modes):
    """(c): times its divisor it is the slope of <chi, sum_j w_kj U_j laid on the patches> along U."""
    problem, truth = unstable_problem(object_size=40, n_modes=2, intensity_rms=0.2, modes=modes)
    batch, rng = np.array([3, 1, 7, 12]), np.random.default_rng(0)
    probe = np.stack([problem.probe] * 2) if modes == 2 else problem.probe
    lit = illuminate(dataclasses.replace(problem, variation=truth), problem.start_object, probe, batch)
    chi = complex_random(rng, 4, 16, 16)

    def explained(change):
        waves = variation_waves(dataclasses.replace(truth, modes=change), lit)
        return np.einsum("kj,kjyx->kyx", truth.weights[batch], waves)

    weight = truth.weights[batch] ** 2
    z = np.abs(lit.patches if modes == 1 else lit.patches[:, 0]) ** 2 * truth.intensity[batch, None, None]
    divisor = np.einsum("kj,kyx->jyx", weight, z)
    divisor += (truth.weights**2).mean(0)[:, None, None] * z.sum(0)
    divisor += 0.05 * divisor.max(axis=(1, 2), keepdims=True)
    gradient = mode_directions(truth.weights, batch, lit, chi) * divisor
    direction = complex_random(rng, *truth.modes.shape)
    slope = np.vdot(explained(direction), chi).real
    assert np.vdot(direction, gradient).real == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("modes", [1, 2])
def test_the_gauge_changes_no_exit_wave(each_backend, known, modes):
    """Mean intensity 1, orthogonal modes of the probe's norm, no common part: the same exit waves."""
    problem, truth = unstable_problem(each_backend, object_size=40, n_modes=2, intensity_rms=0.3)
    rng, to = np.random.default_rng(0), each_backend.asarray
    variation = ProbeVariation(
        2 * truth.intensity, to(complex_random(rng, 2, 16, 16)), rng.standard_normal((problem.n_positions, 2))
    )
    probe = to(complex_random(rng, *((modes, 16, 16) if modes > 1 else (16, 16))))
    obj = to(complex_random(rng, 40, 40))
    after, new_object, new_probe = in_gauge(variation, obj, probe, not known)
    waves = [
        to_numpy(illuminate(dataclasses.replace(problem, variation=v), o, p, slice(None)).exit_waves)
        for v, o, p in ((variation, obj, probe), (after, new_object, new_probe))
    ]
    np.testing.assert_allclose(waves[1], waves[0], rtol=0, atol=1e-10)
    assert after.intensity.mean() == pytest.approx(1)
    rows = np.stack([real_vector(to_numpy(mode)) for mode in after.modes])
    first = to_numpy(new_probe if modes == 1 else new_probe[0])
    np.testing.assert_allclose(rows @ rows.T, np.linalg.norm(first) ** 2 * np.eye(2), atol=1e-8)
    assert known or np.abs(after.weights.mean(axis=0)).max() < 1e-12
    assert np.array_equal(to_numpy(new_probe), to_numpy(probe)) == known


def test_orthogonal_modes_of_less_than_they_are():
    """Two modes that are one, and weights that are all 0: finite, and the same sum."""
    rng = np.random.default_rng(0)
    one, weights = complex_random(rng, 1, 8, 8), rng.standard_normal((6, 2))
    for modes, w in ((np.concatenate([one, 2 * one]), weights), (complex_random(rng, 2, 8, 8), 0 * weights)):
        new_modes, new_weights = orthogonal_over_the_reals(modes, w)
        before, after = (np.einsum("kj,jyx->kyx", *pair) for pair in ((w, modes), (new_weights, new_modes)))
        np.testing.assert_allclose(after, before, atol=1e-5)
        assert np.isfinite(new_modes).all()


def test_first_modes_are_the_probes_moments():
    problem, truth = unstable_problem(object_size=40, n_modes=2)
    first = Varying(3, True, 1.0).first(problem, problem.probe)
    rows = np.stack([mode.ravel() for mode in (problem.probe, *first.modes)])
    np.testing.assert_allclose(
        rows.conj() @ rows.T, np.sum(np.abs(problem.probe) ** 2) * np.eye(4), atol=1e-8
    )
    assert not first.weights.any()
    known = dataclasses.replace(problem, variation=truth)
    assert Varying(2, True, 1.0).first(known, problem.probe) is truth


@pytest.mark.parametrize("modes", [1, 2])
def test_laying_a_probe_on_the_patches_and_its_adjoint(modes):
    problem, truth = unstable_problem(object_size=40, n_modes=0, intensity_rms=0.3)
    shape = (16, 16) if modes == 1 else (modes, 16, 16)
    probe = complex_random(np.random.default_rng(0), *shape)
    lit = illuminate(
        dataclasses.replace(problem, variation=truth), problem.start_object, probe, np.array([2, 0, 5])
    )
    np.testing.assert_allclose(lit.laid(probe), lit.probes)
    dot_test(lit.laid, lit.laid_adjoint, shape, (3, *shape))


def test_precisions_and_backends_agree(each_backend):
    """Single precision stays single; ten iterations on every backend are NumPy's in double to 1e-3."""
    solver = LSQML(probe_variations=2, intensity=True, variation_start=2, probe_modes=2)
    reference = iterate(solver, unstable_problem(noise=0.2, object_size=40)[0], 6)[-1]
    for dtype, tolerance in (("complex64", 2e-2), ("complex128", 1e-6)):
        end = iterate(solver, unstable_problem(each_backend, dtype, noise=0.2, object_size=40)[0], 6)[-1]
        assert to_numpy(end.found.variation.modes).dtype == dtype
        assert to_numpy(end.object).dtype == to_numpy(end.probe).dtype == dtype
        np.testing.assert_allclose(to_numpy(end.object), reference.object, rtol=0, atol=tolerance)
        np.testing.assert_allclose(
            end.found.variation.intensity, reference.found.variation.intensity, atol=tolerance
        )
        assert np.sum(np.abs(to_numpy(end.probe)) ** 2) == pytest.approx(
            np.sum(np.abs(reference.probe) ** 2), rel=1e-4
        )


def exact_problem(**settings):
    """The unstable problem at its truth, which knows how its beam varies."""
    problem, truth = unstable_problem(**settings)
    return dataclasses.replace(
        problem, start_object=problem.reference.object.copy(), probe=problem.reference.probe, variation=truth
    )


def waves_of(problem, state):
    seen = Found.by(state).applied_to(problem)
    return to_numpy(illuminate(seen, state.object, state.probe, slice(None)).exit_waves)


@pytest.mark.parametrize("sweep", ["sequential", "minibatch"])
@pytest.mark.parametrize("solver", [EPIE(), RPIE(), EMAGPIE(levels=2)], ids=lambda each: each.label)
def test_the_truth_stays_under_a_beam_that_varies(solver, sweep):
    """What a pattern has of its own is not taken for the probe that all share."""
    problem = exact_problem(n_modes=1, intensity_rms=0.1)
    solver = dataclasses.replace(solver, sweep=sweep, batch=8)
    after = solver.step(problem, solver.init(problem), np.random.default_rng(0))
    for now, exact in ((after.object, problem.start_object), (after.probe, problem.probe)):
        np.testing.assert_allclose(now, exact, rtol=0, atol=1e-9 * np.abs(exact).max())


@pytest.mark.parametrize("solver", [EPIE(), Adam(), LSQML()], ids=lambda each: each.label)
def test_the_power_is_settled_with_the_variation(solver):
    """Exit waves are the same by a probe, and modes of its variation, of another scale."""
    problem = exact_problem(n_modes=2)
    start = solver.init(problem)
    start = dataclasses.replace(
        start,
        object=start.object / 2,
        probe=2 * start.probe,
        found=Found(variation=dataclasses.replace(problem.variation, modes=2 * problem.variation.modes)),
    )
    before = waves_of(problem, start)
    after = solver.settled(problem, start)
    np.testing.assert_allclose(waves_of(problem, after), before, rtol=0, atol=1e-12 * np.abs(before).max())
    assert power(after.probe) == pytest.approx(power(problem.probe))


def test_modes_that_vary_are_not_mixed():
    """Intensities stay: the variation belongs to the first mode alone."""
    problem = exact_problem(n_modes=1, modes=2)
    skew = np.stack([problem.probe, problem.probe * np.linspace(0.1, 0.6, 16)])
    state = dataclasses.replace(
        LSQML(probe_modes=2).init(problem), probe=skew, found=Found(variation=problem.variation)
    )
    before = np.sum(np.abs(waves_of(problem, state)) ** 2, axis=1)
    after = np.sum(np.abs(waves_of(problem, LSQML(probe_modes=2).settled(problem, state))) ** 2, axis=1)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-12 * before.max())


@pytest.mark.parametrize("later", [{"intensity": True}, {"probe_variations": 1}, {"probe_variations": 3}])
def test_what_an_earlier_stage_has_found_stays(later):
    """Modes that nobody asks for stay as they are; of fewer the strongest, and others join them."""
    problem = exact_problem(n_modes=2)
    state = dataclasses.replace(LSQML().init(problem), found=Found(variation=problem.variation))
    seen = state.found.applied_to(problem)
    first = Varying(later.get("probe_variations", 0), "intensity" in later, 0.9).first(seen, problem.probe)
    kept = min(len(first.modes), 2)
    np.testing.assert_array_equal(first.modes[:kept], problem.variation.modes[:kept])
    np.testing.assert_array_equal(first.weights[:, :kept], problem.variation.weights[:, :kept])
    assert not first.weights[:, kept:].any()
    after = LSQML(variation_start=0, **later).step(problem, state, np.random.default_rng(0))
    assert np.isfinite(after.found.variation.weights).all()
    assert len(after.found.variation.modes) == later.get("probe_variations", 2)


@pytest.mark.parametrize("n_modes", [0, 1])
def test_the_refit_of_the_probe_knows_the_light_of_each_pattern(n_modes):
    """Least squares, literally; from another scale it is there at once where the object is."""
    problem = exact_problem(n_modes=n_modes, intensity_rms=0.4)
    found = refitted_probe(problem, problem.start_object, 1.2 * problem.probe)
    lit = illuminate(problem, problem.start_object, 1.2 * problem.probe, slice(None))
    chi = exit_wave_correction(lit.exit_waves, problem.diffraction_amplitude)
    root = np.sqrt(problem.variation.intensity)[:, None, None]
    total = np.sum(own_probes(root * np.conj(lit.patches) * chi, lit.phases), axis=0)
    weight = np.sum(root**2 * np.abs(lit.patches) ** 2, axis=0)
    np.testing.assert_allclose(found, 1.2 * problem.probe + total / weight, rtol=0, atol=1e-12)
    if n_modes == 0:  # but for positions between pixels
        np.testing.assert_allclose(found, problem.probe, rtol=0, atol=2e-3 * np.abs(problem.probe).max())
