"""Extraction of patches and its adjoint."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.physics.forward import add_patches, extract_patches
from ptychosuite.testing import dot_test


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 5), st.integers(0, 7))
def test_dot_test(seed, size, more_rows, more_columns):
    """<E z, w> = <z, E* w> for complex z and w, repeated and overlapping positions included."""
    rng = np.random.default_rng(seed)
    shape = (size + more_rows, size + more_columns)
    positions = np.stack([rng.integers(0, more + 1, 6) for more in (more_rows, more_columns)], axis=-1)
    dot_test(
        lambda obj: extract_patches(obj, positions, size),
        lambda patches: add_patches(np.zeros(shape, complex), patches, positions),
        shape,
        (6, size, size),
        seed=seed,
    )


def test_same_on_every_backend(each_backend):
    """Patches are cut at (row, column), added where they came from, and the object stays as it was."""
    rng = np.random.default_rng(0)
    obj, positions = complex_random(rng, 9, 12), np.array([[0, 0], [2, 5], [4, 7], [2, 5]])
    held = each_backend.asarray(obj)
    patches = extract_patches(held, positions, 5)
    np.testing.assert_array_equal(to_numpy(patches)[2], obj[4:9, 7:12])
    expected = obj.copy()
    for row, column in positions:
        expected[row : row + 5, column : column + 5] += obj[row : row + 5, column : column + 5]
    np.testing.assert_allclose(to_numpy(add_patches(held, patches, positions)), expected, rtol=1e-14)
    np.testing.assert_array_equal(to_numpy(held), obj)
