"""The MAGPIE paper's section 5.1 on its authors' probe and images, against an independent program."""

import json

import numpy as np
import pytest
from ptychosuite.core.runs import Status
from ptychosuite.execute.one_run import execute
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study, parse_override

RESIDUAL_10 = {0: 11.9, 1: 7.2, 3: 4.13, 5: 3.16, 7: 2.90}
RESIDUAL_40 = {0: 3.60, 1: 1.98, 3: 1.17, 5: 0.942, 7: 0.879}
ERROR_40 = {0: 138.8, 1: 110.6, 3: 80.7, 5: 66.1, 7: 59.4}

STUDY = """
study: section-5-1
problem:
  scan: {kind: raster, step_px: 64}
  noise: 0.05
stop: {iterations: 40, check_every: 10}
dtype: complex64
axes:
  solver:
    - {name: rpie, alpha: 0.01}
    - {name: magpie, alpha: 0.01, levels: 1}
    - {name: magpie, alpha: 0.01, levels: 3}
    - {name: magpie, alpha: 0.01, levels: 5}
    - {name: magpie, alpha: 0.01, levels: 7}
  seed: {range: 5}
"""
SEEDS = 5


def specs_of_section_5_1(folder, measured_data, *settings):
    """The runs of the study above on the authors' data, seed by seed."""
    file = folder / "section-5-1.yaml"
    file.write_text(STUDY)
    probe = {"kind": "file", "path": f"{measured_data}/recon_zoneplate_Yi.mat", "key": "probe", "stride": 2}
    images = {"magnitude": f"{measured_data}/baboon.tiff", "phase": f"{measured_data}/cameraman.tif"}
    overrides = [
        parse_override(f"problem.probe={json.dumps(probe)}"),
        parse_override(f"problem.object={json.dumps({'kind': 'images', 'size': 512, **images})}"),
        *map(parse_override, settings),
    ]
    return sorted(make_plan(load_study(file, overrides)).runs, key=lambda spec: spec.seed)


@pytest.fixture(scope="module")
def section_5_1(measured_data, tmp_path_factory):
    """Mean over the seeds of residual after 10 and 40 and error after 40 iterations, by level."""
    figures: dict[int, list[list[float]]] = {}
    for spec in specs_of_section_5_1(tmp_path_factory.mktemp("study"), measured_data):
        record, _ = execute(spec)
        assert record.status is Status.COMPLETED, record.message
        residual, error = record.curves["residual"], record.curves["error"]
        figures.setdefault(spec.solver.get("levels", 0), []).append([residual[10], residual[40], error[40]])
    assert all(len(rows) == SEEDS for rows in figures.values())
    return {level: np.mean(rows, axis=0) for level, rows in figures.items()}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("level", RESIDUAL_10)
def test_section_5_1_of_the_paper(section_5_1, level):
    """Residual within 5 % and magnitude error within 3 % of the independent program's."""
    residual_10, residual_40, error_40 = section_5_1[level]
    assert residual_10 == pytest.approx(RESIDUAL_10[level], rel=0.05)
    assert residual_40 == pytest.approx(RESIDUAL_40[level], rel=0.05)
    assert error_40 == pytest.approx(ERROR_40[level], rel=0.03)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_deeper_levels_lower_the_residual(section_5_1):
    """At equal iterations every deeper level explains the data better and is nearer to the truth."""
    figures = np.array([section_5_1[level] for level in sorted(section_5_1)])
    assert (np.diff(figures, axis=0) < 0).all()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_deeper_levels_meet_the_tolerance_sooner(measured_data, tmp_path):
    """Iterations until the gradient norm falls below the paper's 1e-4: fewer for every deeper level."""
    specs = specs_of_section_5_1(
        tmp_path,
        measured_data,
        "seed={range: 2}",
        "solver.levels=[1, 3, 5, 7]",
        "solver={name: magpie, alpha: 0.01}",
        "stop={iterations: 400, gradient: 1e-4}",
    )
    iterations: dict[int, list[float]] = {}
    for spec in specs:
        record, _ = execute(spec)
        iterations.setdefault(spec.solver["levels"], []).append(record.metrics["iterations_to_tol"])
    means = [np.mean(iterations[level]) for level in sorted(iterations)]
    assert (np.diff(means) < 0).all(), iterations
