"""The compiled form of the likelihood's update against the plain one."""

import numpy as np
import pytest
from ptychosuite.backends.arrays import fft2, ifft2
from ptychosuite.physics.likelihood import (
    dark_floor,
    detector_correction,
    exit_wave_correction,
    modes_correction,
    wave_correction,
)

from tests.backends.fused import DTYPES, M, amplitude, assert_same, complex_random, good_pixels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(M, M), (1, M, M), (3, M, M)])
@pytest.mark.parametrize("masked", [False, True])
def test_wave_correction(dtype, shape, masked):
    mask = good_pixels(dtype) if masked else None
    args = complex_random(dtype, *shape, dark=True), amplitude(dtype, *shape), mask
    assert_same(wave_correction(*args), wave_correction.__wrapped__(*args), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_modes_correction(dtype, masked):
    mask = good_pixels(dtype) if masked else None
    waves = complex_random(dtype, 2, 3, M, M, dark=True).copy()
    waves[:, :, 2, 5] = 0  # dark in all modes
    args = waves, amplitude(dtype, 2, M, M), mask
    assert_same(modes_correction(*args), modes_correction.__wrapped__(*args), dtype)


def test_one_mode_is_a_coherent_wave():
    """Both forms of a single mode, and of modes that differ by a factor, are those of one wave."""
    waves, measured = complex_random("complex128", 3, M, M), amplitude("complex128", 3, M, M)
    alone = wave_correction(waves, measured)
    np.testing.assert_allclose(modes_correction(waves[:, None], measured)[:, 0], alone, atol=1e-13)
    two = modes_correction(np.stack([0.6 * waves, 0.8j * waves], axis=1), measured)
    np.testing.assert_allclose(two[:, 0], 0.6 * alone, atol=1e-13)
    np.testing.assert_allclose(two[:, 1], 0.8j * alone, atol=1e-13)


def test_slices():
    """Views with strides of their own give what contiguous copies give."""
    wave, measured = (
        x[3 : 3 + M, 5 : 5 + M]
        for x in (complex_random("complex128", 48, 48), amplitude("complex128", 48, 48))
    )
    np.testing.assert_array_equal(
        wave_correction(wave, measured), wave_correction(wave.copy(), measured.copy())
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("photon_scale", [1e-3, 10.0])
def test_dark_floor(dtype, photon_scale):
    """Of patterns with dark pixels, and of one that is dark everywhere."""
    measured = amplitude(dtype, 3, M, M)
    measured[1] = 0
    plain = dark_floor.__wrapped__(measured, photon_scale)
    assert_same(dark_floor(measured, photon_scale), plain, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masks", [None, 1, 3])
@pytest.mark.parametrize("modes", [(), (2,)])
def test_a_batch_is_its_patterns(dtype, masks, modes):
    """The update of several exit waves is that of each, with one mask for all or one for each."""
    waves, measured = complex_random(dtype, 3, *modes, M, M), amplitude(dtype, 3, M, M)
    mask = None if masks is None else np.stack([np.roll(good_pixels(dtype), k, axis=0) for k in range(3)])
    mask = mask[0] if masks == 1 else mask
    together = exit_wave_correction(waves, measured, mask)
    assert_same(together, ifft2(detector_correction(fft2(waves), measured, mask)), dtype)
