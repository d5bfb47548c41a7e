"""The transforms of NumPy arrays."""

import numpy as np
import pytest
from ptychosuite.backends import arrays

from tests.backends.fused import DTYPES, M, assert_same, complex_random


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(M, M), (3, M, M), (2, 96, 96), (2, 2, 8, 8), (5, 7)])
@pytest.mark.parametrize("library", ["ducc0", "scipy"])
def test_transforms(monkeypatch, dtype, shape, library):
    """Both libraries give NumPy's transforms, in the precision of their argument."""
    if library == "scipy":
        monkeypatch.setattr(arrays, "ducc", None)
    elif arrays.ducc is None:
        pytest.skip("ducc0 is not installed; pip install 'ptychosuite[fast]'")
    x = complex_random(dtype, *shape)
    for found, expected in [
        (arrays.fft2(x), np.fft.fft2(x.astype("complex128"))),
        (arrays.ifft2(x), np.fft.ifft2(x.astype("complex128"))),
    ]:
        assert_same(found, expected.astype(dtype), dtype)
