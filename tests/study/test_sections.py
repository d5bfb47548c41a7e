"""The section ``check`` of a study."""

from __future__ import annotations

import pytest
from ptychosuite.core.plan import Tolerances
from ptychosuite.errors import StudyError

from tests.study.small import plan_text


def test_tolerances_of_a_study(tmp_path):
    """What the study says is in its plan, the rest is left to the defaults, and runs stay what they are."""
    plain = plan_text(tmp_path, "")
    plan = plan_text(tmp_path, "check:\n  tolerance: {residual: 1e-6, peak_host_bytes: 1}\n")
    assert plain.tolerances == plan_text(tmp_path, "check: {}\n").tolerances == Tolerances()
    assert plan.tolerances == Tolerances({"residual": 1e-6, "peak_host_bytes": 1.0})
    assert plan.run_ids == plain.run_ids


def test_tolerances_by_dtype(tmp_path):
    """A number holds for every run, a mapping for the dtypes it names."""
    found = plan_text(tmp_path, "check: {tolerance: {error: 0.1, nmse: {complex128: 1e-9}}}\n").tolerances
    assert [found.of("error", dtype) for dtype in ("complex64", "complex128")] == [0.1, 0.1]
    assert [found.of("nmse", dtype) for dtype in ("complex64", "complex128")] == [None, 1e-9]
    assert found.of("residual", "complex64") is None


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("check:\n  tolerance:\n    residal: 0.1\n", 8, "did you mean 'residual'?"),
        ("check:\n  tolerance:\n    residual: -1\n", 8, "greater than or equal to 0"),
        ("check:\n  tolerance:\n    residual: loose\n", 8, "valid number"),
        ("check:\n  tolerance:\n    residual: {complex65: 1}\n", 8, "did you mean 'complex64'?"),
        ("check:\n  tolerance:\n    residual: {complex64: -1}\n", 8, "check.tolerance.residual"),
        ("check:\n  tolerances: {}\n", 7, "did you mean 'tolerance'?"),
        ("check:\n  tolerance: 0.1\n", 7, "expected keys and values"),
        ("check: 0.1\n", 6, "expected keys and values"),
    ],
)
def test_wrong_tolerances(tmp_path, section, line, said):
    """Refused with the line, as everything in a study is."""
    with pytest.raises(StudyError) as refused:
        plan_text(tmp_path, section)
    assert f"tiny.yaml:{line}:" in str(refused.value)
    assert said in str(refused.value)
