"""The studies of the papers: MAGPIE's figures under their numbers, each drawn from what its study runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import ptychosuite
import pytest
from ptychosuite.problems.scans import Raster
from ptychosuite.registry.lookup import build
from ptychosuite.study.expand import make_plan
from ptychosuite.study.schema import problem_size
from ptychosuite.study.study_file import load_overrides, load_study

from tests.study.small import REPOSITORY, carry_out, plan_of

FOLDER = REPOSITORY / "studies" / "paper"
SMALL = ("problem.object.size=192", "stop.iterations=3", "seed=0")
BLIND = ("problem.object.size=160", "problem.start_object.size=160", "stop.iterations=2")
JUMPS = "fast_forward=[off, {kind: identity, warm_up: 1, jumps: 1, look_ahead: 1}]"
SETTINGS = {
    "setup": (),  # of one iteration
    "levels": SMALL,
    "noise": SMALL,
    "overlap": SMALL,
    "circuit": SMALL,
    "blind-overlap": (*BLIND, "problem.scan.overlap=0.5"),
    "blind-noise": (*BLIND, "problem.noise=0.05"),
    "fast-forward": (
        "stop.iterations=4", "stop.check_every=2", JUMPS,
        "problem.object={kind: images, magnitude: astronaut, phase: camera, size: 96}",
    ),
    "fast-forward-other-instruments": (
        "stop.iterations=4", "problem.object={kind: images, magnitude: astronaut, phase: camera}", "seed=0",
        "solver=[epie, rpie]", "problem.noise=[0.5]", JUMPS,
    ),
    "fast-forward-known": (
        "stop.iterations=4", "seed=0", JUMPS,
        "problem.object=[{kind: images, size: 128, magnitude: astronaut, phase: camera}]",
    ),
    "fast-forward-multigrid": ("stop.iterations=4", "seed=0", "problem.noise=[0.5]", JUMPS),
    "fast-forward-sizes": ("stop.iterations=4", "seed=0", JUMPS),
}  # fmt: skip
OVERLAPS = {
    "overlap": ("figure-09", ["overlap 25 %", "overlap 75 %"]),
    "circuit": ("figure-12", ["overlap 50 %", "overlap 75 %"]),
}
POSITIONS = {"levels": {49}, "noise": {49}, "overlap": {25, 169}, "circuit": {49, 169}}


def studies() -> list[Path]:
    return [path for path in sorted(FOLDER.glob("*.yaml")) if "study:" in path.read_text()]


def test_every_study_is_tested():
    assert {path.stem for path in studies()} == set(SETTINGS)


def test_every_figure_of_the_paper_has_its_number():
    """3 to 14, each the key of exactly one figure; all figures that come out have a key, in one width."""
    figures = [figure for path in studies() for figure in make_plan(load_study(path, [])).figures]
    keys = Counter(figure.get("key") for figure in figures)
    for number in range(3, 15):
        assert keys[f"figure-{number:02}"] == 1, number
    assert {figure.get("width") for figure in figures if figure.get("key")} == {"page"}


@pytest.mark.parametrize("path", studies(), ids=lambda path: path.stem)
def test_every_figure_is_drawn(path, tmp_path, monkeypatch):
    """In small; the scans are the paper's."""
    monkeypatch.setattr("ptychosuite.reporting.style.FORMATS", ("svg",))
    settings = SETTINGS[path.stem]
    plan = plan_of(path, *settings)
    carry_out(plan, tmp_path)
    drawn = ptychosuite.figures(path, settings, results=tmp_path, out=tmp_path / "figures", progress=False)
    later = [
        figure["key"]
        for figure in plan.figures
        if figure.get("at") or "stop.iterations" in (figure.get("where") or {})  # than these runs go
    ]
    assert set(later) <= set(drawn.not_drawn) <= {*later, "best-way-profile"}  # whose target none comes to
    keys = [
        figure["key"] for figure in plan.figures if figure.get("key") and figure["key"] not in drawn.not_drawn
    ]
    assert set(keys) <= set(drawn.keys)
    for key in keys:
        assert (drawn.path / "figures" / f"{key}.svg").is_file()
    if path.stem in OVERLAPS:
        key, titles = OVERLAPS[path.stem]
        numbers = pd.read_csv(drawn.path / "numbers" / f"{key}.csv")
        assert list(numbers["panel"].unique()) == titles
        assert set(numbers["metric"]) == {"residual", "error"}
        text = (drawn.path / "figures" / f"{key}.svg").read_text()
        assert all(title in text for title in titles)


@pytest.mark.parametrize(("name", "positions"), [("overlap", {225, 361, 841}), ("noise", {841})])
def test_blind_studies_are_those_of_the_paper(name, positions):
    """Scans between pixels, batches of 81, and every published value with exactly one run of the study."""
    plan = make_plan(load_study(FOLDER / f"blind-{name}.yaml", []))
    assert not plan.warnings
    assert {problem_size(run.problem).n_positions for run in plan.runs} == positions
    assert {(run.solver["sweep"], run.solver["batch"]) for run in plan.runs} == {("minibatch", 81)}
    assert len(plan.published) == len(plan.runs) == 12
    meant = [
        [run.run_id("") for run in plan.runs if all(run.leaves().get(p) == v for p, v in value.where.items())]
        for value in plan.published
    ]
    assert all(len(each) == 1 for each in meant)
    assert len({run_id for (run_id,) in meant}) == 12
    short = plan_of_short(name)
    assert {(run.stop["iterations"], run.problem["scan"]["overlap"]) for run in short.runs} == {(300, 0.5)}


def plan_of_short(name):
    return make_plan(load_study(FOLDER / f"blind-{name}.yaml", load_overrides(FOLDER / "blind-short.yaml")))


def test_blind_studies_begin_as_the_paper_does():
    """Probe: the mean power of the patterns to a few per cent, 0.1 mm out of focus; object: 1 % of noise."""
    run = make_plan(load_study(FOLDER / "blind-overlap.yaml", [])).runs[0]
    start, probe = run.problem["start_probe"], run.problem["probe"]
    truth = build("probes", probe).make()
    obj = build("objects", run.problem["object"]).make()
    corners = Raster(0.5).positions(obj.shape, 128, np.random.default_rng(0))
    powers = [np.sum(np.abs(truth * obj[r : r + 128, c : c + 128]) ** 2) for r, c in corners]
    assert start["power"] == pytest.approx(np.mean(powers), rel=0.03)
    assert start["defocus_m"] - probe["defocus_m"] == pytest.approx(1e-4)
    flat = build("objects", run.problem["start_object"]).make()
    assert np.std(np.abs(flat)) / np.mean(np.abs(flat)) == pytest.approx(0.01, rel=0.2)
    assert np.std(np.angle(flat)) == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(("name", "expected"), POSITIONS.items())
def test_scans_have_the_positions_of_the_paper(name, expected):
    scans = [spec.problem["scan"] for spec in plan_of(FOLDER / f"{name}.yaml").runs]
    rng = np.random.default_rng(0)
    assert {len(Raster(scan["overlap"]).positions((512, 512), 128, rng)) for scan in scans} == expected
