"""The compiled form of the likelihood's update against the plain one."""

import numpy as np
import pytest
from ptychosuite.physics.likelihood import wave_correction

from tests.backends.fused import DTYPES, M, amplitude, assert_same, complex_random, good_pixels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(M, M), (1, M, M), (3, M, M)])
@pytest.mark.parametrize("masked", [False, True])
def test_wave_correction(dtype, shape, masked):
    mask = good_pixels(dtype) if masked else None
    args = complex_random(dtype, *shape, dark=True), amplitude(dtype, *shape), mask
    assert_same(wave_correction(*args), wave_correction.__wrapped__(*args), dtype)


def test_slices():
    """Views with strides of their own give what contiguous copies give."""
    wave, measured = (
        x[3 : 3 + M, 5 : 5 + M]
        for x in (complex_random("complex128", 48, 48), amplitude("complex128", 48, 48))
    )
    np.testing.assert_array_equal(
        wave_correction(wave, measured), wave_correction(wave.copy(), measured.copy())
    )
