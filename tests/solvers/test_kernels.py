"""The compiled forms of the solvers' functions against the plain ones."""

import numpy as np
import pytest
from ptychosuite.solvers import adam, adam_kernels
from ptychosuite.solvers.adam import algorithm_1
from ptychosuite.solvers.emagpie import geometric_mean
from ptychosuite.solvers.multigrid import hierarchy, v_cycle
from ptychosuite.solvers.pie import regularisation, step_size

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
@pytest.mark.parametrize("shape", [(1, M, M), (3, M, M)])
def test_geometric_mean(dtype, shape):
    a, b = complex_random(dtype, *shape, dark=True), complex_random(dtype, 3, M, M, dark=True)[::-1]
    assert_same(geometric_mean(a, b), geometric_mean.__wrapped__(a, b), dtype)


@both_dtypes
@pytest.mark.parametrize("t", [1, 2, 1000])
def test_algorithm_1(dtype, t):
    g, m, v = (complex_random(dtype, M, M, dark=True).real for _ in range(3))
    arguments = (g, m, v**2, 0.01, t, max(1, t // 2))
    for found, expected in zip(algorithm_1(*arguments), algorithm_1.__wrapped__(*arguments), strict=True):
        assert_same(found, expected, dtype)
    for name in ("BETA_1", "BETA_2", "EPSILON"):
        assert getattr(adam, name) == getattr(adam_kernels, name)


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
