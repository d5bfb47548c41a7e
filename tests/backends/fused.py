"""What the tests of compiled functions share: arrays, and the comparison with the plain form."""

import numpy as np

M = 16
DTYPES = {"complex64": ("float32", 2e-6), "complex128": ("float64", 1e-14)}


def complex_random(dtype, *shape, dark=False):
    """Random values, read-only, a tenth of them 0 where ``dark``."""
    rng = np.random.default_rng(len(shape))
    x = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    x[rng.random(shape) < 0.1 * dark] = 0
    x.setflags(write=False)
    return x


def amplitude(dtype, *shape):
    return np.abs(complex_random(dtype, *shape, dark=True)[..., ::-1]).astype(DTYPES[dtype][0])


def assert_same(fused, plain, dtype):
    assert fused.dtype == plain.dtype
    assert fused.shape == plain.shape
    np.testing.assert_allclose(fused, plain, rtol=0, atol=DTYPES[dtype][1] * np.abs(plain).max())


def good_pixels(dtype):
    """A detector mask."""
    return (amplitude(dtype, M, M) > 0.5).astype(DTYPES[dtype][0])
