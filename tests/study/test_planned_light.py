"""What a plan says of the light's overlap is what the runs then have."""

from __future__ import annotations

import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.problem_kind import ProblemKind
from ptychosuite.store.read import inventory, read_run
from ptychosuite.study import planned_light
from ptychosuite.study.planned_light import PlannedLight

from tests.study.small import carry_out, plan_text

RASTERS = "axes: {problem.scan: [{kind: raster, overlap: 0.4}, {kind: raster, overlap: 0.8}]}\n"


def test_as_the_runs_have_it(tmp_path):
    """The least and the most of the metric light_overlap; a raster draws nothing."""
    plan = plan_text(tmp_path, RASTERS)
    store, _ = carry_out(plan, tmp_path)
    records = [read_run(file) for file in inventory(store).done.values()]
    found = PlannedLight.of(plan.runs)
    assert found.light == pytest.approx(sorted(record.metrics["light_overlap"] for record in records))
    assert (found.seen, found.problems) == (2, 2)
    assert str(found).startswith("the light of neighbouring positions overlaps by ")
    assert " problems" not in str(found)


def test_light_and_arrays(tmp_path):
    """Of a uniform disk of 8 of 16 pixels, in steps of 4: three quarters of the arrays, half of the light."""
    disk = "axes: {problem.probe: [{kind: disk, size: 16, diameter_px: 8}], problem.scan.overlap: [0.75]}\n"
    found = PlannedLight.of(plan_text(tmp_path, disk).runs)
    assert found.arrays == pytest.approx((0.75, 0.75))
    assert found.light == pytest.approx((0.47, 0.47), abs=0.05)
    assert str(found).endswith("(the probe arrays by 75 %)")


def test_some_of_many(tmp_path, monkeypatch):
    """Seeds and solvers make no other problem; of many some are looked at, and the plan says so."""
    many = "axes: {problem.noise: [0, 1, 2, 3, 4, 5, 6], seed: {range: 3}}\n"
    monkeypatch.setattr(planned_light, "MOST_PROBLEMS", 3)
    assert str(PlannedLight.of(plan_text(tmp_path, many).runs)).endswith(", in 3 of 7 problems")
    monkeypatch.setattr(planned_light, "MOST_PIXELS", 1)
    assert str(PlannedLight.of(plan_text(tmp_path, many).runs)).endswith(", in 1 of 7 problems")


def test_measured_data_say_nothing(tmp_path, monkeypatch):
    """Nor do kinds of problem that know no probe before their data are read."""
    plan = plan_text(tmp_path, RASTERS)
    assert PlannedLight.of(()) is None
    simulated = type(planned_light.kind_of(plan.runs[0].problem))
    monkeypatch.setattr(simulated, "light", ProblemKind.light)
    assert PlannedLight.of(plan.runs) is None


def test_what_cannot_be_made_is_told_by_the_run(tmp_path, monkeypatch):
    """A plan does not fail for it."""
    plan = plan_text(tmp_path, RASTERS)

    def dark(self):
        raise DataFileError("no light")

    monkeypatch.setattr(type(planned_light.kind_of(plan.runs[0].problem)), "light", dark)
    assert PlannedLight.of(plan.runs) is None
