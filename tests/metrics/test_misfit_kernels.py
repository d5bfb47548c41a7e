"""The compiled sums of the misfit metrics against the plain ones."""

import pytest
from ptychosuite.metrics.misfit import half_deviance, sum_of_norms, sum_of_squares

from tests.backends.fused import DTYPES, M, amplitude, complex_random, good_pixels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_sums(dtype, masked):
    """The sums of the misfit metrics."""
    probe, waves = complex_random(dtype, 1, M, M), complex_random(dtype, 3, M, M, dark=True)
    mask = good_pixels(dtype) if masked else None
    calls = [
        (half_deviance, (waves, amplitude(dtype, 3, M, M), 0.05, mask)),
        (sum_of_squares, (waves,)),
        (sum_of_norms, (probe, waves)),
        (sum_of_norms, (complex_random(dtype, 3, M, M), waves)),
    ]
    for function, args in calls:
        assert function(*args) == pytest.approx(function.__wrapped__(*args), rel=1e-5)


@pytest.mark.parametrize("form", [half_deviance, half_deviance.__wrapped__])
def test_deviance_of_data_in_small_units(form):
    """It is homogeneous in the unit: what keeps logarithms finite hides no data, however small their unit."""
    waves, data = complex_random("complex128", 3, M, M), amplitude("complex128", 3, M, M)
    unit = 1e-16
    assert form(waves * unit**0.5, data * unit**0.5, 1.0, None) == pytest.approx(
        unit * form(waves, data, 1.0, None), rel=1e-9
    )
