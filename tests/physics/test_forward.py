"""The forward model at positions between pixels, and its adjoint."""

import dataclasses

import numpy as np
import pytest
import scipy.ndimage
from ptychosuite.backends.arrays import backend, fft2, ifft2, to_numpy
from ptychosuite.core.problem import Reference, batches, split_positions
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import (
    add_patches,
    detector_waves,
    diffraction_intensity,
    extract_patches,
    illuminate,
    local_probes,
    subpixel_phases,
)
from ptychosuite.physics.shift import fourier_unshift, shift_phases
from ptychosuite.solvers.lbfgs import inner, misfit_and_gradient
from ptychosuite.testing import dot_test, small_problem


def fractional_problem(
    chosen=None, dtype="complex128", *, noise=0.0, masked=False, shifts_px=None, **settings
):
    """The small problem measured at positions between pixels, with bad detector pixels on request."""
    chosen = chosen or backend("numpy")
    base = small_problem(**settings)
    truth, rng = base.reference, np.random.default_rng(11)
    if shifts_px is None:
        shifts_px = rng.uniform(-0.5, 0.5, base.scan_positions_px.shape)
    phases = shift_phases(base.probe_size, shifts_px, truth.probe)
    intensity = diffraction_intensity(truth.object, truth.probe, base.scan_positions_px, phases)
    if noise:
        intensity = noise * rng.poisson(intensity / noise)
    real = "float64" if dtype == "complex128" else "float32"
    mask = (rng.uniform(size=truth.probe.shape) > 0.15).astype(real)
    return dataclasses.replace(
        base,
        diffraction_amplitude=chosen.asarray(np.sqrt(intensity), real),
        probe=chosen.asarray(truth.probe, dtype),
        start_object=chosen.asarray(base.start_object, dtype),
        noise=noise,
        subpixel_shifts_px=shifts_px,
        detector_mask=chosen.asarray(mask) if masked else None,
        reference=Reference(truth.object, truth.probe, base.scan_positions_px + shifts_px),
    )


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def shifted(image, shift_px):
    """SciPy's Fourier shift of one image."""
    return np.fft.ifft2(scipy.ndimage.fourier_shift(np.fft.fft2(image), shift_px))


def literal_wave(problem, obj, probe, k):
    row, column = problem.scan_positions_px[k]
    m = problem.probe_size
    shift = (0, 0) if problem.subpixel_shifts_px is None else problem.subpixel_shifts_px[k]
    return np.fft.fft2(shifted(probe, shift) * obj[row : row + m, column : column + m])


def literal_misfit(problem, obj):
    mask = 1.0 if problem.detector_mask is None else problem.detector_mask
    waves = [literal_wave(problem, obj, problem.probe, k) for k in range(problem.n_positions)]
    distance = np.abs(np.array(waves)) - problem.diffraction_amplitude
    return 0.5 * np.sum(mask * distance**2) / problem.probe_size**2


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_probes_are_shifted_by_what_whole_pixels_leave_over(each_backend, dtype):
    """On every patch the probe lies where SciPy's Fourier shift puts it, in the problem's precision."""
    problem = fractional_problem(each_backend, dtype)
    batch = np.array([3, 0, 5])
    found = local_probes(problem.probe, subpixel_phases(problem, batch))
    assert found.dtype == problem.probe.dtype
    truth = problem.reference.probe
    expected = [shifted(truth, problem.subpixel_shifts_px[k]) for k in batch]
    atol = 1e-12 if dtype == "complex128" else 1e-5
    np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=atol)


def test_whole_pixels_need_no_phases(each_backend):
    """Without fractions there is one probe for all patches, the given array itself."""
    problem = small_problem(each_backend)
    assert subpixel_phases(problem, slice(0, 3)) is None
    found = local_probes(problem.probe, None)
    assert found.shape == (1, 16, 16)
    np.testing.assert_array_equal(to_numpy(found)[0], to_numpy(problem.probe))


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("batch", [slice(2, 7), np.array([8, 1, 1, 4])], ids=["slice", "indices"])
def test_waves_against_a_loop(each_backend, fractional, batch):
    """F psi_k of every position of a batch, in the order of the batch."""
    make = fractional_problem if fractional else small_problem
    host, problem = make(), make(each_backend)
    obj = complex_random(np.random.default_rng(1), *host.start_object.shape)
    found = fft2(illuminate(problem, each_backend.asarray(obj), problem.probe, batch).exit_waves)
    expected = [literal_wave(host, obj, host.probe, k) for k in np.arange(host.n_positions)[batch]]
    np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=1e-11)
    phases = subpixel_phases(problem, batch)
    intensity = diffraction_intensity(
        each_backend.asarray(obj), problem.probe, problem.scan_positions_px[batch], phases
    )
    np.testing.assert_allclose(to_numpy(intensity), np.abs(np.array(expected)) ** 2, rtol=1e-10, atol=1e-9)


def test_whole_shifts_are_whole_positions():
    """A probe of small support shifted by whole pixels sees what the next position sees."""
    problem = small_problem()
    probe = np.pad(problem.probe[4:12, 4:12], 4)
    positions, move = np.array([[8, 6], [8, 14], [8, 20]]), np.array([3, -2])
    phases = shift_phases(16, np.tile(move, (3, 1)), probe)
    obj = problem.reference.object
    np.testing.assert_allclose(
        diffraction_intensity(obj, probe, positions, phases),
        diffraction_intensity(obj, probe, positions + move),
        rtol=0,
        atol=1e-11,
    )


@pytest.mark.parametrize("fractional", [False, True])
def test_adjoint_of_object_to_waves(each_backend, fractional):
    """<A z, W> = <z, A* W> with A* W = sum_k patch_k(conj(Q_k) F* W_k), F* = m^2 F^-1."""
    problem = (fractional_problem if fractional else small_problem)(each_backend)
    m, positions, xp = problem.probe_size, problem.scan_positions_px, each_backend.library
    phases = subpixel_phases(problem, slice(None))

    def forward(obj):
        return detector_waves(each_backend.asarray(obj), problem.probe, positions, phases)

    def adjoint(waves):
        patches = xp.conj(local_probes(problem.probe, phases)) * ifft2(each_backend.asarray(waves)) * m**2
        return add_patches(xp.zeros_like(problem.start_object), patches, positions)

    dot_test(forward, adjoint, problem.start_object.shape, (problem.n_positions, m, m))


def test_adjoint_of_probe_to_waves(each_backend):
    """<B Q, W> = <Q, B* W> with B* W = sum_k unshift_k(conj(z_k) F* W_k)."""
    problem = fractional_problem(each_backend)
    m, xp = problem.probe_size, each_backend.library
    phases = subpixel_phases(problem, slice(None))
    obj = each_backend.asarray(complex_random(np.random.default_rng(3), *problem.start_object.shape))
    patches = extract_patches(obj, problem.scan_positions_px, m)

    def forward(probe):
        return fft2(local_probes(each_backend.asarray(probe), phases) * patches)

    def adjoint(waves):
        own = fourier_unshift(xp.conj(patches) * ifft2(each_backend.asarray(waves)) * m**2, phases)
        return xp.sum(own, axis=0)

    dot_test(forward, adjoint, (m, m), (problem.n_positions, m, m))


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_against_finite_differences(masked):
    """Re <gradient, d> is the slope of Phi at fractional positions, bad pixels left out."""
    problem = fractional_problem(noise=0.5, masked=masked)
    rng = np.random.default_rng(0)
    obj = problem.start_object + 0.3 * complex_random(rng, *problem.start_object.shape)
    misfit, gradient = misfit_and_gradient(problem, obj)
    assert misfit == pytest.approx(literal_misfit(problem, obj), rel=1e-12)
    for _ in range(3):
        direction, h = complex_random(rng, *obj.shape), 1e-6
        ahead, behind = (literal_misfit(problem, obj + sign * h * direction) for sign in (1, -1))
        slope = inner(gradient, direction)
        assert slope == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=1e-6 * misfit)


@pytest.mark.parametrize("masked", [False, True])
def test_residual_at_fractional_positions(each_backend, masked):
    """The metric is the misfit of a loop over the patterns, on every backend."""
    problem, host = (fractional_problem(b, noise=0.5, masked=masked) for b in (each_backend, None))
    constants = DataConstants.of(problem)
    found = misfit_metrics(problem, problem.start_object, problem.probe, constants)
    assert found["residual"] == pytest.approx(literal_misfit(host, host.start_object), rel=1e-11)
    dark = misfit_metrics(problem, 0 * problem.start_object, problem.probe, constants)
    assert dark["residual"] == pytest.approx(constants.dark_residual, rel=1e-11)


def test_batches_cover_the_scan(monkeypatch):
    """Consecutive slices, the last one shorter, nothing left out."""
    monkeypatch.setattr("ptychosuite.core.problem.BATCH_PIXELS", 4 * 16**2)
    cut = list(batches(11, 16))
    assert [(s.start, s.stop) for s in cut] == [(0, 4), (4, 8), (8, 11)]
    assert list(batches(2, 4096)) == [slice(0, 1), slice(1, 2)]


def test_split_positions():
    """Whole pixels and fractions add up, no fraction exceeds half a pixel, whole positions have none."""
    positions = np.random.default_rng(0).uniform(0, 50, (40, 2))
    whole, fraction = split_positions(positions)
    assert whole.dtype == np.int64
    assert np.abs(fraction).max() <= 0.5
    np.testing.assert_array_equal(whole + fraction, positions)
    assert split_positions(np.arange(6).reshape(3, 2))[1] is None
    problem = dataclasses.replace(small_problem(), subpixel_shifts_px=None)
    np.testing.assert_array_equal(problem.positions_px, problem.scan_positions_px)
    problem = fractional_problem()
    np.testing.assert_array_equal(problem.positions_px, problem.reference.scan_positions_px)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_pixels_in_metres_are_whole(dtype):
    """What units and single precision leave over is no fraction; beside one between pixels all stay."""
    positions = np.random.default_rng(0).integers(0, 3000, (60, 2))
    metres = (positions * 13.7e-9).astype(dtype)
    pixels = metres.astype("float64") / 13.7e-9
    assert np.any(pixels != positions)
    whole, fraction = split_positions(pixels)
    np.testing.assert_array_equal(whole, positions)
    assert fraction is None
    pixels[7, 1] += 0.01
    whole, fraction = split_positions(pixels)
    np.testing.assert_array_equal(whole + fraction, pixels)
