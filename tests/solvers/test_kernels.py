"""The compiled forms of the solvers' functions against the plain ones."""

import numpy as np
import pytest
from ptychosuite.physics.forward import sum_of_intensities, sum_of_products
from ptychosuite.solvers.adam import algorithm_1
from ptychosuite.solvers.emagpie import geometric_mean, halfway_along
from ptychosuite.solvers.lbfgs import along, inner
from ptychosuite.solvers.lsqml import normal_equations
from ptychosuite.solvers.multigrid import corrected, hierarchy, v_cycle
from ptychosuite.solvers.pie import regularisation, step_size, stepped, stepped_along
from ptychosuite.solvers.solver import direction

from tests.backends.fused import DTYPES, M, assert_same, complex_random

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
shapes = pytest.mark.parametrize("shape", [(M, M), (1, M, M), (3, M, M)])


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
@shapes
@pytest.mark.parametrize("each", [0.1, [[[0.1]], [[0.2]], [[0.3]]]])
def test_regularisation(dtype, shape, each):
    """One for all images, and one for each."""
    if len(shape) == 2 and isinstance(each, list):
        return
    alpha = np.array(each, DTYPES[dtype][0])[: shape[0]] if isinstance(each, list) else each
    counterpart = complex_random(dtype, *shape, dark=True)
    plain = regularisation.__wrapped__(counterpart, alpha)
    for found, expected in zip(regularisation(counterpart, alpha), plain, strict=True):
        assert_same(found, expected, dtype)


@both_dtypes
@pytest.mark.parametrize(
    ("of_probe", "of_patch"),
    [((M, M), (M, M)), ((1, M, M), (3, M, M)), ((3, M, M), (3, M, M)), ((1, 2, M, M), (3, 2, M, M))],
)
def test_steps_of_patches(dtype, of_probe, of_patch):
    """One probe for all patches or one for each, and modes."""
    Q, chi = complex_random(dtype, *of_probe), complex_random(dtype, *of_patch, dark=True)
    z = complex_random(dtype, *(of_patch if len(of_patch) < 4 else (3, 1, M, M)))
    weights = abs(Q)
    assert_same(direction(Q, chi), direction.__wrapped__(Q, chi), dtype)
    assert_same(stepped(z, chi, weights), stepped.__wrapped__(z, chi, weights), dtype)
    for alpha in (0.3, np.array([0.1, 0.5, 1.0], DTYPES[dtype][0])[:, None, None]):
        if chi.ndim == 3 or isinstance(alpha, float):
            plain = stepped_along.__wrapped__(Q, z, chi, alpha)
            assert_same(stepped_along(Q, z, chi, alpha), plain, dtype)
            short = 0.1 * abs(Q).min() / abs(plain - Q).max() * chi  # which keeps phases from being opposite
            assert_same(
                halfway_along(Q, z, short, alpha), halfway_along.__wrapped__(Q, z, short, alpha), dtype
            )


@both_dtypes
def test_corrected(dtype):
    z, g, probe = (complex_random(dtype, *shape) for shape in ((3, M, M), (3, M, M), (1, M, M)))
    levels = hierarchy(probe, regularisation(probe, 0.1)[1], 3)
    assert_same(corrected(z, g, levels), z + v_cycle(g, levels), dtype)


@both_dtypes
@pytest.mark.parametrize("modes", [(), (2,)])
def test_sums_over_patches(dtype, modes):
    z = complex_random(dtype, 3, *[1 for _ in modes], M, M, dark=True)
    images = complex_random(dtype, 3, *modes, M, M)
    assert_same(sum_of_products(z, images), sum_of_products.__wrapped__(z, images), dtype)
    assert_same(sum_of_intensities(images), sum_of_intensities.__wrapped__(images), dtype)


@both_dtypes
@pytest.mark.parametrize("probes", [1, 3])
@pytest.mark.parametrize("modes", [(), (2,)])
def test_normal_equations(dtype, probes, modes):
    one = [1 for _ in modes]
    chi, Q, dQ = (complex_random(dtype, n, *modes, M, M) for n in (3, probes, probes))
    dz, z = (complex_random(dtype, 3, *one, M, M, dark=dark) for dark in (True, False))
    for arguments in ((chi, Q, dz), (chi, Q, dz, dQ, z)):
        plain = normal_equations.__wrapped__(*arguments)
        for found, expected in zip(normal_equations(*arguments), plain, strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=4 * DTYPES[dtype][1] * M**2 * 10)


@both_dtypes
def test_inner(dtype):
    a, b = complex_random(dtype, M, M), complex_random(dtype, M, M, dark=True).T
    assert inner(a, b) == pytest.approx(inner.__wrapped__(a, b), rel=DTYPES[dtype][1] * 10)


@both_dtypes
@pytest.mark.parametrize("shape", [(1, M, M), (3, M, M)])
def test_geometric_mean(dtype, shape):
    a, b = complex_random(dtype, *shape, dark=True), complex_random(dtype, 3, M, M, dark=True)[::-1]
    found, plain = geometric_mean(a, b), geometric_mean.__wrapped__(a, b)
    apart = abs(np.angle(-np.where(a * b == 0, 1, b * np.conj(a)))) > 0.1
    assert_same(np.where(apart, found, 0), np.where(apart, plain, 0), dtype)
    # Of nearly opposite phases the bisector comes from a small difference.
    np.testing.assert_allclose(found, plain, rtol=0, atol=100 * np.finfo(dtype).eps)


@both_dtypes
def test_along(dtype):
    x, direction = complex_random(dtype, 2 * M, 3 * M)[:M, 1 : 1 + M], complex_random(dtype, M, M)
    assert_same(along(x, -0.3, direction), along.__wrapped__(x, -0.3, direction), dtype)


@both_dtypes
@pytest.mark.parametrize("t", [1, 2, 1000])
@pytest.mark.parametrize("each", [False, True])
def test_algorithm_1(dtype, t, each):
    """One rate and scale for all, and one for each run of a stack."""
    x, g, m, v = (complex_random(dtype, 2, M, M, dark=True).real for _ in range(4))
    rate, scale = (np.array([[[1.0]], [[2.0]]], x.dtype) * y if each else y for y in (0.01, 0.3))
    arguments = (x, g, m, v**2, rate, t, max(1, t // 2), (0.8, 0.97), scale)
    for found, expected in zip(algorithm_1(*arguments), algorithm_1.__wrapped__(*arguments), strict=True):
        assert_same(found, expected, dtype)


def test_slices_of_an_object():
    """Views with strides of their own give what contiguous copies give."""
    view = complex_random("complex128", 3 * M, 3 * M)[3 : 3 + M, 5 : 5 + M]
    _, u = regularisation(view, 0.1)
    pairs = [
        (step_size(view, 0.1), step_size(view.copy(), 0.1)),
        (v_cycle(view, hierarchy(view, u, 2)), v_cycle(view.copy(), hierarchy(view.copy(), u, 2))),
        (geometric_mean(view, view.conj()), geometric_mean(view.copy(), view.conj().copy())),
    ]
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
