"""Settings found by tries: which are tried, on which problems, and what the compared runs have of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ptychosuite.core.plan import Tuned
from ptychosuite.errors import StudyError
from ptychosuite.study.expand import make_plan
from ptychosuite.study.json_schema import study_schema
from ptychosuite.study.search_space import Choices, Range, points
from ptychosuite.study.study_file import StudyFile, load_study, parse_override
from ptychosuite.study.tuning import Tuning, tuning_of

from tests.study.small import study_file

AXES = """\
axes:
  problem.noise: [0.1, 0.3]
  solver: [rpie, lsqml, {name: lbfgs}]
  seed: {range: 2}
"""
TUNE = """\
tune:
  tries: 5
  over:
    - {solver.alpha: {loguniform: [0.01, 1]}}
    - {where: {solver: lsqml}, solver.step_length: {uniform: [0.2, 1]}, solver.batch: [4, 8]}
"""


def read(tmp_path, extra=AXES + TUNE, *settings) -> StudyFile:
    return load_study(study_file(tmp_path, extra), [parse_override(text) for text in settings])


def tries_of(study: StudyFile) -> Tuning:
    tuning = tuning_of(study)
    assert tuning is not None
    return tuning


def test_every_solver_has_as_many_tries(tmp_path):
    """The first as written; a solver that has nothing to be tuned (L-BFGS) has none."""
    tuning = tries_of(read(tmp_path))
    assert [contest.solver["name"] for contest in tuning.contests] == ["rpie", "lsqml"]
    rpie, lsqml = (contest.tries for contest in tuning.contests)
    assert len(rpie) == len(lsqml) == 5
    assert rpie[0] == {"solver.alpha": 0.05}
    assert lsqml[0] == {"solver.step_length": 0.9, "solver.batch": 32}
    assert all(0.01 <= each["solver.alpha"] <= 1 for each in rpie)
    assert {each["solver.batch"] for each in lsqml[1:]} == {4, 8}
    assert len(tuning.plan.runs) == 2 * 5 * 2  # solvers, tries, noise levels; one seed
    assert len({*map(str, rpie)}) == 5


def test_problems_are_others(tmp_path):
    """The seed after the study's last one: other noise, so other data than any that is compared."""
    study = read(tmp_path)
    tuning, plan = tries_of(study), make_plan(study)
    assert {run.seed for run in tuning.plan.runs} == {2}
    assert not {run.problem_id for run in plan.runs} & {run.problem_id for run in tuning.plan.runs}


def test_tries_are_always_the_same(tmp_path):
    """And those of fewer tries are among those of more, so that what is done stays done."""
    few, again, more = (
        tries_of(read(tmp_path, AXES + TUNE, *text)).plan.run_ids for text in ((), (), ("tune.tries=9",))
    )
    assert few == again
    assert {*few} < {*more}
    other = tries_of(read(tmp_path, AXES + TUNE, "tune.seed=1")).plan.run_ids
    assert {*other} != {*few}


@pytest.mark.parametrize(
    ("on", "problems"),
    [
        ("seeds", 2),
        ("{seed: [7, 8]}", 4),
        ("{seed: 7, problem.noise: 0.2}", 1),
        ("{seed: {range: [5, 8]}, problem.noise: 0.2}", 3),
    ],
)
def test_problems_to_tune_on(tmp_path, on, problems):
    tuning = tries_of(read(tmp_path, f"{AXES}{TUNE}  on: {on}\n"))
    assert {len(run_ids) for contest in tuning.contests for run_ids in contest.run_ids} == {problems}


def test_tuned_apart(tmp_path):
    tuning = tries_of(read(tmp_path, f"{AXES}{TUNE}  each: [noise]\n"))
    assert [contest.where for contest in tuning.contests[:2]] == [
        {"problem.noise": 0.1},
        {"problem.noise": 0.1},
    ]
    assert len(tuning.contests) == 4


def tuned(tuning: Tuning, chosen: int) -> list[Tuned]:
    return [
        Tuned(each.solver, each.where, tuning.metric, each.tries, [], [], [], 1, chosen)
        for each in tuning.contests
    ]


def test_runs_have_what_was_found(tmp_path):
    """All runs of a solver that is tuned have the settings of the chosen try; the others are as written."""
    study = read(tmp_path)
    tuning, written = tries_of(study), make_plan(study)
    plan = make_plan(study, tuning.settle(tuned(tuning, 3)))
    rpie, lsqml = (contest.tries[3] for contest in tuning.contests)
    assert len(plan.runs) == len(written.runs)
    for run, before in zip(plan.runs, written.runs, strict=True):
        leaves = run.leaves()
        expected = {"rpie": rpie, "lsqml": lsqml, "lbfgs": {}}[run.solver["name"]]
        assert {path: leaves[path] for path in expected} == expected
        assert {**leaves, **expected} == {**before.leaves(), **expected}
    assert plan.factors["solver.alpha"]
    assert make_plan(study, tuning.settle(tuned(tuning, 0))).run_ids == written.run_ids


@pytest.mark.parametrize("settings", [("tune=off",), ("tune=null",)])
def test_off(tmp_path, settings):
    study = read(tmp_path, AXES + TUNE, *settings)
    assert tuning_of(study) is None
    assert make_plan(study).run_ids == make_plan(read(tmp_path, AXES)).run_ids


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("tune: {over: {solver.alpha: 3}}", "tune.over.solver.alpha: found 3; expected {uniform"),
        ("tune: {over: {solver.alpha: {loguniform: [0, 1]}}}", "expected {uniform"),
        ("tune: {over: {solver.alpha: {uniform: [1, 0.5]}}}", "expected {uniform"),
        ("tune: {over: {solver.alpha: {uniform: [1, .inf]}}}", "expected {uniform"),
        ("tune: {over: {alpha: [0.1]}}", "did you mean 'solver.alpha'"),
        ("tune: {over: {problem.noise: [0.1]}}", "it is an axis of the study as well"),
        ("tune: {over: {solver.levels: [1, 2]}}", "no run of the study is tuned in it"),
        ("tune: {over: [{where: {solver: lbfgs}, solver.alpha: [0.1]}]}", "unknown key 'alpha'"),
        ("tune: {over: {solver.alpha: {uniform: [0.5, 2]}}}", "expected"),
        ("tune: {over: {}}", "there is nothing to try"),
        ("tune: {over: 3}", "tune.over: found 3; expected keys and values"),
        ("tune: {over: [3]}", "tune.over.0: found 3; expected keys and values"),
        ("tune: {tries: 3}", "'over' is missing"),
        ("tune: {tries: 0, over: {solver.alpha: [0.1]}}", "tune.tries: found 0"),
        ("tune: {over: {solver.alpha: [0.1]}, by: speed}", "expected the name of a metric"),
        ("tune: {over: {solver.alpha: [0.1]}, each: [solver.alpha]}", "expected a setting of the problems"),
        ("tune: {over: {solver.alpha: [0.1]}, on: {seed: [1]}}", "one of the compared ones"),
        ("tune: {over: {solver.alpha: [0.1]}, on: {sed: [1]}}", "'sed' is not part of a run"),
        ("tune: {over: {solver.alpha: [0.1]}, trials: 3}", "unknown key 'trials'"),
        ("tune: 3", "expected keys and values"),
    ],
)
def test_what_is_refused(tmp_path, section, message):
    """In one sentence, with its place."""
    with pytest.raises(StudyError) as refused:
        tuning_of(read(tmp_path, f"{AXES}{section}\n"))
    assert message in str(refused.value)
    assert "tiny.yaml:" in str(refused.value)


def test_override_of_nothing(tmp_path):
    with pytest.raises(StudyError, match="the study has no section 'tune'"):
        tuning_of(read(tmp_path, AXES, "tune.tries=4"))


def test_schema_knows_the_section():
    section = study_schema()["properties"]["tune"]
    assert {"tries", "over", "on", "each", "by", "seed"} == section["properties"].keys()


def test_points_fill_the_range():
    """Evenly in the logarithm: as many in each decade, to one; never beyond the ends, with three digits."""
    found = [each["x"] for each in points({"x": Range(1e-3, 1.0, True)}, 300, 0)]
    assert len(found) == len({*found}) == 300
    assert 1e-3 <= min(found) < max(found) <= 1
    decades = np.histogram(np.log10(found), bins=[-3, -2, -1, 0])[0]
    assert np.ptp(decades) <= 2
    assert all(float(f"{value:.3g}") == value for value in found)
    linear = [each["x"] for each in points({"x": Range(2.0, 4.0, False)}, 64, 0)]
    assert math.isclose(np.mean(linear), 3.0, abs_tol=0.05)


def test_points_of_choices():
    space = {"a": Choices([1, 2, 3]), "b": Choices(["x", None])}
    found = points(space, 16, 0)
    assert len(found) == 6  # there are no more
    assert {(each["a"], each["b"]) for each in found} == {(a, b) for a in (1, 2, 3) for b in ("x", None)}


@pytest.mark.parametrize(
    ("value", "is_at_bound"),
    [(0.001, True), (0.00102, True), (0.03, False), (0.99, True), (1.5, False), (None, False), (0, False)],
)
def test_at_the_bound(value, is_at_bound):
    """As written it may lie outside what is tried: then nothing is known of the bound."""
    assert Range(1e-3, 1.0, True).is_at_bound(value) is is_at_bound


def test_what_is_written_is_tried_once(tmp_path):
    """A few choices have no more tries than there are, the written one among them."""
    section = "tune: {tries: 4, over: [{where: {solver: lsqml}, solver.batch: [16, 32.0, 64]}]}\n"
    (contest,) = tries_of(read(tmp_path, AXES + section)).contests
    assert contest.tries[0]["solver.batch"] == 32
    assert sorted(each["solver.batch"] for each in contest.tries) == [16, 32, 64]
