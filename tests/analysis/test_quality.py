"""What is said of a run beside its baseline, figure by figure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ptychosuite.analysis.baseline import Baseline, PresentRuns, RunFigures
from ptychosuite.analysis.quality import MOST_NUDGED, Compared, quality_findings, run_findings
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.core.plan import Tolerances
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import BaselineError

from tests.study.small import plan_text

SIMULATED: dict[str, Any] = {"kind": "simulated", "start_probe": None}
SPEC = RunSpec(
    problem=SIMULATED, solver={"name": "rpie", "alpha": 0.01}, stop={"iterations": 50, "seconds": None}
)
MILD = replace(SPEC, solver={"name": "rpie", "alpha": 0.05})
BLIND = replace(SPEC, problem={"kind": "simulated", "start_probe": {"kind": "disk"}})
DOUBLE = replace(SPEC, dtype="complex128")
RUN = RunFigures(
    spec_id="s",
    label="rpie",
    status="completed",
    metrics={
        "residual": 2.0,
        "error": 3.0,
        "frc_resolution_px": None,
        "iterations": 50.0,
        "iterations_to_tol": 40.0,
        "peak_host_bytes": 4e9,
    },
    curves={
        "residual": {"0": 1000.0, "1": 100.0, "2": 50.0, "25": 4.0, "50": 2.0},
        "error": {"0": 9.0, "1": 8.0, "2": 7.0, "25": 4.0, "50": 3.0},
    },
)
ROUNDED = {"1": 100.0 * (1 + 1e-6)}  # a beginning that differs by rounding


def run(curves: dict[str, float | None] | None = None, **metrics: float | None) -> RunFigures:
    """The run with another residual curve and other metrics."""
    residual = {**RUN.curves["residual"], **(curves or {})}
    return replace(RUN, metrics={**RUN.metrics, **metrics}, curves={**RUN.curves, "residual": residual})


def found(
    now: RunFigures,
    before: RunFigures = RUN,
    spec: RunSpec = SPEC,
    same_arithmetic: bool = True,
    **wanted: float,
) -> dict[str, Finding]:
    """What is said, by quantity, leaving out what is good."""
    findings = run_findings(Compared(before, now, spec, same_arithmetic, Tolerances(wanted)))
    return {f.quantity: f for f in findings if f.judgement is not Judgement.GOOD}


def judged(*args: Any, **options: Any) -> dict[str, Judgement]:
    return {quantity: finding.judgement for quantity, finding in found(*args, **options).items()}


def test_same_figures_are_good():
    assert judged(run()) == {}


@pytest.mark.parametrize(("factor", "judgement"), [(1.00001, "regression"), (0.99999, "improvement")])
def test_identical_beginnings_leave_nothing_to_rounding(factor, judgement):
    """After the same first iterations to the last digit, a small change is a change."""
    assert judged(run(residual=2.0 * factor)) == {"residual": judgement}
    assert judged(run({"25": 4.0 * factor})) == {"residual at 25": judgement}


def test_other_rounding_leaves_room():
    """Where the beginnings differ in the last digits, later figures may differ by what that grows to."""
    assert judged(run(ROUNDED, residual=2.2, iterations_to_tol=44.0)) == {}
    assert judged(run(ROUNDED, residual=4.0)) == {"residual": "regression"}
    assert judged(run(ROUNDED, residual=2.2), spec=MILD)["residual"] == "regression"
    assert judged(run(ROUNDED, iterations_to_tol=60.0)) == {"iterations_to_tol": "regression"}
    allowed = found(run(ROUNDED, iterations_to_tol=60.0))["iterations_to_tol"]
    assert (allowed.tolerance, allowed.absolute) == (0.1, 4)


def test_iterations_after_an_identical_beginning():
    """Five per cent more iterations to the tolerance are a regression, fewer an improvement."""
    assert judged(run(iterations_to_tol=42.0)) == {"iterations_to_tol": "regression"}
    assert judged(run(iterations_to_tol=38.0)) == {"iterations_to_tol": "improvement"}


def test_tolerance_that_is_not_reached_any_more():
    finding = found(run(iterations_to_tol=None))["iterations_to_tol"]
    assert finding.judgement == "regression"
    assert "not reached any more" in finding.message
    assert judged(RUN, run(iterations_to_tol=None)) == {"iterations_to_tol": "improvement"}


def test_numbers_that_are_none():
    """NaN for a number is a regression, a number for NaN an improvement, NaN for NaN nothing."""
    assert judged(run(error=None)) == {"error": "regression"}
    assert judged(run({"25": None})) == {"residual at 25": "regression"}
    assert judged(run(frc_resolution_px=1.5)) == {"frc_resolution_px": "improvement"}
    assert judged(run({"1": None}))["first iterations"] == "regression"


def test_a_crossing_is_judged_by_its_curve():
    """A resolution that jumps from 67 px to 12.9 is nothing where the ring correlation is as before."""
    before = run(frc_resolution_px=67.0, frc_area=0.41)
    assert judged(run(frc_resolution_px=12.9, frc_area=0.41), before) == {}
    assert judged(run(frc_resolution_px=None, frc_area=0.41), before) == {}
    assert judged(run(frc_resolution_px=80.0, frc_area=0.30), before) == {
        "frc_area": "regression", "frc_resolution_px": "regression"
    }  # fmt: skip
    findings = run_findings(
        Compared(before, run(frc_resolution_px=12.9, frc_area=0.41), SPEC, True, Tolerances({}))
    )
    (finding,) = [f for f in findings if f.quantity == "frc_resolution_px"]
    assert (finding.found, finding.message) == (12.9, "its curve is as before: frc_area")


def nudged(values: list[float | None]) -> list[RunFigures]:
    """The run begun a rounding error aside, with the errors that come out."""
    return [run(error=value) for value in values]


def judged_beside(nudges: list[RunFigures], now: RunFigures) -> dict[str, str]:
    findings = run_findings(Compared(RUN, now, DOUBLE, True, Tolerances({"error": 1e-6}), nudges))
    return {f.quantity: f.judgement for f in findings if f.judgement is not Judgement.GOOD}


def test_what_rounding_does_here_is_no_change():
    """A figure is judged by what remains beside five times what rounding alone does to it on this machine."""
    now = run(error=3.03)
    assert judged_beside([], now) == {"error": "regression"}
    assert judged_beside(nudged([3.03, 3.03]), now) == {"error": "regression"}
    assert judged_beside(nudged([3.031, 3.029]), now) == {"error": "regression"}
    assert judged_beside(nudged([3.04, 3.03]), now) == {}
    assert judged_beside(nudged([3.04, None]), now) == {}
    assert judged_beside(nudged([None, None]), run(error=None)) == {"error": "regression"}
    assert judged_beside(nudged([None, 3.0]), run(error=None)) == {}


def test_first_iterations_are_judged_beside_rounding_as_well():
    """Each iteration by what rounding does to it; one that it does not explain is enough."""
    now = run({"1": 101.0, "2": 51.0})
    both, one = [run({"1": 101.5, "2": 51.5})], [run({"1": 101.5, "2": 51.0})]
    assert "first iterations" in judged_beside([], now)
    assert "first iterations" not in judged_beside(both, now)
    assert "first iterations" in judged_beside(one, now)


def test_few_runs_are_tried_beside_rounding(tmp_path):
    """Those whose figures have changed; none where many have, which is no matter of rounding."""
    asked: list[str] = []

    def nudges(spec: RunSpec, label: str) -> list[RunFigures]:
        asked.append(label)
        return [replace(RUN, metrics={**RUN.metrics, "error": 3.2})]

    def tried(changed: int) -> int:
        asked.clear()
        plan = plan_text(tmp_path, f"axes: {{seed: {{range: {MOST_NUDGED + 1}}}}}\n")
        before = [replace(RUN, spec_id=spec.spec_id, label=str(i)) for i, spec in enumerate(plan.runs)]
        now = [replace(each, metrics={**RUN.metrics, "error": 1e3}) for each in before[:changed]]
        baseline = Baseline("b", plan.name, "", {}, before)
        quality_findings(baseline, plan, PresentRuns([*now, *before[changed:]], {}, []), nudges)
        return len(asked)

    assert [tried(0), tried(1), tried(MOST_NUDGED), tried(MOST_NUDGED + 1)] == [0, 1, MOST_NUDGED, 0]


def test_a_crossing_without_its_curve():
    """A baseline of before there was a figure of the curve is compared as it was."""
    assert judged(run(frc_resolution_px=80.0), run(frc_resolution_px=67.0)) == {
        "frc_resolution_px": "regression"
    }


@pytest.mark.parametrize(
    ("spec", "same_arithmetic", "change", "is_good"),
    [
        (SPEC, True, 1e-5, True),
        (SPEC, True, 6e-5, False),  # one coarse level of MAGPIE a thousandth off
        (SPEC, False, 4e-3, True),  # another FFT library
        (SPEC, False, 5e-2, False),
        (MILD, True, 3e-6, True),
        (MILD, True, 1e-5, False),
        (BLIND, True, 2e-2, True),
        (BLIND, False, 5e-2, True),
        (DOUBLE, True, 1e-11, True),
        (DOUBLE, True, 1e-8, False),
        (DOUBLE, False, 1e-8, False),
    ],
)
def test_first_iterations_tell_the_computation(spec, same_arithmetic, change, is_good):
    """A beginning beyond rounding is a regression in either direction, though the end be the same."""
    for sign in (-1, 1):
        now = run({"1": 100.0 * (1 + sign * change)})
        expected = {} if is_good else {"first iterations": "regression"}
        assert judged(now, spec=spec, same_arithmetic=same_arithmetic) == expected


def test_another_computation_with_a_better_end():
    """Another beginning with a better end is an improvement, with a worse one a regression."""
    begin = {"1": 90.0}
    assert judged(run(begin, residual=1.0), spec=MILD) == {
        "first iterations": "improvement",
        "residual": "improvement",
    }
    assert judged(run(begin, residual=1.0, error=4.0), spec=MILD)["first iterations"] == "regression"
    assert judged(run(begin, residual=1.95), spec=MILD, residual=1e-6)["first iterations"] == "regression"
    assert judged(run(begin, peak_host_bytes=1e9), spec=MILD)["first iterations"] == "regression"


def test_converged_to_rounding():
    """Residuals that are nothing but rounding may differ by any factor."""
    assert judged(run(ROUNDED, residual=5e-9), run(residual=1e-9)) == {}
    assert judged(run(ROUNDED, residual=5e-9), run(residual=1e-9), DOUBLE)["residual"] == "regression"


def test_memory():
    """Only a clear excess counts: what earlier runs of the process have loaded does not."""
    assert judged(run(peak_host_bytes=4.9e9)) == {}
    assert judged(run(peak_host_bytes=6e9)) == {"peak_host_bytes": "regression"}
    assert judged(run(peak_host_bytes=4.5e8), run(peak_host_bytes=2e8)) == {}


def test_tolerances_of_the_study():
    """What the study says takes the place of the default, wider or narrower."""
    assert judged(run(residual=2.1), residual=0.1) == {}
    assert judged(run(ROUNDED, residual=2.1), residual=0.01) == {"residual": "regression"}
    assert judged(run({"1": 110.0}), first_iterations=0.2) == {}


def test_run_that_ended_earlier():
    """Curve values after the end of the shorter run are not asked for."""
    shorter = replace(
        run(iterations=25.0),
        curves={"residual": {k: v for k, v in RUN.curves["residual"].items() if k != "50"}},
    )
    assert "residual at 50" not in judged(shorter, replace(RUN, curves={"residual": RUN.curves["residual"]}))


def test_figure_that_is_not_measured_any_more():
    metrics = {name: value for name, value in RUN.metrics.items() if name != "error"}
    assert judged(replace(RUN, metrics=metrics)) == {"error": "could not judge"}


def test_status():
    """Diverging or failing is a regression, coming back an improvement; then nothing else is compared."""
    diverged = replace(run(residual=1e9), status="diverged")
    assert judged(diverged) == {"status": "regression"}
    assert judged(RUN, diverged) == {"status": "improvement"}
    assert judged(diverged, diverged) == {}


# Whole studies


@pytest.fixture
def study(tmp_path):
    """A plan of two runs, their baseline, and the same figures again."""
    plan = plan_text(tmp_path, "axes: {seed: [0, 1]}\n")
    figures = [replace(RUN, spec_id=spec.spec_id, label=f"seed {spec.seed}") for spec in plan.runs]
    return plan, Baseline("b", "tiny", "2026-01-01T00:00:00", {}, figures), PresentRuns(figures, {}, [])


def test_failure_rate(study):
    """The share of runs that did not complete is a finding of its own."""
    plan, baseline, present = study
    *_, rate = quality_findings(baseline, plan, present)
    assert (rate.quantity, rate.found, rate.judgement) == ("failure rate", 0.0, "good")
    failed = replace(present.figures[0], status="failed")
    worse = replace(present, figures=[failed, present.figures[1]])
    *_, rate = quality_findings(baseline, plan, worse)
    assert (rate.baseline, rate.found, rate.judgement) == (0.0, 0.5, "regression")


def test_nothing_in_common(study):
    """Without a single pair all is undecided, and no rate is made up."""
    plan, baseline, present = study
    missing = replace(present, figures=[], missing=["seed 0", "seed 1"])
    findings = quality_findings(baseline, plan, missing)
    assert {f.judgement for f in findings} == {Judgement.UNDECIDED}
    assert len(findings) == 2


def test_baseline_of_another_study(study):
    plan, baseline, present = study
    with pytest.raises(BaselineError, match="of the study 'other', and this is 'tiny'"):
        quality_findings(replace(baseline, study="other"), plan, present)
