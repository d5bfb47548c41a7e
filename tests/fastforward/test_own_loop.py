"""Object and probe go in and come out further on, in the convention that is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ptychosuite
import pytest
from ptychosuite.core.jumps import Snapshot
from ptychosuite.errors import CannotAdvance, UserError
from ptychosuite.fastforward.network import Trained
from ptychosuite.fastforward.operator import Extrapolation, ProbeRefit
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.solvers.pie import RPIE

from tests.conftest import small_problem


@pytest.fixture(scope="module")
def problem():
    """In the precision in which reconstructions are done, with a probe to be found."""
    found = small_problem(noise=0.05)
    single = {name: getattr(found, name).astype(np.complex64) for name in ("probe", "start_object")}
    amplitude = np.asarray(found.diffraction_amplitude[:]).astype(np.float32)
    return replace(found, diffraction_amplitude=amplitude, probe_known=False, **single)


@pytest.fixture(scope="module")
def data(problem):
    patterns = np.asarray(problem.diffraction_amplitude) ** 2
    return ptychosuite.LoopData(patterns, problem.positions_px, photon=problem.noise)


@pytest.fixture(scope="module")
def states(problem):
    """After three iterations and after thirteen."""
    solver, rng = RPIE(), np.random.default_rng(0)
    state, found = solver.init(problem), {}
    for iteration in range(1, 14):
        state = solver.step(problem, state, rng)
        found[iteration] = (state.object, state.probe)
    return found[3], found[13]


def test_model_is_as_it_is_said():
    """Written down once more: patches at whole and fractional positions, fft2, first corners."""
    rng = np.random.default_rng(0)
    obj, probe = (rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)) for n in (20, 8))
    positions = np.array([[0.0, 3.0], [4.0, 12.0], [11.3, 2.6]])
    frequencies = np.fft.fftfreq(8)
    patterns = []
    for row, column in positions:
        r, c = int(np.rint(row)), int(np.rint(column))
        shift = np.exp(-2j * np.pi * ((row - r) * frequencies[:, None] + (column - c) * frequencies))
        lies = np.fft.ifft2(np.fft.fft2(probe) * shift)
        patterns.append(np.abs(np.fft.fft2(lies * obj[r : r + 8, c : c + 8])) ** 2)
    data = ptychosuite.LoopData(np.array(patterns), positions)
    assert ptychosuite.deviance(data, (obj, probe)) < 1e-9
    assert ptychosuite.deviance(data, (obj.T, probe)) > 1


def test_what_comes_out_is_what_the_operator_makes_of_it(problem, data, states):
    before, now = states
    kept = [image.copy() for image in now]
    found = ptychosuite.carry_ahead(data, now, before)
    expected = Trained().advance(problem, Snapshot(*now, 13), Snapshot(*before, 3))
    for image, wanted, given, was in zip(found, expected, now, kept, strict=True):
        np.testing.assert_allclose(image, wanted, atol=1e-5)
        assert (image.shape, image.dtype) == (given.shape, given.dtype)
        assert not np.allclose(image, given)
        np.testing.assert_array_equal(given, was)


def test_a_jump_without_an_earlier_state(data, states):
    _, now = states
    first, second = (ptychosuite.carry_ahead(data, now, each) for each in (None, now))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(CannotAdvance, match="10 iterations earlier"):
        ptychosuite.carry_ahead(data, now, operator="extrapolation")


def test_operators_by_name_by_settings_and_by_file(data, states):
    before, now = states
    expected = now[0] + 2 * (now[0] - before[0])
    for operator in ({"kind": "extrapolation", "factor": 2}, Extrapolation(factor=2)):
        found, _ = ptychosuite.carry_ahead(data, now, before, operator=operator)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    same = ptychosuite.carry_ahead(data, now, before, operator=Trained.bundled_files["default"])
    for a, b in zip(same, ptychosuite.carry_ahead(data, now, before), strict=True):
        np.testing.assert_array_equal(a, b)


def test_known_probe_stays(data, states):
    before, now = states
    _, probe = ptychosuite.carry_ahead(replace(data, probe_known=True), now, before)
    assert probe is now[1]


def test_deviance_is_the_metric(problem, data, states):
    _, now = states
    assert ptychosuite.deviance(data, now) == pytest.approx(poisson_deviance(problem, *now), rel=1e-5)


def test_bad_pixels_and_weights_count(data, states):
    """What a bad pixel holds changes nothing; brighter light explains brighter patterns."""
    _, now = states
    mask = np.ones(data.patterns.shape[1:], bool)
    mask[2:5, 3] = False
    patterns = np.where(mask, data.patterns, np.nan)
    masked = replace(data, mask=mask, patterns=patterns)
    assert np.isfinite(ptychosuite.deviance(masked, now))
    assert all(np.isfinite(image).all() for image in ptychosuite.carry_ahead(masked, now))
    weights = np.linspace(0.5, 2, len(data.patterns))
    brighter = replace(data, patterns=data.patterns * weights[:, None, None])
    weighted = replace(brighter, pattern_weights=weights)
    assert ptychosuite.deviance(weighted, now) < ptychosuite.deviance(brighter, now) / 2


def test_arrays_of_torch_come_back_as_such(data, states):
    torch = pytest.importorskip("torch")
    before, now = (tuple(torch.from_numpy(image) for image in state) for state in states)
    found = ptychosuite.carry_ahead(data, now, before)
    expected = ptychosuite.carry_ahead(data, states[1], states[0])
    for image, wanted in zip(found, expected, strict=True):
        assert isinstance(image, torch.Tensor)
        np.testing.assert_allclose(image.numpy(), wanted, atol=1e-4)


def test_shapes_that_do_not_go_together(data, states):
    obj, probe = states[1]
    with pytest.raises(UserError, match=r"positions_px: found shape \(3, 2\)"):
        ptychosuite.LoopData(data.patterns, data.positions_px[:3])
    with pytest.raises(UserError, match=r"patterns: found shape"):
        ptychosuite.LoopData(data.patterns[0], data.positions_px)
    with pytest.raises(UserError, match="patches take"):
        ptychosuite.carry_ahead(data, (obj[:-1], probe))
    with pytest.raises(UserError, match="one mode"):
        ptychosuite.carry_ahead(data, (obj, probe[None]))


def test_operators_that_there_are_not(data, states):
    for operator, message in (
        ("netwrok", "network"),
        ({"kind": "extrapolation", "factor": -1}, "factor"),
        ("truth", "needs the truth"),
        ("nowhere.safetensors", "cannot be read"),
    ):
        with pytest.raises(UserError, match=message):
            ptychosuite.carry_ahead(data, states[1], operator=operator)


def test_values_that_are_not_finite_go_nowhere(data, states):
    obj, probe = states[1]
    with pytest.raises(CannotAdvance, match="not finite"):
        ptychosuite.carry_ahead(data, (obj * np.nan, probe), operator=ProbeRefit())
