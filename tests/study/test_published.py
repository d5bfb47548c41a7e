"""The section ``published`` of a study: checked with line and column, drawn beside ours, judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pandas as pd
import ptychosuite
import pytest
from ptychosuite.analysis.published import reproduced
from ptychosuite.api.results import selected_runs
from ptychosuite.errors import StoreError, StudyError, UserError
from ptychosuite.study.json_schema import study_schema

from tests.report.test_report import Page
from tests.study.small import carry_out, plan_text, study_file

AXES = (
    "axes:\n  problem.noise: [0.05, 0.2]\n  solver: [rpie, {name: magpie, levels: 2}]\n  seed: {range: 3}\n"
)
SOURCE = "Nobody, J. Imag. 1, 2 (2026)"
TABLE = """\
published:
  - metric: phase_rmse_rad
    source: Nobody, J. Imag. 1, 2 (2026)
    tolerance: 0.05
    where: {stop.iterations: 3}
    values:
      - {where: {noise: 0.05, solver: rpie}, value: %(same)g}
      - {where: {noise: 0.05, solver: magpie}, value: %(worse)g}
      - {where: {noise: 0.2, solver: [rpie, magpie]}, value: %(better)g}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study carried out, and its table."""
    folder = tmp_path_factory.mktemp("published")
    carry_out(plan_text(folder, AXES), folder / "results")
    return folder, ptychosuite.open(folder / "results/tiny").table


@pytest.fixture
def study(results, monkeypatch):
    """It with three published values: ours to 3 %, a third of ours, and three times ours."""
    folder, table = results
    monkeypatch.chdir(folder)
    median = table.groupby(["noise", "solver"])["phase_rmse_rad"].median()
    pooled = table.loc[table["noise"] == 0.2, "phase_rmse_rad"].median()
    values = {
        "same": 1.03 * median[0.05, "rpie"],
        "worse": median[0.05, "magpie"] / 3,
        "better": 3 * pooled,
    }
    return study_file(folder, AXES + TABLE % values), table


def test_check_judges_each_value_within_its_tolerance(command, study):
    """Beyond it, to the worse a regression, to the better an improvement; the numbers are medians of ours."""
    path, table = study
    code, out, _ = command("check", path, "--published", "--json")
    assert code == 1
    findings = json.loads(out)["findings"]
    assert [finding["judgement"] for finding in findings] == ["good", "regression", "improvement"]
    rows = table[(table["noise"] == 0.05) & (table["solver"] == "magpie")]
    assert findings[1]["found"] == rows["phase_rmse_rad"].median()
    assert findings[1]["tolerance"] == 0.05
    assert SOURCE in findings[1]["message"]
    text = command("check", path, "--published")[1]
    assert f"against published values, 3 of 3 compared ({SOURCE}): regression" in text


def test_report_has_ours_beside_theirs(study, quick_figures):
    path, table = study
    page = Path(ptychosuite.report(path, progress=False))
    found = Page(page.read_text(encoding="utf-8"))
    for text in (
        "Published values",
        SOURCE,
        "All of it is for stop_iterations 3.",
        "yes (5 %)",
        "no (5 %)",
        "no, ours is better (5 %)",
        "3 of 3",
    ):
        assert text in found.text, text
    numbers = pd.read_csv(page.parent / "numbers" / "published.csv")
    assert numbers["within"].tolist() == [True, False, False]
    assert numbers["ratio"].tolist() == pytest.approx([1 / 1.03, 3, 1 / 3], rel=1e-5)
    rows = table[(table["noise"] == 0.05) & (table["solver"] == "rpie")]["phase_rmse_rad"]
    assert numbers.loc[0, ["ours_low", "ours_high"]].tolist() == [rows.min(), rows.max()]
    assert numbers["planned"].tolist() == [3, 3, 6]


def test_a_shortened_version_is_not_compared(study, command):
    """Runs of two iterations say nothing of what was published after three: no value, no good verdict."""
    path, _ = study
    assert not ptychosuite.plan(path, {"stop.iterations": 2}).plan.warnings
    ptychosuite.run(path, {"stop.iterations": 2}, cluster="none", progress=False)
    code, out, _ = command("check", path, "--published", "--set", "stop.iterations=2")
    assert code == 3
    assert "0 of 3 compared" in out


def test_missing_runs_leave_it_undecided(study, command):
    path, _ = study
    settings = ("--set", "problem.scan.overlap=0.6")
    ptychosuite.run(path, {"problem.scan.overlap": 0.6}, cluster="none", first=2, progress=False)
    code, out, _ = command("check", path, "--published", *settings, "--json")
    assert code == 3
    first = json.loads(out)["findings"][0]
    assert first["judgement"] == "could not judge"
    assert "2 of 3 completed, 1 missing" in first["message"]


def test_a_bundle_has_them_and_one_that_has_nonsense_is_refused(study):
    path, _ = study
    ptychosuite.export(path, "crate", out="kept.zip", licence="MIT", progress=False)
    page = Path(ptychosuite.report("kept.zip", out="of-bundle", progress=False))
    assert "Published values" in page.read_text(encoding="utf-8")
    selection = selected_runs(path, (), None, "results")
    odd = {**selection.study, "published": [{"metric": "error", "worth": 3}]}
    with pytest.raises(StoreError, match=r"published.0.worth: unknown key"):
        reproduced(replace(selection, study=odd))


def test_nothing_published(tmp_path):
    path = study_file(tmp_path, AXES)
    with pytest.raises(UserError, match="tiny has no published values"):
        ptychosuite.check(path, published=True, results=tmp_path)


ENTRY = "published:\n  - {metric: error, source: here, %s}\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (ENTRY % "where: {noise: 0.05}", "11:5", "'value' is missing"),
        (ENTRY % "value: 1, values: [{value: 1}]", "11:5", "'value' and 'values' are both given"),
        (ENTRY % "value: much", "11:35", "expected a valid number"),
        (ENTRY % "value: 0", "11:35", "found 0"),
        (ENTRY % "value: 1, where: {nose: 0.05}", "11:53", "no run has 'nose'; did you mean 'noise'?"),
        (ENTRY % "value: 1, tolerance: -1", "11:45", "tolerance"),
        (ENTRY % "value: 1, by: me", "11:45", "unknown key 'by'"),
        (ENTRY.replace("error", "eror") % "value: 1", "11:6", "no run has 'eror'; did you mean 'error'?"),
        (ENTRY.replace(", source: here", "") % "value: 1", "11:5", "'source' is missing"),
        ("published: 3\n", "10:1", "expected a list"),
        (ENTRY % "where: {seed: 0}, values: [{value: 1, where: {seed: 1}}]", "11:81", "says it already"),
    ],
)
def test_refused_with_line_and_column(tmp_path, text, place, message):
    with pytest.raises(StudyError) as caught:
        plan_text(tmp_path, AXES + text)
    assert f"tiny.yaml:{place}: " in str(caught.value)
    assert message in str(caught.value)


def test_conditions_that_no_run_meets_are_a_warning(tmp_path):
    """With its place; of what an override takes away nothing is said."""
    text = AXES + ENTRY % "value: 1, where: {noise: 0.3}"
    (warning,) = plan_text(tmp_path, text).warnings
    assert "tiny.yaml:11:53: published.0.where.noise: no run has noise 0.3; there are: 0.05, 0.2" in warning
    assert not plan_text(tmp_path, text, "seed=0").warnings


def test_schema_knows_it(results):
    """The editor accepts what the reader accepts, and refuses an unknown key."""
    data = {"study": "tiny", "published": [{"metric": "error", "source": "here", "value": 1.5}]}
    jsonschema.validate(data, study_schema())
    data["published"][0]["valeu"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, study_schema())
