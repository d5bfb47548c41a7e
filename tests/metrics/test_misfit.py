"""Misfit metrics against their formulas, written out."""

import dataclasses

import numpy as np
import pytest
import scipy.special
import scipy.stats
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics, pattern_misfit
from ptychosuite.physics.forward import detector_waves

from tests.conftest import small_problem


def figures_of(problem, obj=None):
    obj = problem.start_object if obj is None else obj
    return misfit_metrics(problem, obj, problem.probe, DataConstants.of(problem))


def literal(problem, obj):
    """The four figures, position by position, in double precision."""
    m, eta = problem.probe_size, problem.noise or 1.0
    probe = to_numpy(problem.probe).astype(complex)
    residual, norms, rates = 0.0, [], []
    amplitudes = to_numpy(problem.diffraction_amplitude).astype(float)
    for (row, column), amplitude in zip(problem.scan_positions_px, amplitudes, strict=True):
        psi = probe * obj[row : row + m, column : column + m]
        wave = np.fft.fft2(psi)
        revised = np.fft.ifft2(amplitude * np.exp(1j * np.angle(wave)))
        residual += 0.5 * np.linalg.norm(psi - revised) ** 2
        norms.append(np.linalg.norm(np.conj(probe) * (revised - psi)))
        rates.append(np.abs(wave) ** 2 / eta)
    counts, rates = amplitudes**2 / eta, np.array(rates)
    return {
        "residual": residual,
        "gradient_norm": sum(norms) / (problem.n_positions * m),
        "poisson_nll": -scipy.stats.poisson.logpmf(np.rint(counts), rates).sum(),
        "poisson_deviance": 2
        * np.mean(scipy.special.xlogy(counts, counts) - counts * np.log(rates) - counts + rates),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [("complex64", 1e-4), ("complex128", 1e-9)])
@pytest.mark.parametrize("noise", [0.2, 2.0])
def test_figures_are_the_formulas(each_backend, dtype, tolerance, noise):
    """Residual, gradient norm, NLL (SciPy's) and deviance for an object away from the truth."""
    problem = small_problem(each_backend, dtype, noise=noise)
    found = figures_of(problem)
    expected = literal(problem, to_numpy(problem.start_object).astype(complex))
    assert found == pytest.approx(expected, rel=tolerance)


def test_noiseless_data_count_as_photons():
    """eta is 1 where the data are noiseless, and the deviance of the truth is 0."""
    problem = small_problem()
    assert problem.photon_scale == 1.0
    figures = figures_of(problem, problem.reference.object)
    assert figures["residual"] == pytest.approx(0, abs=1e-20)
    assert figures["gradient_norm"] == pytest.approx(0, abs=1e-12)
    assert figures["poisson_deviance"] == pytest.approx(0, abs=1e-10)


def test_deviance_at_the_noise_limit():
    """Near 1 for the true object on data of many counts."""
    problem = small_problem(noise=0.002, object_size=64)
    assert figures_of(problem, problem.reference.object)["poisson_deviance"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-7])
def test_deviance_in_single_precision(noise):
    """Of bright data too, single precision gives the deviance that double precision gives, to 10 %."""
    single, double = (
        figures_of(problem, problem.reference.object.astype(dtype))["poisson_deviance"]
        for dtype in ("complex64", "complex128")
        for problem in [small_problem(dtype=dtype, noise=noise)]
    )
    assert single == pytest.approx(double, rel=0.1)


def test_truth_beats_its_neighbours_in_likelihood():
    """The NLL of the truth is below that of a perturbed object; the deviance differs by a constant."""
    problem = small_problem(noise=0.05)
    truth = problem.reference.object
    at_truth, beside = figures_of(problem, truth), figures_of(problem, 1.02 * truth)
    assert at_truth["poisson_nll"] < beside["poisson_nll"]
    pixels = problem.diffraction_amplitude.size
    rise = beside["poisson_nll"] - at_truth["poisson_nll"]
    deviance_rise = beside["poisson_deviance"] - at_truth["poisson_deviance"]
    assert 2 * rise / pixels == pytest.approx(deviance_rise, rel=1e-9)


def test_global_phase_changes_nothing():
    """The data do not know it."""
    problem = small_problem(noise=0.2)
    obj = problem.reference.object * 0.9
    assert figures_of(problem, obj * np.exp(1.3j)) == pytest.approx(figures_of(problem, obj), rel=1e-10)


def test_batches_do_not_show(monkeypatch):
    """Metrics in batches of two patterns are those of the whole scan."""
    problem = small_problem(noise=0.2)
    whole = figures_of(problem)
    monkeypatch.setattr("ptychosuite.core.problem.BATCH_PIXELS", 2 * problem.probe_size**2)
    assert figures_of(problem) == pytest.approx(whole, rel=1e-12)


def test_dark_model_stays_finite(each_backend):
    """An object of zeros explains nothing, and says so with finite numbers."""
    problem = small_problem(each_backend, "complex64", noise=0.2)
    figures = figures_of(problem, problem.start_object * 0)
    assert all(np.isfinite(value) for value in figures.values())
    total = float((to_numpy(problem.diffraction_amplitude).astype(float) ** 2).sum())
    assert figures["residual"] == pytest.approx(total / (2 * problem.probe_size**2), rel=1e-5)


def test_not_a_number_shows():
    """NaN in the object reaches the residual."""
    problem = small_problem(noise=0.2)
    obj = problem.start_object.copy()
    obj[20, 20] = np.nan
    with np.errstate(invalid="ignore"):
        assert np.isnan(figures_of(problem, obj)["residual"])


def test_constants_of_the_data():
    """What a model that meets every count cannot avoid, and the residual of an object of zeros."""
    problem = dataclasses.replace(
        small_problem(noise=2.0),
        diffraction_amplitude=np.sqrt(2.0 * np.array([[[0, 1], [3, 4]]])),
        scan_positions_px=np.array([[0, 0]]),
        probe=np.ones((2, 2), complex),
        noise=2.0,
    )
    constants = DataConstants.of(problem)
    counts = np.array([0, 1, 3, 4])
    assert constants.saturated_nll == pytest.approx(-scipy.stats.poisson.logpmf(counts, counts).sum())
    assert constants.dark_residual == pytest.approx(2.0 * counts.sum() / (2 * 4))
    assert constants.pixels == 4


@pytest.mark.parametrize("factor", [1e-4, 1e3 * np.exp(1j)])
def test_no_figure_depends_on_the_gauge_of_an_unknown_probe(factor):
    """z -> c z, Q -> Q / c is no change; at the start the gradient norm is that of a known probe."""
    known = small_problem(noise=0.3, flat_start=False)
    blind = dataclasses.replace(known, probe_known=False)
    constants = DataConstants.of(known)
    start = misfit_metrics(blind, known.start_object, known.probe, constants)
    moved = misfit_metrics(blind, factor * known.start_object, known.probe / factor, constants)
    assert start == misfit_metrics(known, known.start_object, known.probe, constants)
    assert moved == pytest.approx(start, rel=1e-9)
    changed = misfit_metrics(known, factor * known.start_object, known.probe / factor, constants)
    assert changed["gradient_norm"] == pytest.approx(start["gradient_norm"] / abs(factor), rel=1e-9)


def test_a_probe_that_has_vanished_meets_no_tolerance():
    blind = dataclasses.replace(small_problem(noise=0.3), probe_known=False)
    found = misfit_metrics(blind, blind.start_object, 0 * blind.probe, DataConstants.of(blind))
    assert not found["gradient_norm"] < np.inf


def test_the_misfit_of_a_pattern_is_over_its_own_pixels():
    """Also where half of them are bad in it alone; of one that has none it is not known."""
    problem, rng = small_problem(noise=0.05), np.random.default_rng(0)
    valid = np.ones(problem.diffraction_amplitude.shape, bool)
    valid[0] = rng.uniform(size=valid[0].shape) < 0.5
    valid[1] = False
    some = dataclasses.replace(problem, valid_pixels=valid)
    found = pattern_misfit(some, problem.reference.object, problem.probe)
    lit = detector_waves(problem.reference.object, problem.probe, problem.scan_positions_px)
    rate, counts = np.abs(lit) ** 2 / 0.05, problem.diffraction_amplitude**2 / 0.05
    terms = 2 * (scipy.special.xlogy(counts, counts / rate) - counts + rate)
    expected = [term[good].mean() if good.any() else np.nan for term, good in zip(terms, valid, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
