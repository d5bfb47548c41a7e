"""Runs that begin a rounding error aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import RunSpec
from ptychosuite.execute.nudged import nudge, nudged
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.build import build_problem

from tests.study.small import plan_text

GAUSSIAN = "{kind: gaussian, size: 16, fwhm_px: 6}"
LENS = "{kind: lens, size: 16, aperture_px: 3, defocus_rad: 4}"


def spec(folder: Path, probe: str = GAUSSIAN, dtype: str = "complex128") -> RunSpec:
    (found,) = plan_text(folder, "", f"dtype={dtype}", f"problem.probe={probe}", "solver=rpie").runs
    return found


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_nudge(tmp_path, dtype, library):
    """Start and probe change by their last digit, otherwise in each draw; nothing else does."""
    problem = build_problem(spec(tmp_path, dtype=dtype), backend(library))
    one, other = (nudge(problem, dtype, np.random.default_rng(number)) for number in (1, 2))
    for name in ("start_object", "probe"):
        before, a, b = (np.asarray(getattr(each, name)) for each in (problem, one, other))
        assert a.dtype == before.dtype == dtype
        assert 0 < np.abs(a - before).max() <= 2 * np.finfo(dtype).eps * np.abs(before).max()
        assert not np.array_equal(a, b)
    assert one.diffraction_amplitude is problem.diffraction_amplitude


def test_tells_runs_that_amplify_rounding(tmp_path):
    """Of a flat object a lens lights its aperture alone; elsewhere rPIE gives rounding a phase."""
    for probe, least, most in ((GAUSSIAN, 0.0, 1e-12), (LENS, 1e-6, 1.0)):
        run = spec(tmp_path, probe)
        before, after = execute(run)[0].metrics["residual"], nudged(run, 0).metrics["residual"]
        assert least <= abs(after / before - 1) <= most


def test_the_same_number_is_the_same_run(tmp_path):
    first, second = (nudged(spec(tmp_path), 3).curves["residual"] for _ in range(2))
    assert np.array_equal(first, second)
