"""The studies of the papers: MAGPIE's figures under their numbers, each drawn from what its study runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import ptychosuite
import pytest
from ptychosuite.problems.scans import Raster
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study

from tests.study.small import REPOSITORY, carry_out, plan_of

FOLDER = REPOSITORY / "studies" / "paper"
SMALL = ("problem.object.size=192", "stop.iterations=3", "seed=0")
JUMPS = "fast_forward=[off, {kind: identity, warm_up: 1, jumps: 1, look_ahead: 1}]"
SETTINGS = {
    "setup": (),  # of one iteration
    "levels": SMALL,
    "noise": SMALL,
    "overlap": SMALL,
    "circuit": SMALL,
    "fast-forward": (
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
    assert not drawn.not_drawn
    keys = [figure["key"] for figure in plan.figures if figure.get("key")]
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


@pytest.mark.parametrize(("name", "expected"), POSITIONS.items())
def test_scans_have_the_positions_of_the_paper(name, expected):
    scans = [spec.problem["scan"] for spec in plan_of(FOLDER / f"{name}.yaml").runs]
    rng = np.random.default_rng(0)
    assert {len(Raster(scan["overlap"]).positions((512, 512), 128, rng)) for scan in scans} == expected
