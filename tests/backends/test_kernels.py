"""The fused loops against the plain functions they stand for."""

import numpy as np
import pytest
from ptychosuite.backends import numpy_fft
from ptychosuite.metrics.misfit import half_deviance, sum_of_norms, sum_of_squares
from ptychosuite.physics.likelihood import wave_correction
from ptychosuite.solvers.emagpie import geometric_mean
from ptychosuite.solvers.multigrid import hierarchy, v_cycle
from ptychosuite.solvers.pie import regularisation, step_size

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


both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
shapes = pytest.mark.parametrize("shape", [(M, M), (1, M, M), (3, M, M)])


@both_dtypes
@shapes
@pytest.mark.parametrize("masked", [False, True])
def test_wave_correction(dtype, shape, masked):
    mask = (amplitude(dtype, M, M) > 0.5).astype(DTYPES[dtype][0]) if masked else None
    args = complex_random(dtype, *shape, dark=True), amplitude(dtype, *shape), mask
    assert_same(wave_correction(*args), wave_correction.__wrapped__(*args), dtype)


@both_dtypes
@shapes
@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_step_size(dtype, shape, alpha):
    counterpart = complex_random(dtype, *shape, dark=True)
    assert_same(step_size(counterpart, alpha), step_size.__wrapped__(counterpart, alpha), dtype)


@both_dtypes
@pytest.mark.parametrize("levels", range(5))
@pytest.mark.parametrize(
    ("probe_shape", "shape"),
    [((M, M), (M, M)), ((M, M), (3, M, M)), ((1, M, M), (3, M, M)), ((3, M, M), (3, M, M))],
)
def test_v_cycle(dtype, levels, probe_shape, shape):
    """One probe for all the gradients, or one for each."""
    probe, gradient = complex_random(dtype, *probe_shape, dark=True), complex_random(dtype, *shape)
    _, u = regularisation(probe, 0.1)
    plain = v_cycle.__wrapped__(gradient, hierarchy.__wrapped__(probe, u, levels))
    assert_same(v_cycle(gradient, hierarchy(probe, u, levels)), plain, dtype)


@both_dtypes
@pytest.mark.parametrize("shape", [(1, M, M), (3, M, M)])
def test_geometric_mean(dtype, shape):
    a, b = complex_random(dtype, *shape, dark=True), complex_random(dtype, 3, M, M, dark=True)[::-1]
    assert_same(geometric_mean(a, b), geometric_mean.__wrapped__(a, b), dtype)


@both_dtypes
@pytest.mark.parametrize("masked", [False, True])
def test_sums(dtype, masked):
    """The sums of the misfit metrics."""
    probe, waves = complex_random(dtype, 1, M, M), complex_random(dtype, 3, M, M, dark=True)
    mask = (amplitude(dtype, M, M) > 0.5).astype(DTYPES[dtype][0]) if masked else None
    calls = [
        (half_deviance, (waves, amplitude(dtype, 3, M, M), 0.05, mask)),
        (sum_of_squares, (waves,)),
        (sum_of_norms, (probe, waves)),
        (sum_of_norms, (complex_random(dtype, 3, M, M), waves)),
    ]
    for function, args in calls:
        assert function(*args) == pytest.approx(function.__wrapped__(*args), rel=1e-5)


def test_slices_of_an_object():
    """Views with strides of their own give what contiguous copies give."""
    obj, data = complex_random("complex128", 3 * M, 3 * M), amplitude("complex128", 3 * M, 3 * M)
    view, measured = obj[3 : 3 + M, 5 : 5 + M], data[3 : 3 + M, 5 : 5 + M]
    _, u = regularisation(view, 0.1)
    pairs = [
        (wave_correction(view, measured), wave_correction(view.copy(), measured.copy())),
        (step_size(view, 0.1), step_size(view.copy(), 0.1)),
        (v_cycle(view, hierarchy(view, u, 2)), v_cycle(view.copy(), hierarchy(view.copy(), u, 2))),
        (geometric_mean(view, view.conj()), geometric_mean(view.copy(), view.conj().copy())),
    ]
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)


@both_dtypes
@pytest.mark.parametrize("shape", [(M, M), (3, M, M), (2, 96, 96), (2, 2, 8, 8), (5, 7)])
@pytest.mark.parametrize("library", ["ducc0", "scipy"])
def test_transforms(monkeypatch, dtype, shape, library):
    """Both libraries give NumPy's transforms, in the precision of their argument."""
    if library == "scipy":
        monkeypatch.setattr(numpy_fft, "ducc", None)
    elif numpy_fft.ducc is None:
        pytest.skip("ducc0 is not installed; pip install 'ptychosuite[fast]'")
    x = complex_random(dtype, *shape)
    for found, expected in [
        (numpy_fft.fft2(x), np.fft.fft2(x.astype("complex128"))),
        (numpy_fft.ifft2(x), np.fft.ifft2(x.astype("complex128"))),
    ]:
        assert_same(found, expected.astype(dtype), dtype)
