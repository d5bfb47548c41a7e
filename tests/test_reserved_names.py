"""Settings that are called like the suite's own columns are planned, stored and drawn without harm."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import xarray as xr
from ptychosuite.registry.factors import factor_names, is_own
from ptychosuite.solvers.solver import SweepState

from tests.study.small import study_file

OWN = ("row", "lane", "status", "residual", "run", "iterations", "psnr_phase", "line", "runs", "ff_jumps")


@dataclass(frozen=True)
class Awkward:
    """A solver that does nothing, with settings of unfortunate names."""

    row: int = 0
    lane: str = "left"
    status: str = "fine"
    residual: float = 1.0
    runs: int = 0

    def init(self, problem):
        return SweepState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        return SweepState(self.residual * state.object, state.probe, state.data_passes + 1)


STUDY = """\
solver: {name: "tests.test_reserved_names:Awkward"}
zip:
  - solver.row: [1, 2]
    solver.lane: [left, throughput]
    solver.status: [fine, failed]
    solver.residual: [1.0, 0.5]
    solver.runs: [0, 7]
figures:
  - {kind: convergence, panel: solver.residual, line: solver.lane}
  - {kind: convergence, line: solver, where: {solver.status: failed}}
  - {kind: heatmap, x: solver.row, y: solver.runs, value: residual}
  - {kind: images}
"""


@pytest.mark.parametrize("name", OWN)
def test_own_names_are_given_to_no_factor(name):
    """More of the path tells them apart."""
    assert factor_names([f"solver.{name}", "seed"])[f"solver.{name}"] == f"solver_{name}"


def test_curves_are_our_own():
    assert is_own("residual_curve")
    assert not is_own("learning_curve")
    assert not is_own("curves")


@pytest.mark.usefixtures("quick_figures")
def test_settings_called_like_columns(command, tmp_path):
    """Plan, run, show, report, baseline and check of a solver with such settings."""
    study = study_file(tmp_path, STUDY)
    assert command("plan", study)[0] == 0
    code, _, err = command("run", study, "--cluster", "none")
    assert code == 0, err
    code, out, _ = command("show", study, "--json")
    rows = json.loads(out)
    assert len(rows) == 2
    assert {row["status"] for row in rows} == {"completed"}
    assert {row["lane"] for row in rows} == {"timing"}
    assert {row["solver_lane"] for row in rows} == {"left", "throughput"}
    assert {row["solver_row"] for row in rows} == {1.0, 2.0}
    assert {row["solver_residual"] for row in rows} == {0.5, 1.0}
    assert len({row["residual"] for row in rows}) == 2
    assert command("show", study)[0] == 0
    code, _, err = command("report", study, "--out", "pages")
    assert code == 0, err
    assert (tmp_path / "pages/tiny/index.html").read_text().count("Not drawn") == 0
    dataset = xr.open_zarr(tmp_path / "results/tiny/study.zarr")
    assert set(dataset["status"].values.tolist()) == {"completed"}
    assert set(dataset["solver_status"].values.tolist()) == {"fine", "failed"}
    assert command("baseline", "save", "healthy", study)[0] == 0
    assert command("check", study, "--baseline", "healthy")[0] == 0
