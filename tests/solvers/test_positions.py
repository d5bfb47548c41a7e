"""Position correction, as a step of every solver that sweeps."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import Found
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.physics.forward import illuminate
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.solvers.emagpie import EMAGPIE
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.magpie import MAGPIE
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.positions import (
    CorrectsPositions,
    correlation_shifts,
    least_squares_shifts,
    motion_products,
)

from tests.solvers.experiment import POWERS, from_the_truth, suffering_problem
from tests.solvers.test_contract import iterate

FOUND = {"gradient": least_squares_shifts, "cross-correlation": correlation_shifts}


def rms_px(positions, truth):
    """Per axis, without the common shift."""
    error = positions - truth
    return float(np.sqrt(np.mean((error - error.mean(axis=0)) ** 2)))


def jitter_px(positions, truth):
    """The same without what an affine map explains, which a stretched object hides."""
    terms = np.c_[np.ones(len(truth)), truth - truth.mean(axis=0)]
    error = positions - truth
    return float(np.sqrt(np.mean((error - terms @ np.linalg.lstsq(terms, error, rcond=None)[0]) ** 2)))


@pytest.mark.parametrize("method", FOUND)
@pytest.mark.parametrize("powers", [(1.0,), POWERS])
@pytest.mark.parametrize("on", ["numpy", "torch"])
def test_one_step_points_at_the_truth(method, powers, on):
    """With the true object and probe each position's step is a good part of its error, the right way."""
    problem = from_the_truth(suffering_problem(powers, error_px=0.3, on=on))
    probe = problem.probe if len(powers) == 1 else problem.probe_modes
    lit = illuminate(problem, problem.start_object, probe, slice(None))
    chi = exit_wave_correction(lit.exit_waves, problem.diffraction_amplitude)
    found = FOUND[method](lit.patches, lit.probes, chi)
    error = problem.reference.scan_positions_px - problem.scan_positions_px
    assert np.corrcoef(found.ravel(), error.ravel())[0, 1] > 0.9
    assert 0.1 < np.vdot(found, error) / np.vdot(error, error) < 1.2


@pytest.mark.parametrize("method", FOUND)
def test_no_step_at_the_truth(method):
    """Data that are met move nothing; neither do patches without structure."""
    problem = from_the_truth(suffering_problem(error_px=0.0))
    lit = illuminate(problem, problem.start_object, problem.probe, slice(None))
    chi = exit_wave_correction(lit.exit_waves, problem.diffraction_amplitude)
    assert np.abs(FOUND[method](lit.patches, lit.probes, chi)).max() < (1e-9 if method == "gradient" else 0.1)
    flat = np.ones_like(lit.patches)
    assert np.abs(least_squares_shifts(flat, lit.probes, chi + 0.1)).max() == 0


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("powers", [(1.0,), POWERS])
@pytest.mark.parametrize("own", [False, True])
def test_compiled_products(dtype, powers, own):
    """The fused loop is the plain form, with one probe for all and with one each."""
    problem = suffering_problem(powers, dtype=dtype, error_px=0.5)
    probe = problem.probe if len(powers) == 1 else problem.probe_modes
    rng = np.random.default_rng(0)
    obj = (problem.reference.object + 0.1 * rng.standard_normal((80, 80))).astype(dtype)
    lit = illuminate(problem.at(problem.positions_px + 0.2) if own else problem, obj, probe, slice(0, 5))
    chi = exit_wave_correction(lit.exit_waves, problem.diffraction_amplitude[:5])
    plain = motion_products.__wrapped__(lit.patches, lit.probes, chi)
    np.testing.assert_allclose(
        motion_products(lit.patches, lit.probes, chi), plain, rtol=0, atol=1e-5 * np.abs(plain).max()
    )


@pytest.mark.parametrize("method", FOUND)
@pytest.mark.parametrize(
    "solver",
    [
        EPIE(),
        RPIE(alpha=0.1),
        EMAGPIE(alpha=0.3, levels=2),
        LSQML(),
        MAGPIE(alpha=0.2, levels=2),
        EPIE(sweep="minibatch", batch=4),
    ],
    ids=["epie", "rpie", "emagpie", "lsqml", "magpie", "minibatch"],
)
def test_positions_are_found(solver, method):
    """Wrong by 0.8 px rms: with correction the jitter falls to a fraction, and so does the misfit."""
    problem = suffering_problem(error_px=0.8, noise=1.0, known=isinstance(solver, MAGPIE))
    without = iterate(solver, problem, 40)[-1]
    end = iterate(dataclasses.replace(solver, positions=method), problem, 40)[-1]
    truth, found = problem.reference.scan_positions_px, end.found.positions_px
    assert jitter_px(found, truth) < 0.35 * jitter_px(problem.positions_px, truth)
    assert rms_px(found, truth) < rms_px(problem.positions_px, truth)
    seen = Found.by(end).applied_to(problem)
    before = poisson_deviance(problem, without.object, without.probe)
    assert poisson_deviance(seen, end.object, end.probe) < 0.6 * before


def test_settings():
    """The start is waited for, no position goes beyond the limit, and the mean is held."""
    problem = suffering_problem(error_px=0.8, noise=1.0)
    states = iterate(EPIE(positions="gradient", positions_start=2, positions_limit_px=0.4), problem, 8)
    assert states[2].found is None
    moved = [state.found.positions_px - problem.positions_px for state in states[3:]]
    assert np.abs(moved[0]).max() > 0
    assert np.abs(moved[-1]).max() == pytest.approx(0.4)
    corrects = CorrectsPositions(positions="gradient", positions_step=0.5)
    given, shifts = np.zeros((3, 2)), np.array([[0.2, 0.0], [4.0, 0.0], [np.nan, 0.4]])
    found = corrects.corrected(given, given, shifts)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(found, axis=0), [[0.9, 0], [-1, 0.2]], atol=1e-12)  # at most a pixel


def test_patches_stay_in_the_object():
    """A position that leaves is read at the edge, by a shift of the probe."""
    problem = suffering_problem()
    seen = problem.at(problem.positions_px - 20.3)
    assert seen.scan_positions_px.min() == 0
    np.testing.assert_allclose(seen.positions_px, problem.positions_px - 20.3)
    illuminate(seen, problem.start_object, problem.probe, slice(None))


@pytest.mark.parametrize("method", FOUND)
def test_libraries_agree(method):
    """NumPy and torch find the same positions."""
    ends = [
        iterate(EPIE(positions=method), suffering_problem(error_px=0.8, noise=1.0, on=on), 8)[-1]
        for on in ("numpy", "torch")
    ]
    one, other = (end.found.positions_px for end in ends)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)
    np.testing.assert_allclose(to_numpy(ends[0].object), to_numpy(ends[1].object), rtol=0, atol=1e-7)
