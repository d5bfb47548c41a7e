"""Simulated data."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.runs import RunSpec
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.problems.build import build_problem

SPEC = RunSpec(
    problem={
        "object": {"kind": "texture", "size": 64},
        "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6.0},
        "scan": {"kind": "jittered-raster", "overlap": 0.5, "jitter_px": 2},
        "noise": 0.05,
    },
    solver={"name": "rpie"},
    stop={"iterations": 1},
    dtype="complex128",
)


def changed(**problem):
    return dataclasses.replace(SPEC, problem={**SPEC.problem, **problem})


def made(spec=SPEC, name="numpy"):
    return build_problem(spec, backend(name))


def counts_and_rates(spec):
    problem = made(spec)
    reference = problem.reference
    rates = diffraction_intensity(reference.object, reference.probe, reference.scan_positions_px)
    return problem.diffraction_amplitude[:] ** 2 / spec.problem["noise"], rates / spec.problem["noise"]


@pytest.mark.parametrize("noise", [0.05, 0.4])
def test_noise_is_poissons(noise):
    """d / eta are whole counts whose mean and variance are the rate |F psi|^2 / eta."""
    counts, rates = counts_and_rates(changed(noise=noise))
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
    deviation = counts - rates
    n = rates.size
    assert abs(deviation.sum()) < 4 * np.sqrt(rates.sum())
    assert np.sum(deviation**2) / rates.sum() == pytest.approx(1, abs=5 * np.sqrt(2 / n) + 0.1)
    bright = rates > 20
    assert bright.sum() > 100
    assert np.mean(deviation[bright] ** 2 / rates[bright]) == pytest.approx(
        1, abs=4 * np.sqrt(2 / bright.sum())
    )


def test_no_noise():
    """eta = 0 gives the intensities themselves."""
    problem = made(changed(noise=0))
    reference = problem.reference
    expected = diffraction_intensity(reference.object, reference.probe, reference.scan_positions_px)
    np.testing.assert_allclose(problem.diffraction_amplitude, np.sqrt(expected), rtol=1e-14)
    assert problem.photon_scale == 1


def test_start_is_empty_space():
    """The object starts at 1; the probe is the true one."""
    problem = made()
    np.testing.assert_array_equal(problem.start_object, np.ones((64, 64)))
    np.testing.assert_array_equal(problem.probe, problem.reference.probe)
    assert (problem.n_positions, problem.probe_size) == (49, 16)


def test_same_data_everywhere(each_backend):
    """Every backend and precision starts from the same counts; problem and seed decide them."""
    expected = made().diffraction_amplitude[:]
    for dtype, real in (("complex64", "float32"), ("complex128", "float64")):
        problem = build_problem(
            dataclasses.replace(SPEC, dtype=dtype, backend=each_backend.name), each_backend
        )
        found = to_numpy(problem.diffraction_amplitude[:])
        assert found.dtype == real
        assert to_numpy(problem.probe).dtype == to_numpy(problem.start_object).dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=2e-7 if real == "float32" else 1e-15)
        np.testing.assert_array_equal(problem.scan_positions_px, made().scan_positions_px)


def test_seed_changes_scan_and_noise():
    """Another seed moves the jitter and draws other counts, the object stays."""
    one, other = made(), made(dataclasses.replace(SPEC, seed=1))
    assert not np.array_equal(one.scan_positions_px, other.scan_positions_px)
    assert not np.array_equal(one.diffraction_amplitude, other.diffraction_amplitude)
    np.testing.assert_array_equal(one.reference.object, other.reference.object)


def test_solver_does_not_change_the_data():
    """Solvers that are compared see the same data."""
    other = dataclasses.replace(SPEC, solver={"name": "lbfgs"}, stop={"iterations": 9})
    np.testing.assert_array_equal(made().diffraction_amplitude, made(other).diffraction_amplitude)


def test_data_are_made_in_batches(monkeypatch):
    """Batches of any size give the same noiseless data."""
    whole = made(changed(noise=0)).diffraction_amplitude
    monkeypatch.setattr("ptychosuite.core.problem.BATCH_PIXELS", 5 * 16**2)
    np.testing.assert_allclose(made(changed(noise=0)).diffraction_amplitude, whole, rtol=1e-13)
