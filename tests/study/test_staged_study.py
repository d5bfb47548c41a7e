"""A list of solvers in a study: stages of one run, checked, named, varied and carried out."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.errors import StudyError
from ptychosuite.registry.fingerprint import code_of
from ptychosuite.registry.lookup import solver_label
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run

from tests.study.small import HEAD, carry_out, plan_of, plan_text, study_file

STAGES = "[{name: rpie, alpha: 0.1, iterations: 2}, {name: magpie, levels: 2}]"
LIST = f"solver: {STAGES}\n"


def plan_staged(folder, solver, *settings, stop="{iterations: 3}"):
    head = HEAD.replace("stop: {iterations: 3}", f"stop: {stop}")
    return plan_of(study_file(folder, f"solver: {solver}\n", head), *settings)


def test_a_list_is_short_for_stages(tmp_path):
    """The same specification however it is written, with all defaults."""
    (short,) = plan_staged(tmp_path, STAGES).runs
    (long,) = plan_staged(tmp_path, f"{{name: staged, stages: {STAGES}}}").runs
    assert short.spec_id == long.spec_id
    first, second = short.solver["stages"]
    assert (first["iterations"], second["iterations"]) == (2, None)
    assert first["beta"] == 0.5
    assert short.stop["iterations"] == 3


def test_the_stages_iterations_are_the_runs(tmp_path):
    """Where the last stage has its own and the study says nothing else."""
    both = "[{name: rpie, iterations: 2}, {name: epie, iterations: 5}]"
    (run,) = plan_staged(tmp_path, both, stop="{}").runs
    assert run.stop["iterations"] == 7


@pytest.mark.parametrize(
    ("solver", "stop", "place", "words"),
    [
        ("[{name: rpie, iterations: 2}, {name: magpie, levls: 2}]", "{}", "6:54", ["levls", "levels"]),
        ("[{name: rpie, alpha: 2, iterations: 2}, epie]", "{}", "6:23", ["alpha", "2"]),
        ("[{name: rpie, iterations: 2}, {name: magpie, levels: 9}]", "{}", "6:", ["levels", "9"]),
        ("[{name: rpi, iterations: 2}, epie]", "{}", "6:11", ["'rpi'", "rpie"]),
        ("[rpie, epie]", "{}", "6:10", ["iterations", "missing"]),
        ("[{name: rpie, iterations: 0}, epie]", "{}", "6:23", ["iterations", "0"]),
        ("[{name: rpie, iterations: 2}, [epie]]", "{}", "6:", ["epie", "expected"]),
        ("[]", "{}", "6:1", ["expected a list of solvers"]),
        (
            "[{name: rpie, iterations: 2}, {name: staged, stages: [epie]}]",
            "{}",
            "6:",
            ["a stage is one solver"],
        ),
        ("[{name: rpie, iterations: 9}, epie]", "{iterations: 9}", "5:8", ["never begin", "9"]),
        ("[{name: rpie, iterations: 2}, {name: epie, iterations: 3}]", "{iterations: 9}", "5:8", ["say 5"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, solver, stop, place, words):
    with pytest.raises(StudyError) as refused:
        plan_staged(tmp_path, solver, stop=stop)
    message = str(refused.value)
    assert f"tiny.yaml:{place}" in message
    assert all(word in message for word in words), message


def test_a_stage_that_cannot_go_back_refuses_a_jump(tmp_path):
    extra = (
        "solver: [{name: rpie, iterations: 1}, {name: ptychi, algorithm: dm}]\n"
        "fast_forward: {kind: identity, warm_up: 1}\n"
    )
    with pytest.raises(StudyError, match=r"'rpie, 1; ptychi.*' cannot be carried ahead: the state"):
        plan_text(tmp_path, extra)


@pytest.mark.parametrize(
    "solver", ["{name: rpie, probe_modes: 2}", "[{name: epie, iterations: 1, probe_modes: 2}, epie]"]
)
def test_several_modes_refuse_a_jump(tmp_path, solver):
    """An operator moves one probe; where a stage has more it is said when the study is planned."""
    extra = f"solver: {solver}\nfast_forward: {{kind: identity, warm_up: 1}}\n"
    with pytest.raises(StudyError, match="moves a probe of one mode"):
        plan_text(tmp_path, extra)


def test_axes_vary_one_stage(tmp_path):
    """By its place in the list, short or long; the others stay."""
    plan = plan_text(tmp_path, f"{LIST}axes: {{solver.stages.0.alpha: [0.1, 0.2]}}\n")
    assert [run.solver["stages"][0]["alpha"] for run in plan.runs] == [0.1, 0.2]
    assert plan.factors == {"solver.stages.0.alpha": True}
    (run,) = plan_staged(tmp_path, STAGES, "solver.stages.1.levels=1").runs
    assert run.solver["stages"][1]["levels"] == 1
    with pytest.raises(StudyError, match="expected a number from 0 to 1"):
        plan_staged(tmp_path, STAGES, "solver.stages.2.alpha=0.1")


def test_the_code_of_all_stages_counts(tmp_path):
    plain, staged = (
        code_of(plan_staged(tmp_path, solver).runs[0]).files
        for solver in ("{name: rpie}", "[{name: rpie, iterations: 1}, lbfgs]")
    )
    assert {"solvers/lbfgs.py", "solvers/staged.py"} <= set(staged) - set(plain)


def test_from_the_study_to_the_table(tmp_path):
    """It runs, its curve goes through the end of its first stage, and tables and figures name both."""
    axes = f"axes:\n  solver: [{{name: rpie, alpha: 0.1}}, {STAGES}]\n"
    plan = plan_text(tmp_path, axes)
    carry_out(plan, tmp_path / "results")
    table = selection_of_plan(plan, tmp_path / "results").table
    assert table["status"].tolist() == ["completed"] * 2
    assert table["solver"].tolist() == ["rpie", "rpie, 2; magpie"]
    assert line_labels(table, "solver").tolist() == ["rPIE", "rPIE 2 + MAGPIE"]
    store = Store.open(str(tmp_path / "results" / "tiny"))
    records = {r.spec.solver_name: r for r in map(read_run, inventory(store).done.values())}
    first, both = records["rpie"].curves["residual"], records["rpie, 2; magpie"].curves["residual"]
    np.testing.assert_array_equal(first[:3], both[:3])
    assert first[3] != both[3]


def test_labels_of_stages():
    assert solver_label("rpie, 20; emagpie, 100") == "rPIE 20 + eMAGPIE 100"
    assert solver_label("rpie") == "rPIE"
    assert solver_label("my.module:Solver") == "my.module:Solver"
