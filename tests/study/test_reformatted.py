"""The same study written in other words: the same runs, and excluded alike however each is spelt."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ptychosuite.api.planning import plan as planned
from ptychosuite.errors import StudyError
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of

from tests.study.small import plan_of, plan_text, study_file

DATA = {
    "study": "tiny",
    "problem": {
        "object": {"kind": "texture", "size": 32},
        "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
    },
    "stop": {"iterations": 3},
}
SOLVERS = "axes: {solver: [rpie, lbfgs, {name: magpie, levels: 2}], seed: [0, 1]}\n"


def ids(folder, extra, *settings):
    return [spec.spec_id for spec in plan_text(folder, extra, *settings).runs]


@pytest.mark.parametrize(
    "noise",
    [
        "[0.1, 0.2, 0.3]",
        "[1e-1, 2.0e-1, 0.30]",
        "[0.1, 0.2, 0.30000000000000004]",
        "[.1, .2, 3.0E-1]",
        "[0.10000000000000001, 0.2, 0.29999999999999999]",
        "{linspace: [0.1, 0.3, 3]}",
        "{linspace: [0.1, 0.30000000000000004, 3]}",
    ],
)
def test_values_of_an_axis_written_otherwise(tmp_path, noise):
    """One number is one run, with the same noise, whatever digits it is written with."""
    runs = plan_text(tmp_path, f"axes: {{problem.noise: {noise}}}\n").runs
    assert [run.problem["noise"] for run in runs] == [0.1, 0.2, 0.3]
    expected = plan_text(tmp_path, "axes: {problem.noise: [0.1, 0.2, 0.3]}\n").runs
    assert [run.spec_id for run in runs] == [run.spec_id for run in expected]
    draws = [[run.rng("data").random() for run in each] for each in (runs, expected)]
    assert draws[0] == draws[1]


def test_steps_of_a_tenth_are_tenths(tmp_path):
    """0.1 + 0.2 is 0.3: what is shown can be asked for."""
    runs = plan_text(tmp_path, "axes: {problem.noise: {linspace: [0, 1, 11]}}\n").runs
    assert [run.problem["noise"] for run in runs] == [i / 10 for i in range(11)]


def test_data_and_overrides_are_rounded_as_a_file_is(tmp_path):
    """Arrays of another program, settings at the command line, and a file plan the same runs."""
    expected = ids(tmp_path, "axes: {problem.noise: [0.1, 0.2, 0.3]}\n")
    steps = study_of({**DATA, "axes": {"problem.noise": np.arange(1, 4) * 0.1}})
    assert [spec.spec_id for spec in make_plan(steps).runs] == expected
    assert ids(tmp_path, "", "problem.noise=[1e-1, 0.2, 0.30000000000000004]") == expected
    assert [spec.spec_id for spec in planned(DATA, {"problem.noise": [0.1, 0.2, 0.1 + 0.2]}).plan.runs] == (
        expected
    )


def test_what_has_more_digits_of_its_own_stays_apart(tmp_path):
    """Fifteen digits tell two values apart; the largest number stays finite."""
    assert len(ids(tmp_path, "axes: {problem.noise: [0.3, 0.300000000000001]}\n")) == 2
    (run,) = plan_text(tmp_path, "axes: {stop.seconds: [1.7976931348623157e308]}\n").runs
    assert run.stop["seconds"] == 1.7976931348623157e308


@pytest.mark.parametrize("beam", ["6", "6.0", "6e0", "!!float 6"])
def test_whole_numbers_for_lengths(tmp_path, beam):
    """1 and 1.0 are the same where a length is wanted."""
    path = study_file(tmp_path, f"axes: {{problem.probe.fwhm_px: [{beam}]}}\n")
    assert [run.spec_id for run in plan_of(path).runs] == ids(tmp_path, "seed: 0\n")


@pytest.mark.parametrize(
    "pattern",
    [
        "solver: lbfgs",
        "solver: [lbfgs]",
        "solver: {name: lbfgs}",
        "solver.name: lbfgs",
        'solver: "lbfgs"',
        "solver: [nothing, {name: lbfgs}]",
    ],
)
@pytest.mark.parametrize("solver", ["lbfgs", "{name: lbfgs}", "{name: lbfgs, history: 7}", "[lbfgs]"])
def test_excluded_by_name_however_it_is_spelt(tmp_path, solver, pattern):
    """A solver is the same by its name alone, with settings, and as the only stage."""
    axes = f"axes: {{solver: [rpie, {solver}], seed: [0, 1]}}\n"
    plan = plan_text(tmp_path, f"{axes}exclude: [{{{pattern}}}]\n")
    if solver != "[lbfgs]" or "{" not in pattern:
        assert [run.solver_name for run in plan.runs] == ["rpie", "rpie"]
        assert not plan.warnings


def test_excluded_as_the_tables_show_it(tmp_path):
    """Stages are excluded by what they are called; a run that only has the solver among them is not."""
    axes = "axes: {solver: [lbfgs, [{name: rpie, iterations: 2}, lbfgs]]}\n"
    by_words = plan_text(tmp_path, axes + "exclude: [{solver: 'rpie, 2; lbfgs'}]\n")
    by_name = plan_text(tmp_path, axes + "exclude: [{solver: lbfgs}]\n")
    by_setting = plan_text(tmp_path, axes + "exclude: [{solver.stages.0.alpha: 0.05}]\n")
    assert [run.solver_name for run in by_words.runs] == ["lbfgs"]
    assert [run.solver_name for run in by_name.runs] == ["rpie, 2; lbfgs"]
    assert [run.solver_name for run in by_setting.runs] == ["lbfgs"]


@pytest.mark.parametrize("off", ["off", "null", "[off]", "false"])
@pytest.mark.parametrize("written", ["off", "null"])
def test_fast_forward_that_is_off_is_excluded_by_any_word(tmp_path, off, written):
    jumps = "{kind: identity, warm_up: 1, look_ahead: 1, jumps: 1}"
    axes = f"axes: {{fast_forward: [{written}, {jumps}]}}\nexclude: [{{fast_forward: {off}}}]\n"
    assert [run.fast_forward["kind"] for run in plan_text(tmp_path, axes).runs] == ["identity"]


def test_fast_forward_that_is_on_is_excluded(tmp_path):
    jumps = "{kind: identity, warm_up: 1, look_ahead: 1, jumps: 1}"
    axes = f"axes: {{fast_forward: [off, {jumps}]}}\nexclude: [{{fast_forward: on}}]\n"
    assert [run.fast_forward for run in plan_text(tmp_path, axes).runs] == [None]


def test_an_exclude_that_excludes_nothing_is_said(tmp_path):
    """With its place; one that another has covered before it has excluded something all the same."""
    path = study_file(
        tmp_path, SOLVERS + "exclude:\n  - solver: lbfgs\n  - seed: 7\n  - {solver: lbfgs, seed: 0}\n"
    )
    study = planned(path, results=tmp_path)
    assert len(study) == 4
    assert study.plan.warnings == (f"{path}:9:5: exclude.1: it excludes no run",)
    assert study.text().endswith(f"warning: {study.plan.warnings[0]}")


def test_an_include_that_adds_nothing_is_said(tmp_path):
    """A run that is there, or excluded."""
    extra = "axes: {seed: [0, 1]}\nexclude: [{seed: 5}]\ninclude: [{seed: 2}, {seed: 1}, {seed: 5}]\n"
    plan = plan_text(tmp_path, extra)
    assert [run.seed for run in plan.runs] == [0, 1, 2]
    assert [warning.split(": ")[1] for warning in plan.warnings] == ["include.1", "include.2"]


def test_nothing_is_said_of_what_overrides_have_taken_away(tmp_path):
    extra = "axes: {seed: [0, 1]}\nexclude: [{seed: 1}]\n"
    assert plan_text(tmp_path, extra, "seed=0").warnings == ()


@pytest.mark.parametrize(
    ("extra", "factors"),
    [
        ("axes: {seed: [3]}\n", ["seed"]),
        ("axes: {solver: [rpie]}\n", ["solver.name"]),
        ("axes: {solver: [{name: magpie, levels: 2}]}\n", ["solver.name"]),
        ("axes: {problem.object: [{kind: texture, size: 32}]}\n", ["problem.object.kind"]),
        ("zip: [{seed: [3], problem.noise: [0.1]}]\n", ["seed", "problem.noise"]),
        ("seed: 3\n", []),
    ],
)
def test_an_axis_of_one_value_stays_an_axis(tmp_path, extra, factors):
    assert list(plan_text(tmp_path, extra).factors) == factors


def test_an_axis_that_an_override_makes_one_value_stays_an_axis(tmp_path):
    assert list(plan_text(tmp_path, "axes: {seed: [0, 1]}\n", "seed=1").factors) == ["seed"]


def test_twelve_million_combinations_are_counted_and_not_made(tmp_path):
    """Counted in no time, with a word on what to do; as many as are asked for can be drawn."""
    fifty = "{linspace: [0.1, 1, 50]}"
    axes = f"axes: {{seed: {{range: 5000}}, problem.noise: {fifty}, solver.alpha: {fifty}}}\n"
    start = time.monotonic()
    with pytest.raises(StudyError, match=r":6:1: axes: these are 12,500,000 combinations.*sample: 1000"):
        plan_text(tmp_path, axes)
    assert len(plan_text(tmp_path, axes + "sample: 7\n").runs) == 7
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{range: 1000000000000}", "at most 100,000 values"),
        ("{range: [0, 1000000000000000000000000000000]}", "at most 100,000 values"),
        ("{linspace: [0, 1, 1000000000000]}", "at most 100,000 values"),
        ("{geomspace: [1, 2, 1000000000000]}", "at most 100,000 values"),
    ],
)
def test_endless_axes(tmp_path, values, said):
    start = time.monotonic()
    with pytest.raises(StudyError, match=rf":6:8: .*{said}"):
        plan_text(tmp_path, f"axes: {{seed: {values}}}\n")
    assert time.monotonic() - start < 3


def test_more_combinations_than_can_be_numbered(tmp_path):
    axes = ", ".join(f"problem.{name}: {{linspace: [0, 1, 90000]}}" for name in ("noise", "hold_out"))
    stop = "stop.residual: {linspace: [0.1, 1, 90000]}, stop.gradient: {linspace: [0.1, 1, 90000]}"
    with pytest.raises(StudyError, match="too many to draw from"):
        plan_text(tmp_path, f"axes: {{{axes}, {stop}}}\nsample: 3\n")
