"""The measured Siemens star: every solver of its study, and what tells a right reading from a wrong one."""

import dataclasses
import os
from functools import cache

import numpy as np
import pytest
from ptychosuite.core.runs import Status
from ptychosuite.execute.one_run import execute
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study, parse_override

from tests.study.small import REPOSITORY

pytestmark = pytest.mark.slow

STUDY = REPOSITORY / "studies/measured/siemens-star.yaml"
ITERATIONS = 6
WRONG = {
    "rows": {"flip_rows": True},
    "columns": {"flip_columns": True},
    "axes": {"columns": "column-row"},
}


@pytest.fixture
def star(measured_data, monkeypatch):
    """Function that carries out one solver of the study, shortened, with other reading settings."""
    if not (measured_data / "siemens-star-small.npz.bz2").is_file():
        pytest.skip(f"no Siemens star in {measured_data}")
    monkeypatch.setenv("PTYCHOSUITE_DATA", str(measured_data))
    return carried_out


@cache
def carried_out(solver, iterations=ITERATIONS, half_scans=False, **reading):
    assert os.environ["PTYCHOSUITE_DATA"]
    overrides = [f"stop.iterations={iterations}", f"half_scans={'on' if half_scans else 'off'}"]
    overrides += [f"problem.{key}={value}" for key, value in reading.items()]
    plan = make_plan(load_study(STUDY, [parse_override(text) for text in overrides]))
    specs = {spec.solver["name"]: spec for spec in plan.runs}
    assert set(specs) == {"epie", "rpie", "emagpie", "lsqml"}
    record, _ = execute(dataclasses.replace(specs[solver], backend="numpy"))
    assert record.status is Status.COMPLETED
    return record


@pytest.mark.parametrize("solver", ["epie", "rpie", "emagpie", "lsqml"])
def test_residual_falls(star, solver):
    """Six iterations bring the residual below 15 % of the start; the probe moves, everything is finite."""
    record = star(solver)
    residual = record.curves["residual"]
    assert residual[-1] < 0.15 * residual[0], residual / residual[0]
    assert np.isfinite(record.object).all()
    assert np.isfinite(record.probe).all()
    assert record.scan_positions_px.shape[1] == 2
    assert "phase_rmse_rad" not in record.metrics


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_orientation_fits_worse(star, wrong):
    """Positions read the wrong way round leave clearly more residual after six ePIE iterations."""
    right = star("epie").metrics["residual"]
    assert star("epie", **WRONG[wrong]).metrics["residual"] > 1.3 * right


def test_half_scans_agree(star):
    """After 25 ePIE iterations two half scans agree up to 0.32 of Nyquist at least."""
    record = star("epie", iterations=25, half_scans=True)
    assert record.metrics["half_frc_crossing"] >= 0.32
    assert record.metrics["half_frc_resolution_px"] == pytest.approx(1 / record.metrics["half_frc_crossing"])
    assert set(record.rings) == {"frequency", "correlation", "threshold"}
