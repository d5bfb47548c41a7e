"""Which patterns of a file are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import MeasuredFile

from tests.problems.measured import small


def written(path: Path) -> str:
    data = small.patterns()
    data[3] = 0
    data[8] = np.minimum(50 * data[8].astype(np.int64), 60_000)
    return small.arrays(path, data=data)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"first": 2, "last": 9}, range(2, 10)),
        ({"first": 1, "every": 3}, range(1, 12, 3)),
        ({"drop": (0, 5)}, [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]),
        ({"drop_empty": True}, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]),
        ({"drop_outliers": 6.0}, [0, 1, 2, 4, 5, 6, 7, 9, 10, 11]),
        ({"drop_empty": True, "drop_outliers": 6.0, "first": 2, "every": 2, "drop": (4,)}, [2, 6, 10]),
    ],
)
def test_patterns_and_positions_of_those_taken(
    tmp_path: Path, settings: dict[str, Any], expected: Any
) -> None:
    measurement = MeasuredFile(written(tmp_path / "a.h5"), zero_frequency="centre", **settings).read()
    whole = MeasuredFile(written(tmp_path / "a.h5"), zero_frequency="centre").read()
    np.testing.assert_array_equal(
        measurement.diffraction_intensity, whole.diffraction_intensity[list(expected)]
    )
    positions = small.positions()[list(expected)]
    np.testing.assert_allclose(measurement.scan_positions_px, positions - positions.min(axis=0), atol=1e-12)
    assert measurement.source["patterns taken"] == f"{len(list(expected))} of 12"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"last": 12}, "'last' names pattern 12; 'data' has 12, counted from 0"),
        ({"drop": (3, 40)}, "'drop' names pattern 40"),
        ({"first": 5, "last": 4}, "no pattern is left of 12"),
    ],
)
def test_numbers_that_are_none(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(DataFileError) as caught:
        MeasuredFile(written(tmp_path / "a.h5"), **settings).read()
    assert says in str(caught.value)
