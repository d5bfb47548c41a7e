"""LSQML and Adam on data of partially coherent light, and of positions that were recorded wrongly."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import fft2, to_numpy
from ptychosuite.core.found import Found
from ptychosuite.core.problem import Reference
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import illuminate, intensity_of
from ptychosuite.solvers.adam import Adam
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.probe_modes import modes_from
from scipy.ndimage import gaussian_filter

from tests.conftest import small_problem
from tests.solvers.test_contract import iterate

SOLVERS = {
    "lsqml": LSQML(),
    "lsqml-poisson": LSQML(likelihood="poisson"),
    "adam": Adam(batch=8, learning_rate=0.05, schedule="plateau", patience=3),
    "adam-amplitude": Adam(
        likelihood="amplitude", batch=8, learning_rate=0.05, schedule="plateau", patience=3
    ),
}


def textured_problem():
    """A known probe on an object with structure everywhere; a point of it is seen some ten times."""
    rng = np.random.default_rng(0)
    base = small_problem(object_size=72, probe_size=24, step=6)
    modulus, phase = (gaussian_filter(rng.standard_normal((72, 72)), 1.2) for _ in range(2))
    obj = (0.8 + 0.1 * np.clip(modulus / modulus.std(), -2, 2)) * np.exp(0.7j * phase / phase.std())
    y, x = np.mgrid[:24, :24] - 11.5
    probe = np.exp((0.05j - 0.025) * (y**2 + x**2))
    return dataclasses.replace(base, probe=probe, reference=Reference(obj, probe, base.scan_positions_px))


def residual(problem, state):
    seen = Found.by(state).applied_to(problem)
    return misfit_metrics(seen, state.object, state.probe, DataConstants.of(problem))["residual"]


def with_counts(problem, probe, positions_px=None):
    """``problem`` with the noiseless data of ``probe``, and of other positions."""
    exact = problem if positions_px is None else problem.at(positions_px)
    counts = intensity_of(fft2(illuminate(exact, problem.reference.object, probe, slice(None)).exit_waves))
    return dataclasses.replace(problem, diffraction_amplitude=np.sqrt(counts))


@pytest.mark.parametrize("name", SOLVERS)
def test_modes_meet_what_one_cannot(name):
    """Modes of 80 and 20 %: one alone stalls, two go on, orthogonal, strongest first, with the power held."""
    base = textured_problem()
    truth = modes_from(base.probe, 2)
    truth *= np.sqrt([0.8 / 0.96, 0.2 / 0.04])[:, None, None]
    problem = dataclasses.replace(with_counts(base, truth), probe_known=False)
    one, two = (
        iterate(dataclasses.replace(SOLVERS[name], probe_modes=count), problem, 60)[-1] for count in (1, 2)
    )
    assert residual(problem, two) < 0.4 * residual(problem, one)
    gram = np.einsum("iyx,jyx->ij", two.probe.conj(), two.probe)
    assert abs(gram[0, 1]) < 1e-8 * gram[0, 0].real
    assert np.trace(gram).real == pytest.approx(np.sum(np.abs(base.probe) ** 2))
    assert gram[1, 1].real / np.trace(gram).real == pytest.approx(0.2, abs=0.07)


@pytest.mark.parametrize("name", SOLVERS)
def test_modes_on_every_backend(name, each_backend):
    """Three modes, corrected positions: NumPy's numbers, and single precision stays single."""
    solver = dataclasses.replace(
        SOLVERS[name], probe_modes=3, positions="gradient", positions_start=1, update_probe=True
    )
    base = small_problem(noise=0.2, flat_start=False)
    expected = iterate(solver, base, 4)[-1]
    for dtype, tolerance in (("complex64", 2e-2), ("complex128", 1e-7)):
        found = iterate(solver, small_problem(each_backend, dtype, noise=0.2, flat_start=False), 4)[-1]
        assert to_numpy(found.object).dtype == to_numpy(found.probe).dtype == dtype
        np.testing.assert_allclose(to_numpy(found.object), expected.object, rtol=0, atol=tolerance)
        np.testing.assert_allclose(found.found.positions_px, expected.found.positions_px, atol=tolerance)


@pytest.mark.parametrize("name", SOLVERS)
def test_positions_are_found(name):
    """Recorded wrong by 0.7 px rms: the error falls below 0.4 of it, the misfit to a fifth."""
    base, rng = textured_problem(), np.random.default_rng(0)
    true = np.clip(base.scan_positions_px + 0.7 * rng.standard_normal((base.n_positions, 2)), 0, 48)
    problem = with_counts(base, base.probe, true)
    plain = iterate(SOLVERS[name], problem, 60)[-1]
    state = iterate(dataclasses.replace(SOLVERS[name], positions="gradient"), problem, 60)[-1]
    given, left = (
        np.sqrt(np.mean((x - x.mean(axis=0)) ** 2))
        for x in (problem.positions_px - true, state.found.positions_px - true)
    )
    assert left < 0.4 * given
    assert residual(problem, state) < 0.2 * residual(problem, plain)
