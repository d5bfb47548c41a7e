"""Metrics as classes: what each says about itself, and that everything downstream asks it."""

from __future__ import annotations

import dataclasses
import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ptychosuite.analysis.labels import column_name, metric_label
from ptychosuite.analysis.quality import Compared, run_findings
from ptychosuite.analysis.repetition import compare
from ptychosuite.analysis.summary import summary
from ptychosuite.analysis.tables import open_dataset, table_of
from ptychosuite.analysis.to_target import reached_for_good
from ptychosuite.analysis.trend import Point, Series
from ptychosuite.analysis.verdict import Judgement
from ptychosuite.core.plan import Tolerances
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import StudyError
from ptychosuite.metrics import metric as metric_module
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.image import TrueObject
from ptychosuite.metrics.metric import Metric, is_default, known_metrics, metric_of, metrics_of_run
from ptychosuite.metrics.of_truth import PhasePSNR, PhaseSSIM
from ptychosuite.registry.lookup import GROUPS, class_of
from ptychosuite.testing import check_metric, small_problem

from tests.analysis.test_quality import RUN
from tests.conftest import REPOSITORY
from tests.metrics.toy import Likeness
from tests.store.records import record
from tests.study.small import carry_out, plan_text, study_file
from tests.test_check import change_code

BUILT_IN = list(GROUPS["metrics"].built_in)
NEITHER = ("iterations", "first_mode_share", "light_overlap", "expected_deviance", "truth_deviance")
TOY = "tests.metrics.toy:Likeness"
SPEC = RunSpec(
    problem={"kind": "simulated", "start_probe": None},
    solver={"name": "rpie", "alpha": 0.05},
    stop={"iterations": 50, "seconds": None},
)


def evaluated(obj, problem=None) -> Evaluation:
    problem = problem or small_problem()
    return Evaluation(ProblemConstants(problem), obj, problem.probe)


# What each says


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_metric_says_all(name):
    """Its name, a label with its unit, a direction, what it is, and what it needs."""
    metric = class_of("metrics", name)()
    assert metric.name == name
    assert metric.label
    assert metric.label.endswith(metric.unit) or metric.unit == "dB"
    assert metric.better in ("lower", "higher") or name in NEITHER
    assert metric.needs in ("data", "truth", "half scans", "the loop")
    assert type(metric).__doc__


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_every_metric_promises(name, each_backend):
    """Finite, repeatable, writes nothing, best at the truth, free of the gauge."""
    check_metric(class_of("metrics", name)(), backends=[each_backend.name])


def test_a_newcomers_metric_promises_it_too():
    check_metric(Likeness())


def test_higher_is_better():
    """Of these a fall is the regression."""
    higher = {metric.name for metric in known_metrics() if metric.better == "higher"}
    assert {"frc_crossing", "half_frc_crossing", "psnr_phase", "ssim_phase"} <= higher
    assert not {"residual", "frc_resolution_px", "seconds", "poisson_nll"} & higher


def test_order_of_a_baseline():
    """As in the baselines that there are; what is asked for comes behind."""
    judged = [m.name for m in known_metrics() if m.in_baseline and m.name in BUILT_IN]
    assert judged == [
        "residual", "error", "poisson_nll", "poisson_deviance", "held_out_deviance", "phase_rmse_rad", "nmse",
        "frc_area", "half_frc_area", "frc_resolution_px", "half_frc_resolution_px", "position_error_px",
        "mode_overlap",
        "iterations", "iterations_to_tol", "data_passes",
        "peak_host_bytes", "peak_device_bytes", "psnr_phase", "ssim_phase", "normalised_misfit",
        "whole_phase_rmse_rad", "phase_artefact_rad",
    ]  # fmt: skip


def test_crossings_name_their_curve():
    """A place where a curve crosses a line has, under the same conditions, a metric of how high that lies."""
    crossings = {metric.name: metric.crossing_of for metric in known_metrics() if metric.crossing_of}
    assert crossings == {
        "frc_crossing": "frc_area", "frc_resolution_px": "frc_area",
        "half_frc_crossing": "half_frc_area", "half_frc_resolution_px": "half_frc_area",
    }  # fmt: skip
    for name, area in crossings.items():
        metric, curve = class_of("metrics", name), class_of("metrics", area)
        assert (curve.needs, curve.is_available) == (metric.needs, metric.is_available)
        assert curve.in_baseline
        assert curve().is_judged


def test_names_in_words():
    """Labels, synonyms, and names that are not known here."""
    assert metric_label("phase_rmse_rad") == "phase RMSE / rad"
    assert metric_label("of_a_lost_plugin") == "of a lost plugin"
    assert metric_label("iteration") == "iteration"
    assert column_name("iterations-to-target") == "iterations_to_tol"
    assert column_name("nll") == "poisson_nll"
    assert metric_of("of_a_lost_plugin") is None


def table_of_metrics() -> str:
    """That of docs/results.md, as the classes say it."""
    rows = ["| metric | better | meaning |", "|---|---|---|"]
    for name in BUILT_IN:
        metric = class_of("metrics", name)
        meaning = (
            " ".join(metric.__doc__.split("\n\n")[0].split())
            .rstrip(".")
            .replace("|", r"\|")
            .replace("*", r"\*")
        )
        rows.append(f"| `{name}` | {metric.better} | {meaning} |")
    return "\n".join(rows) + "\n"


def test_the_page_on_results_lists_the_metrics():
    """Every built-in metric; python -m tests.metrics.test_metric writes the table."""
    assert table_of_metrics() in (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")


# What is computed


def test_default_metrics():
    """Without being asked for, what a problem allows; half scans take the place of the truth at the end."""
    problem = small_problem()
    names = [metric.name for metric in metrics_of_run((), problem)]
    assert "frc_crossing" in names
    assert not {"half_frc_crossing", "psnr_phase", "seconds"} & set(names)
    halves = {metric.name for metric in metrics_of_run((), problem, half_scans=True)}
    assert {"half_frc_crossing", "half_frc_resolution_px"} <= halves
    assert "frc_crossing" not in halves
    blind = {m.name for m in metrics_of_run(("psnr_phase",), dataclasses.replace(problem, reference=None))}
    assert blind == {"residual", "gradient_norm", "poisson_nll", "poisson_deviance", "light_overlap"}
    asked_for = [name for name in BUILT_IN if not is_default(name)]
    assert asked_for == [
        "psnr_phase", "ssim_phase", "normalised_misfit", "whole_phase_rmse_rad", "phase_artefact_rad",
        "expected_deviance", "truth_deviance",
    ]  # fmt: skip


def test_one_pass_and_one_alignment(monkeypatch):
    """What several metrics need is computed once a state."""
    from ptychosuite.metrics import evaluation as module
    from ptychosuite.metrics.gauge import Aligner

    calls = []
    pass_over, align = module.misfit_metrics, Aligner.align
    monkeypatch.setattr(module, "misfit_metrics", lambda *given: calls.append("pass") or pass_over(*given))
    monkeypatch.setattr(Aligner, "align", lambda *given: calls.append("align") or align(*given))
    problem = dataclasses.replace(small_problem(noise=0.1), probe_known=False)
    state = evaluated(problem.reference.object * 1.1, problem)
    metrics = [m for m in metrics_of_run(("psnr_phase", "ssim_phase"), problem) if m.on_the_way]
    assert len({metric.name: metric.value(state) for metric in metrics}) == 10
    assert calls == ["pass", "align"]


@pytest.mark.parametrize("metric", [PhasePSNR(), PhaseSSIM()])
def test_phase_images(metric):
    """A truer phase scores higher; a global phase does not count, nor the magnitude."""
    truth = small_problem().reference.object
    noise = np.random.default_rng(0).standard_normal(truth.shape)
    near, far = (metric.value(evaluated(truth * np.exp(1j * a * noise))) for a in (0.05, 0.5))
    assert near > far
    turned = metric.value(evaluated(truth * np.exp(1j * (0.05 * noise + 2.5))))
    assert turned == pytest.approx(near, rel=1e-6)
    assert metric.text(near)


def test_psnr_is_its_formula():
    """Range of the truth's phases over the root mean square difference, in dB; SSIM of the truth is 1."""
    problem = small_problem()
    truth = problem.reference.object
    sign = np.where(np.indices(truth.shape).sum(axis=0) % 2, 1, -1)
    box = ProblemConstants(problem).truth.box
    span = np.ptp(np.angle(truth[box]))
    found = PhasePSNR().value(evaluated(truth * np.exp(0.1j * sign)))
    assert found == pytest.approx(20 * np.log10(span / 0.1), abs=0.01)
    assert PhasePSNR().value(evaluated(truth)) > 100
    assert PhaseSSIM().value(evaluated(truth)) == pytest.approx(1)


@pytest.mark.parametrize("metric", [PhasePSNR(), PhaseSSIM()])
@pytest.mark.parametrize("turn", [1.0, 2.5, np.pi])
def test_global_phase_of_the_truth_is_arbitrary(metric, turn):
    """Neither where its phases are counted from nor where they wrap is part of what is compared."""
    problem = small_problem()
    noise = np.exp(0.1j * np.random.default_rng(0).standard_normal(problem.reference.object.shape))
    values = []
    for factor in (1.0, np.exp(1j * turn)):
        truth = problem.reference.object * factor
        turned = dataclasses.replace(problem.reference, object=truth)
        values.append(metric.value(evaluated(truth * noise, dataclasses.replace(problem, reference=turned))))
    assert values[1] == pytest.approx(values[0], rel=1e-9)


@pytest.mark.parametrize("metric", [PhasePSNR(), PhaseSSIM()])
def test_what_was_never_lit_is_not_compared(metric):
    """A box has corners that no pattern has seen, and a reconstruction may have anything there."""
    rng = np.random.default_rng(0)
    truth = np.exp(1j * rng.random((64, 64)))
    on_a_disk = [(row, column) for row in range(0, 49, 6) for column in range(0, 49, 6)
                 if np.hypot(row - 24, column - 24) < 26]  # fmt: skip
    seen = TrueObject(Reference(truth, np.ones((16, 16), complex), np.array(on_a_disk)), probe_known=True)
    assert not seen.scanned[seen.box].all()
    found = truth * np.exp(0.1j * rng.standard_normal(truth.shape))
    values = [
        metric.value(SimpleNamespace(truth=seen, aligned_object=obj, scanned_object=obj[seen.scanned]))
        for obj in (found, np.where(seen.scanned, found, 7j))
    ]
    assert values[0] == values[1]


# What follows from it


def test_direction_of_a_check():
    """Of a metric where higher is better a fall is the regression, a rise the improvement."""
    before = dataclasses.replace(RUN, metrics={**RUN.metrics, "psnr_phase": 30.0, "ssim_phase": 0.5})

    def judged(**metrics):
        now = dataclasses.replace(before, metrics={**before.metrics, **metrics})
        findings = run_findings(Compared(before, now, SPEC, True, Tolerances()))
        return {f.quantity: f.judgement for f in findings if f.judgement is not Judgement.GOOD}

    assert judged(psnr_phase=29.0) == {"psnr_phase": "regression"}
    assert judged(psnr_phase=31.0) == {"psnr_phase": "improvement"}
    assert judged(ssim_phase=None) == {"ssim_phase": "regression"}
    assert judged(residual=1.0, psnr_phase=29.0)["psnr_phase"] == "regression"


def test_clearly_better_in_its_direction():
    """Another beginning is forgiven for a rise of what should rise, not for a fall of it."""
    start = dataclasses.replace(RUN, metrics={"iterations": 50.0, "psnr_phase": 20.0})
    for factor, judgement in ((1.5, "improvement"), (0.5, "regression"), (1.0, "regression")):
        curves = {**RUN.curves, "residual": {**RUN.curves["residual"], "1": 90.0}}
        now = dataclasses.replace(
            start, metrics={**start.metrics, "psnr_phase": 20.0 * factor}, curves=curves
        )
        wide = Tolerances({"psnr_phase": 0.01})
        found = {f.quantity: f.judgement for f in run_findings(Compared(start, now, SPEC, True, wide))}
        assert found["first iterations"] == judgement


def test_speed_up_in_its_direction():
    """What should rise is reached where it stays above."""
    x, curve = np.arange(5.0), np.array([1.0, 3, 2, 4, 5])
    assert reached_for_good(x, curve, 2.5, sign=-1) == 3
    assert reached_for_good(x, curve, 2.5) == np.inf


def test_trend_in_its_direction():
    """A fall of what should rise counts as worse."""
    points = (Point(0, 0.9, None, Judgement.GOOD),)
    assert Series("s", "psnr_phase", 0.01, points, ()).excess > 0
    assert Series("s", "residual at 25", 0.01, points, ()).excess < 0


def test_repetitions_ask_the_metric():
    """Times and memory are left out, figures of a plug-in that is not installed are compared."""
    run = record(metrics={"seconds": 1.0, "of_a_lost_plugin": 1.0})
    slow = dataclasses.replace(run, metrics={**run.metrics, "seconds": 2.0})
    assert compare(run, slow).likeness == "identical"
    other = dataclasses.replace(run, metrics={**run.metrics, "of_a_lost_plugin": 9.0})
    assert compare(run, other).likeness == "different"


def test_summary_asks_the_metric():
    """A run that never meets the tolerance is infinitely long, and is counted out."""
    table = pd.DataFrame(
        {"solver": "rpie", "residual": [1.0, 2, 3], "psnr_phase": [30.0, 31, 32], "lane": "timing",
         "status": "completed", "iterations_to_tol": [5.0, np.nan, np.nan], "seconds": [1.0, 1, 1]}
    )  # fmt: skip
    table.attrs["factors"] = ["solver"]
    (row,) = summary(table).to_dict("records")
    assert (row["completed"], row["residual"], row["psnr_phase"], row["seconds"]) == (3, 2, 31, 1)
    assert (row["met_tolerance"], row["iterations_to_tol"]) == (1, np.inf)
    assert metric_of("iterations_to_tol").text(np.inf) == "not met"
    assert metric_of("residual").text(np.nan) == ""


# A newcomer's


def test_a_study_asks_for_metrics(tmp_path):
    """Default ones need no word and leave ids as they are; the others are part of the run."""
    plain = plan_text(tmp_path, "")
    assert plan_text(tmp_path, "metrics: [residual, seconds]\n").run_ids == plain.run_ids
    one, other = (plan_text(tmp_path, f"metrics: {m}\n") for m in ("psnr_phase", "[psnr_phase, error]"))
    assert one.runs == other.runs
    assert one.runs[0].metrics == ("psnr_phase",)
    assert one.run_ids != plain.run_ids
    assert "metrics" not in plain.runs[0].to_dict()
    assert RunSpec.from_dict(json.loads(json.dumps(one.runs[0].to_dict()))) == one.runs[0]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("[psnr_phas]", "metrics.0: unknown metric 'psnr_phas'; did you mean 'psnr_phase'?"),
        ("[no.such:Metric]", "cannot be loaded from no.such:Metric"),
        ("[tests.metrics.toy:Nothing]", "has no 'name'"),
        ("[tests.metrics.toy:Residual]", "'residual', which is taken by ptychosuite.metrics.of_data"),
        ("[tests.metrics.toy:Row]", "the metric 'row' has the name of a column of the results"),
        ("[tests.metrics.toy:Alpha]", "the metric 'alpha' has the name of the setting solver.alpha"),
        ("{psnr_phase: on}", "metrics"),
    ],
)
def test_metrics_that_cannot_be(tmp_path, metrics, said):
    """Refused before anything runs, with the line."""
    with pytest.raises(StudyError, match=r"tiny\.yaml:6:") as refused:
        plan_text(tmp_path, f"metrics: {metrics}\n")
    assert said in str(refused.value)


STUDY = f"""\
metrics: [psnr_phase, "{TOY}"]
figures: [{{kind: convergence, metric: likeness}}, {{kind: heatmap, x: solver, y: seed, value: likeness}}]
check: {{tolerance: {{likeness: 1e-4}}}}
"""


def test_a_metric_in_one_file(command, tmp_path, monkeypatch):
    """Named by its class: computed, labelled, in summary and baseline, and a fall of it is a regression."""
    study = study_file(tmp_path, STUDY)
    plan = plan_text(tmp_path, STUDY)
    assert isinstance(metric_of("likeness"), Metric)
    store, _ = carry_out(plan, tmp_path / "results")
    (row,) = table_of(open_dataset(store)).to_dict("records")
    assert 0.5 < row["likeness"] <= 1
    assert row["psnr_phase"] > 0
    code, out, _ = command("show", study)
    assert (code, "likeness" in out) == (0, True)
    code, _, err = command("report", study, "--out", "pages")
    assert code == 0, err
    page = (tmp_path / "pages/tiny/index.html").read_text()
    assert "likeness to the truth" in page
    assert "Likeness to the truth against iteration" in page
    assert "PSNR of the phase / dB" in page
    assert "likeness" in (tmp_path / "pages/tiny/numbers/summary.csv").read_text().splitlines()[0]
    monkeypatch.setattr(metric_module, "_named", {})  # as a process that has planned nothing
    code, _, err = command("report", "results/tiny", "--out", "others")
    assert code == 0, err
    assert "Likeness to the truth against iteration" in (tmp_path / "others/tiny/index.html").read_text()
    assert command("baseline", "save", "healthy", study)[0] == 0
    kept = json.loads((tmp_path / "results/baselines/healthy.json").read_text())["runs"][0]["metrics"]
    assert list(kept)[-2:] == ["psnr_phase", "likeness"]
    healthy = Likeness.value
    for factor, code, judgement in ((0.99, 1, "regression"), (1.001, 0, "improvement")):
        change_code(monkeypatch, f"changed {factor}")
        monkeypatch.setattr(Likeness, "value", lambda *given, f=factor: f * healthy(*given))
        carry_out(plan_text(tmp_path, STUDY), tmp_path / "results")
        found, out, _ = command("check", study, "--baseline", "healthy", "--json")
        (finding,) = [f for f in json.loads(out)["findings"] if f["quantity"] == "likeness"]
        assert (found, finding["judgement"]) == (code, judgement)


def test_a_metric_that_fails(tmp_path, monkeypatch):
    """An error in a metric is no verdict: the run has failed, with its traceback."""
    monkeypatch.setattr(Likeness, "value", lambda *_: 1 / 0)
    store, _ = carry_out(plan_text(tmp_path, f'metrics: ["{TOY}"]\n'), tmp_path / "results")
    (row,) = table_of(open_dataset(store)).to_dict("records")
    assert row["status"] == "failed"


if __name__ == "__main__":
    page = REPOSITORY / "docs" / "results.md"
    content = page.read_text(encoding="utf-8")
    table = re.search(r"\| metric \|.*?\n\n", content, re.DOTALL)
    assert table is not None
    page.write_text(content.replace(table[0], f"{table_of_metrics()}\n"), encoding="utf-8")
