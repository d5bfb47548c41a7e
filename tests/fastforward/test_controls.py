"""Operators that need no training, and the probe's refit, against their formulas written out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.errors import CannotAdvance
from ptychosuite.fastforward.operator import Extrapolation, Identity, ProbeRefit, Snapshot
from ptychosuite.fastforward.pull import refitted_probe
from ptychosuite.physics.forward import diffraction_intensity, subpixel_phases
from ptychosuite.registry.lookup import GROUPS, build
from ptychosuite.testing import check_operator, small_problem


def snapshots(problem):
    rng = np.random.default_rng(1)
    now, before = (
        Snapshot(problem.start_object * complex(*rng.standard_normal(2)), problem.probe * (1 + k), 10 * k)
        for k in (2, 1)
    )
    return now, before


def test_identity_and_probe_refit_stay(each_backend):
    """They hand back what they are given; only the refits differ."""
    problem = small_problem(each_backend)
    now, before = snapshots(problem)
    for operator in (Identity(), ProbeRefit()):
        obj, probe = operator.advance(problem, now, before)
        assert obj is now.object
        assert probe is now.probe
    assert (Identity().refits, ProbeRefit().refits) == (0, 5)


def test_extrapolation(each_backend):
    """z + f (z - z_before), and the probe alike."""
    problem = small_problem(each_backend, flat_start=False)
    now, before = snapshots(problem)
    obj, probe = (to_numpy(a) for a in Extrapolation(factor=2.5).advance(problem, now, before))
    z, z0, q, q0 = (to_numpy(a) for a in (now.object, before.object, now.probe, before.probe))
    np.testing.assert_allclose(obj, z + 2.5 * (z - z0), rtol=1e-12)
    np.testing.assert_allclose(probe, q + 2.5 * (q - q0), rtol=1e-12)


def test_extrapolation_needs_two_states():
    """The message says what to set."""
    now, _ = snapshots(small_problem())
    with pytest.raises(CannotAdvance, match="10 iterations earlier; set warm_up and spacing to 10"):
        Extrapolation().advance(small_problem(), now, None)


def literal_refit(problem, obj, probe):
    """sum conj(z_k) R_k / sum |z_k|^2, pattern by pattern."""
    numerator, norm = np.zeros_like(probe), np.zeros(probe.shape)
    size = len(probe)
    for k, (row, column) in enumerate(problem.scan_positions_px):
        patch = obj[row : row + size, column : column + size]
        wave = np.fft.fft2(probe * patch)
        revised = to_numpy(problem.diffraction_amplitude)[k] * np.exp(1j * np.angle(wave))
        if problem.detector_mask is not None:
            revised = np.where(to_numpy(problem.detector_mask) == 1, revised, wave)
        numerator += np.conj(patch) * np.fft.ifft2(revised)
        norm += np.abs(patch) ** 2
    return numerator / norm


@pytest.mark.parametrize("masked", [False, True])
def test_refit_is_least_squares(each_backend, masked):
    """As the formula written out; bad pixels keep what was computed."""
    problem = small_problem(each_backend, noise=0.2)
    if masked:
        mask = np.ones((16, 16))
        mask[2:5, 7] = 0
        problem = dataclasses.replace(problem, detector_mask=each_backend.asarray(mask))
    obj = problem.reference.object * 1.1
    start = to_numpy(problem.probe) + 0.1
    found = refitted_probe(problem, each_backend.asarray(obj), each_backend.asarray(start))
    np.testing.assert_allclose(to_numpy(found), literal_refit(problem, obj, start), rtol=0, atol=1e-12)


def test_refit_between_pixels(each_backend):
    """With the true object the true probe stays, and one that is off comes closer."""
    problem = small_problem(each_backend)
    shifts = np.random.default_rng(0).uniform(-0.5, 0.5, (problem.n_positions, 2))
    problem = dataclasses.replace(problem, subpixel_shifts_px=shifts)
    truth, probe = problem.reference.object, problem.reference.probe
    phases = subpixel_phases(dataclasses.replace(problem, probe=probe), slice(None))
    amplitude = np.sqrt(diffraction_intensity(truth, probe, problem.scan_positions_px, phases))
    problem = dataclasses.replace(problem, diffraction_amplitude=each_backend.asarray(amplitude))
    obj = each_backend.asarray(truth)
    still = refitted_probe(problem, obj, each_backend.asarray(probe))
    np.testing.assert_allclose(to_numpy(still), probe, rtol=0, atol=1e-12)
    off = each_backend.asarray(probe + 0.1)
    distances = []
    for _ in range(5):
        distances.append(np.linalg.norm(to_numpy(off) - probe))
        off = refitted_probe(problem, obj, off)
    assert (np.diff(distances) < 0).all()


def test_dark_objects_leave_the_probe():
    """Where no patch has light there is nothing to learn."""
    problem = small_problem()
    found = refitted_probe(problem, 0 * problem.start_object, problem.probe)
    np.testing.assert_array_equal(found, problem.probe)


@pytest.mark.parametrize("kind", GROUPS["operators"].built_in)
def test_registered_operators(kind, each_backend):
    """Each can be made with its defaults and keeps what every operator promises."""
    operator = build("operators", {"kind": kind})
    assert list(operator.jumps_after) == [13, 25]
    check_operator(operator, backends=[each_backend.name])
