"""The known probe that is kept as it lies on patterns between pixels."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.metrics import misfit
from ptychosuite.physics import forward
from ptychosuite.physics import laid_probe as module
from ptychosuite.physics.forward import illuminate
from ptychosuite.physics.laid_probe import laid_probe
from ptychosuite.physics.shift import fourier_shift, shift_phases
from ptychosuite.registry.lookup import build
from ptychosuite.solvers import lbfgs
from ptychosuite.testing import small_problem

ROUNDING = {"complex64": 2e-6, "complex128": 1e-14}


def between_pixels(chosen=None, dtype="complex128", modes=1) -> Problem:
    problem = small_problem(chosen, dtype, noise=0.01)
    shifts_px = np.random.default_rng(3).uniform(-0.5, 0.5, problem.scan_positions_px.shape)
    if modes == 1:
        return replace(problem, subpixel_shifts_px=shifts_px)
    probe = to_numpy(problem.probe)
    several = (chosen or backend("numpy")).asarray(np.stack([np.roll(probe, k, 0) for k in range(modes)]))
    return replace(problem, subpixel_shifts_px=shifts_px, probe=several)


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_it_lies_where_the_shift_moves_it(each_backend, dtype, modes):
    """Pattern by pattern, NumPy's own transform."""
    problem = between_pixels(each_backend, dtype, modes)
    found = to_numpy(laid_probe(problem, problem.probe))
    probe, freq = to_numpy(problem.probe), np.fft.fftfreq(problem.probe_size)
    for laid, (row, column) in zip(found, problem.subpixel_shifts_px, strict=True):
        phases = np.exp(-2j * np.pi * (freq[:, None] * row + freq * column))
        expected = np.fft.ifft2(np.fft.fft2(probe) * phases)
        np.testing.assert_allclose(laid, expected, rtol=0, atol=ROUNDING[dtype] * np.abs(probe).max() * 3)
    assert laid_probe(problem, problem.probe) is laid_probe(replace(problem, noise=0.5), problem.probe)


def test_an_illumination_has_it():
    """By slices and by numbers, the same as without."""
    problem = between_pixels()
    phases = shift_phases(problem.probe_size, problem.subpixel_shifts_px, problem.probe)
    every = fourier_shift(problem.probe, phases)
    for batch in (slice(2, 5), np.array([7, 0, 3])):
        lit = illuminate(problem, problem.start_object, problem.probe, batch)
        np.testing.assert_allclose(lit.probes, every[batch], rtol=0, atol=1e-14 * np.abs(every).max())


def test_phases_are_made_for_those_who_ask(monkeypatch):
    """Neither metrics nor L-BFGS do where the probe is laid already; who asks twice has the same array."""
    problem, asked = between_pixels(), []
    laid_probe(problem, problem.probe)

    def counted(size, shifts_px, like):
        asked.append(len(shifts_px))
        return shift_phases(size, shifts_px, like)

    monkeypatch.setattr(forward, "shift_phases", counted)
    constants = misfit.DataConstants.of(problem)
    misfit.misfit_metrics(problem, problem.start_object, problem.probe, constants)
    lbfgs.misfit_and_gradient(problem, problem.start_object)
    assert asked == []
    lit = illuminate(problem, problem.start_object, problem.probe, slice(2, 5))
    assert lit.phases is lit.phases
    assert asked == [3]
    misfit.misfit_metrics(problem, problem.start_object, 2 * problem.probe, constants)
    assert sum(asked) == 3 + problem.n_positions


def test_another_probe_is_not_kept():
    problem = between_pixels()
    assert laid_probe(problem, problem.probe.copy()) is None
    assert laid_probe(replace(problem, probe_known=False), problem.probe) is None
    assert laid_probe(replace(problem, subpixel_shifts_px=None), problem.probe) is None
    first, other = laid_probe(problem, problem.probe), 2 * problem.probe
    second = laid_probe(replace(problem, probe=other), other)
    np.testing.assert_allclose(second, 2 * first, rtol=1e-14)


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    problem = between_pixels()
    needed = problem.n_positions * problem.probe.nbytes
    for most, kept in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(module, "MOST_BYTES", most)
        assert (laid_probe(problem, problem.probe) is not None) == kept


def test_it_goes_with_the_positions():
    """Nothing is left of a scan that nobody has any more."""
    gc.collect()
    before = len(module._of_shifts)
    problem = between_pixels()
    laid_probe(problem, problem.probe)
    assert len(module._of_shifts) == before + 1
    del problem
    gc.collect()
    assert len(module._of_shifts) == before


SOLVERS = {
    "rpie": {},
    "magpie": {"levels": 4},
    "mpie": {},
    "emagpie": {},
    "lbfgs": {},
    "lsqml": {},
    "adam": {},
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_go_the_same_way_without_it(name, monkeypatch):
    """To rounding; and again to the last bit."""
    problem, solver = between_pixels(), build("solvers", {"name": name} | SOLVERS[name])

    def after(iterations: int) -> np.ndarray:
        fresh = replace(problem, subpixel_shifts_px=problem.subpixel_shifts_px.copy())
        state, rng = solver.init(fresh), np.random.default_rng(5)
        for _ in range(iterations):
            state = solver.step(fresh, state, rng)
        return state.object

    found, again = after(3), after(3)
    np.testing.assert_array_equal(found, again)
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    without = after(3)
    np.testing.assert_allclose(found, without, rtol=0, atol=1e-11 * np.abs(without).max())
