"""What the network sees: gauges removed, and put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.fastforward.features import CHANNELS, from_pupil, pupil, views
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.fastforward.pull import data_pull
from ptychosuite.physics.forward import detector_waves
from ptychosuite.physics.likelihood import exit_wave_correction

from tests.conftest import small_problem


def states(problem: Problem, seed: int = 3) -> tuple[Snapshot, Snapshot]:
    """A state of no particular merit, and another one before it."""
    rng = np.random.default_rng(seed)

    def noisy(x: np.ndarray) -> np.ndarray:
        return x + 0.2 * (rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape))

    made = [Snapshot(noisy(problem.start_object), noisy(problem.probe), 10 * i) for i in (1, 2)]
    return made[1], made[0]


def turned(state: Snapshot, obj: complex, probe: complex) -> Snapshot:
    return replace(state, object=obj * state.object, probe=probe * state.probe)


def test_gauge_is_invisible():
    """Scale and global phases of object and probe, of each state its own, do not change what is seen."""
    problem = small_problem(noise=0.1, flat_start=False)
    now, before = states(problem)
    plain = views(problem, now, before)
    turn = 1.7 * np.exp(2.1j)
    other = views(
        problem,
        turned(now, turn, np.exp(-0.4j) / abs(turn)),
        turned(before, abs(turn) * np.exp(1j), np.exp(3j) / abs(turn)),
    )
    np.testing.assert_allclose(other.object.channels, plain.object.channels, atol=1e-10)
    np.testing.assert_allclose(other.probe.channels, plain.probe.channels, atol=1e-10)


@pytest.mark.parametrize("part", ["object", "probe"])
def test_change_is_undone_in_the_gauge_of_the_state(part):
    """The change that leads to a target leads there, whatever the gauge; none leaves the state alone."""
    problem = small_problem(flat_start=False)
    now, before = states(problem)
    seen = getattr(views(problem, now, before), part)
    field = now.object if part == "object" else pupil(now.probe)
    np.testing.assert_array_equal(seen.step(np.zeros((2, *field.shape))), np.zeros(field.shape))
    target = field * (1 + 0.1j)
    lit = seen.trust > 0.1
    wanted = np.where(lit, (target - field) / seen.unit / np.where(lit, seen.trust, 1), 0)
    moved = field + seen.step(np.stack([wanted.real, wanted.imag]))
    np.testing.assert_allclose(moved[lit], target[lit])
    np.testing.assert_array_equal(moved[~lit], field[~lit])


def test_drift_is_no_travel():
    """A state that has moved in scale and ramp alone has not travelled; without the correction it has.

    What is left is second order in the size of the move.
    """
    problem = replace(small_problem(flat_start=False), probe_known=False)
    now, _ = states(problem)
    axis = (np.arange(problem.start_object.shape[0]) - 20) / 32

    def drifted(size: float) -> Snapshot:
        turn = (1 + size) * np.exp(1j * size * axis[:, None])
        own = np.arange(problem.probe_size) - (problem.probe_size - 1) / 2
        back = np.exp(-1j * size / 32 * own[:, None]) / (1 + size)
        return replace(now, object=turn * now.object, probe=back * now.probe)

    def travel(size: float, without: bool) -> float:
        seen = views(problem, drifted(size), now, without_drift=without)
        return float(np.linalg.norm(seen.object.channels[2:4]))

    assert travel(0.02, True) < 0.05 * travel(0.02, False)
    assert travel(0.01, True) == pytest.approx(travel(0.02, True) / 4, rel=0.2)


def test_pupil_is_unitary_and_smooth():
    """It keeps the power and comes back; a probe centred in its window has no ramp in its pupil."""
    probe = small_problem(flat_start=False).probe
    seen = pupil(probe)
    assert np.sum(np.abs(seen) ** 2) == pytest.approx(np.sum(np.abs(probe) ** 2))
    np.testing.assert_allclose(from_pupil(seen), probe, atol=1e-12 * np.abs(probe).max())
    spot = np.zeros((8, 8), complex)
    spot[4, 4] = 1
    np.testing.assert_allclose(pupil(spot), np.full((8, 8), 1 / 8))


def test_focus_is_a_change_across_the_pupil():
    """A wrong focus is seen in the imaginary part alone of the way that the probe has come."""
    problem = small_problem(flat_start=False)
    axis = np.arange(problem.probe_size) - problem.probe_size / 2
    curvature = np.exp(1e-5j * (axis[:, None] ** 2 + axis**2))
    focused = Snapshot(problem.start_object, problem.probe, 0)
    now = replace(focused, probe=from_pupil(curvature * pupil(problem.probe)))
    travelled = views(problem, now, focused).probe.channels[2:4]
    assert np.abs(travelled[0]).max() < 0.01 * np.abs(travelled[1]).max()


def test_pull_is_the_least_squares_refit():
    """Q + pull minimises sum_k ||Q z_k - R_k||^2, but for a floor where light is dim."""
    problem = small_problem(noise=0.1, flat_start=False)
    now, _ = states(problem)
    pull = data_pull(problem, now.object, now.probe)
    size = problem.probe_size
    patches = np.stack([now.object[r : r + size, c : c + size] for r, c in problem.scan_positions_px])
    revised = now.probe * patches + exit_wave_correction(
        now.probe * patches, problem.diffraction_amplitude[:]
    )
    light = np.sum(np.abs(patches) ** 2, axis=0)
    refit = np.sum(patches.conj() * revised, axis=0) / light
    floor = 1e-3 * light.max()
    np.testing.assert_allclose(pull.probe, (refit - now.probe) * light / (light + floor), rtol=1e-10)


def test_nothing_pulls_where_the_data_are_met():
    """At the noiseless truth there is no pull, between pixels either."""
    problem = small_problem()
    assert problem.reference is not None
    shifts = np.full((problem.n_positions, 2), 0.3)
    moved = replace(problem, subpixel_shifts_px=shifts)
    from ptychosuite.physics.forward import subpixel_phases

    phases = subpixel_phases(moved, slice(None))
    truth, probe = problem.reference.object, problem.reference.probe
    waves = detector_waves(truth, probe, problem.scan_positions_px, phases)
    moved = replace(moved, diffraction_amplitude=np.abs(waves))
    pull = data_pull(moved, truth, probe)
    np.testing.assert_allclose(pull.object, 0, atol=1e-9)
    np.testing.assert_allclose(pull.probe, 0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_every_backend_sees_the_same(each_backend, dtype):
    """Channels and steps agree with NumPy's, and nothing is written into."""
    host, problem = small_problem(dtype=dtype, noise=0.1), small_problem(each_backend, dtype, noise=0.1)
    now, before = states(small_problem())
    carried = [
        replace(s, object=each_backend.asarray(s.object, dtype), probe=each_backend.asarray(s.probe, dtype))
        for s in (now, before)
    ]
    expected = views(
        host, *(replace(s, object=s.object.astype(dtype), probe=s.probe.astype(dtype)) for s in (now, before))
    )
    found = views(problem, *carried)
    for one, other in ((found.object, expected.object), (found.probe, expected.probe)):
        assert one.channels.shape == (CHANNELS, *other.trust.shape)
        np.testing.assert_allclose(to_numpy(one.channels), other.channels, atol=2e-4)
        np.testing.assert_allclose(
            to_numpy(one.step(one.channels[:2])), other.step(other.channels[:2]), atol=1e-4
        )
    np.testing.assert_array_equal(to_numpy(carried[0].object), now.object.astype(dtype))
