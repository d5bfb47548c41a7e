"""A figure that a study's runs cannot have is refused when the study is planned, in its place in the file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest
from ptychosuite.errors import StudyError
from ptychosuite.registry import lookup as registry
from ptychosuite.reporting.figures.figure_kind import FigureKind, Names

from tests.conftest import REPOSITORY
from tests.study.small import plan_of, plan_text, study_file
from tests.study.test_bad_input import check, refusal
from tests.study.test_measured_study import write_star

# five lines before it; the figures begin on line 9
AXES = """\
axes:
  problem.noise: [0.05, 0.4]
  solver: [rpie, {name: magpie, levels: 2}, {name: magpie, levels: 3}]
"""
CURVE, MAP = "kind: convergence", "kind: heatmap, x: noise, y: solver"

# (a figure, column, what the message says)
REFUSED = {
    "misspelt metric": (f"{CURVE}, metric: residul", 25, ["residul", "did you mean 'residual'"]),
    "metric of another study": (f"{CURVE}, metric: ssim_phase", 25, [r"metrics: \[ssim_phase\]"]),
    "no curve": (f"{CURVE}, metric: frc_crossing", 25, ["only at the end of a run"]),
    "no half scans": (f"{MAP}, value: half_frc_crossing", 42, ["half_frc_crossing", "half_scans: true"]),
    "no tolerance": (f"{MAP}, value: iterations-to-target", 42, ["needs a tolerance", "stop"]),
    "no jumps": (f"{MAP}, value: ff_rejected", 42, ["no run has 'ff_rejected'"]),
    "misspelt panel": (f"{CURVE}, panel: noize", 25, ["noize", "did you mean 'noise'"]),
    "misspelt line": (f"{CURVE}, line: solvr", 25, ["solvr", "did you mean 'solver'"]),
    "a setting of no run": (f"{CURVE}, line: history", 25, ["no run has 'history'"]),
    "misspelt axis": ("kind: heatmap, x: nose, y: solver", 21, ["nose", "did you mean 'noise'"]),
    "one axis twice": ("kind: heatmap, x: noise, y: problem.noise", 31, ["noise", "two axes, x and y"]),
    "misspelt where": (f"{CURVE}, where: {{niose: 0.4}}", 33, ["niose", "did you mean 'noise'"]),
    "no such value": (f"{CURVE}, where: {{noise: 0.3}}", 33, ["no run has noise 0.3; there are: 0.05, 0.4"]),
    "other text for a number": (f"{CURVE}, where: {{noise: '0.4x'}}", 33, ["no run has noise 0.4x"]),
    "one alternative": (f"{CURVE}, where: {{noise: [0.4, 0.3]}}", 46, ["noise 0.3; there are"]),
    "no such solver": (f"{CURVE}, where: {{solver: lbfgs}}", 33, ["there are: rpie, magpie"]),
    "not together": (f"{CURVE}, where: {{solver: rpie, levels: 3}}", 25, ["all of this together"]),
    "another constant": (f"{CURVE}, where: {{dtype: complex128}}", 33, ["there are: complex64"]),
    "a switch for a number": (f"{CURVE}, where: {{seed: off}}", 33, ["seed False; there are: 0"]),
}  # fmt: skip

ACCEPTED = {
    "defaults": CURVE,
    "a number by value": f"{CURVE}, where: {{noise: 4e-1}}",
    "an integer by value": f"{CURVE}, where: {{seed: 0.0}}",
    "alternatives": f"{CURVE}, where: {{noise: [5e-2, 0.4]}}",
    "text for a number": f"{CURVE}, where: {{noise: '0.4'}}",
    "a solver by its label": f"{CURVE}, where: {{solver: MAGPIE}}",
    "by its path": f"{CURVE}, line: solver.levels, panel: problem.noise, where: {{problem.noise: 0.4}}",
    "by the path of its part": f"{CURVE}, line: solver, panel: problem.object",
    "a constant": f"{CURVE}, panel: dtype, where: {{problem.object.size: 32, backend: numpy}}",
    "an alias": f"{CURVE}, metric: nll",
    "seconds": f"{MAP}, value: seconds-per-iteration",
    "those without the setting": f"{CURVE}, where: {{levels: [null, 2]}}",
    "fast-forward that is off": f"{CURVE}, line: fast_forward, where: {{fast_forward: off}}",
    "no text at all": "kind: rings",
}


@pytest.mark.parametrize(("figure", "column", "fragments"), REFUSED.values(), ids=REFUSED)
def test_refused_with_its_place(tmp_path, figure, column, fragments):
    """Line and column of the name or value that is wrong, and the nearest one that would do."""
    path = study_file(tmp_path, f"{AXES}figures:\n  - {{kind: setup}}\n  - {{{figure}}}\n")
    message = refusal(path)
    check(message, f"11:{column}: figures.1.", fragments)


@pytest.mark.parametrize("figure", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(tmp_path, figure):
    """Whatever the results will be able to tell."""
    assert len(plan_text(tmp_path, f"{AXES}figures: [{{{figure}}}]\n").figures) == 1


def test_what_a_study_asks_for_can_be_drawn(tmp_path):
    """A metric beyond the default ones, of half scans, of a tolerance, of jumps: the plan has it or not."""
    wanted = {
        "ssim_phase": "metrics: [ssim_phase]\n",
        "half_frc_crossing": "half_scans: true\n",
        "iterations-to-tol": "axes: {stop.residual: [1e-3]}\n",
        "ff_rejected": "axes: {fast_forward: [{kind: identity, warm_up: 1, jumps: 1, look_ahead: 1}]}\n",
    }
    for value, asking in wanted.items():
        figures = f"figures: [{{kind: heatmap, x: seed, y: solver, value: {value}}}]\n"
        assert plan_text(tmp_path, asking + figures).figures[0]["value"] == value
        with pytest.raises(StudyError, match=f"no run has '{value}'"):
            plan_text(tmp_path, figures)
    figures = "figures: [{kind: heatmap, x: seed, y: solver, value: frc_crossing}]\n"
    with pytest.raises(StudyError, match="all have half scans; did you mean 'half_frc_crossing'"):
        plan_text(tmp_path, "half_scans: true\n" + figures)


def test_overrides_leave_a_figure_without_runs(tmp_path):
    """What they take away is no mistake of the study; a misspelt name is one all the same."""
    figures = (
        "figures:\n  - {kind: convergence, where: {noise: 0.4, levels: 3}}\n  - {kind: heatmap, x: seed, y: "
    )
    path = study_file(tmp_path, f"{AXES}{figures}levels}}\n")
    assert len(plan_of(path, "problem.noise=0.05", "solver=rpie").figures) == 2
    path = study_file(tmp_path, f"{AXES}{figures}levls}}\n")
    check(
        refusal(path, "problem.noise=0.05", "solver=rpie"),
        "11:30: figures.1.y",
        ["levls", "did you mean 'levels'"],
    )


@dataclass(frozen=True)
class Named(FigureKind):
    """Names its metrics and factors in settings of its own."""

    names: ClassVar[Names] = Names(metrics=("shown",), factors=("by",))

    shown: list[str] | str = "residual"
    by: str | None = None
    metric: str = "euclidean"

    def draw(self, material):
        raise NotImplementedError


def test_settings_of_other_packages_are_checked_where_they_say_so(tmp_path):
    """A class says which of its settings name what; of the others nothing is supposed."""
    kind = f"kind: '{__name__}:Named'"
    assert plan_text(tmp_path, f"figures: [{{{kind}, shown: [error, residual], by: solver}}]\n")
    for wrong in ("shown: [error, eror]", "by: sed"):
        entry = f"  - {{{kind}, {wrong}}}"
        column = entry.index("eror" if "eror" in wrong else "by: ") + 1
        with pytest.raises(StudyError, match=rf":7:{column}: figures\.0\."):
            plan_text(tmp_path, f"figures:\n{entry}\n")


def test_every_kind_names_settings_that_it_has():
    """A misspelt declaration would check nothing."""
    for kind in registry.classes("figures").values():
        names = kind.names
        fields = set(kind.__dataclass_fields__)
        assert {*names.metrics, *names.curves, *names.factors, *names.axes} <= fields, kind


def test_planning_loads_no_library_for_drawing(tmp_path):
    """Figures are checked by what their classes declare."""
    path = study_file(tmp_path, f"{AXES}figures: [{{{MAP}}}, {{{CURVE}, where: {{noise: 0.4}}}}]\n")
    code = (
        "import sys; from ptychosuite.study.expand import make_plan;"
        "from ptychosuite.study.study_file import load_study;"
        f"make_plan(load_study({str(path)!r}));"
        "assert not {'matplotlib', 'pandas', 'xarray', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


def test_default_figures_are_those_that_data_can_have(tmp_path):
    """Of measured data there is no error; a study that asks for it is refused."""
    write_star(tmp_path / "star.npz")
    measured = "study: tiny\nproblem: {kind: file, path: star.npz}\n"
    plan = plan_of(study_file(tmp_path, head=measured))
    assert [figure.get("metric") for figure in plan.figures] == ["residual", None]
    path = study_file(tmp_path, "figures: [{kind: convergence, metric: error}]\n", head=measured)
    check(refusal(path), "3:31: figures.0.metric", ["no run has 'error'", "needs the truth"])


@pytest.mark.parametrize(
    ("where", "setting", "said"),
    [
        (
            "{noise: 0.4}",
            "problem.noise=0.1",
            "11:33: figures.1.where.noise: no run has noise 0.4; there are: 0.1",
        ),
        ("{noise: [0.4, 0.1]}", "problem.noise=0.1", ""),
        ("{levels: 3}", "solver=rpie", ""),
        ("{solver: [magpie, epie]}", "solver=rpie", "no run has solver magpie; there are: rpie"),
        ("[{noise: 0.4}, {solver: rpie}]", "problem.noise=0.1", ""),
        ("{solver: magpie, levels: 2}", "solver.levels=3", "no run has levels 2"),
    ],
)
def test_what_overrides_take_away_is_said(tmp_path, where, setting, said):
    """The study is good as it is: nothing is refused, and a figure that is left without runs is told."""
    axes = AXES.replace("rpie, ", "") if "levels=" in setting else AXES
    path = study_file(tmp_path, f"{axes}figures:\n  - {{kind: setup}}\n  - {{{CURVE}, where: {where}}}\n")
    (*warnings,) = plan_of(path, setting).warnings
    assert len(warnings) == bool(said)
    assert said in "".join(warnings)
    assert not warnings or "so that the figure is not drawn" in warnings[0]
