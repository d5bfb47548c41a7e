"""Conditions, samples and shares: which runs of a plan are meant."""

from __future__ import annotations

import pytest
from ptychosuite.errors import StudyError
from ptychosuite.study.choice import Choice, Share

from tests.study.small import plan_text

AXES = """axes:
  problem.noise: [0.05, 0.1, 0.30000000000000004]
  solver: [rpie, {name: magpie, levels: 2}, {name: magpie, levels: 3}]
  seed: {range: 3}
  fast_forward: [off, {kind: identity, warm_up: 1, jumps: 1, look_ahead: 1}]
"""
CONDITIONS = {
    "noise < 0.2 and solver == magpie": lambda noise, solver, levels, seed, ff: noise < 0.2 and levels,
    "noise<=0.3": lambda *_: True,
    "noise == 0.3": lambda noise, *_: noise > 0.2,
    "0.05 < noise < 0.3": lambda noise, *_: noise == 0.1,
    "noise in (5e-2, 1e-1)": lambda noise, *_: noise < 0.2,
    "solver not in [rpie]": lambda noise, solver, *_: solver != "rpie",
    "not (solver == 'magpie' or seed >= 1)": lambda _, solver, levels, seed, ff: not levels and not seed,
    "levels > 2": lambda noise, solver, levels, *_: levels == 3,
    "levels != 2": lambda noise, solver, levels, *_: levels != 2,
    "levels == none": lambda noise, solver, levels, *_: levels is None,
    "solver.levels in {2}": lambda noise, solver, levels, *_: levels == 2,
    "problem.noise > 0.2 or rpie == solver": lambda noise, solver, *_: noise > 0.2 or solver == "rpie",
    "fast_forward == off": lambda noise, solver, levels, seed, ff: not ff,
    "fast_forward != off and seed == 2": lambda noise, solver, levels, seed, ff: ff and seed == 2,
    "half_scans == off": lambda *_: True,
    "iterations == 3 and not -1 >= seed": lambda *_: True,
}  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_text(tmp_path_factory.mktemp("plan"), AXES)


def settings(run):
    return run.problem["noise"], run.solver["name"], run.solver.get("levels"), run.seed, run.fast_forward


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions(plan, condition):
    """They choose what the same condition in Python chooses, in the plan's order."""
    meets = CONDITIONS[condition]
    expected = [run for run in plan.runs if meets(*settings(run))]
    chosen = Choice(condition).of(plan)
    assert list(chosen.runs) == expected
    assert expected
    assert chosen.factors == plan.factors
    assert [plan.run_ids[plan.runs.index(run)] for run in expected] == list(chosen.run_ids)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("nois < 0.2", "no run has 'nois'; did you mean 'noise'?"),
        ("problem.noize < 0.2", "did you mean 'problem.noise'?"),
        ("residual < 3", "no run has 'residual'"),
        ("solver == magpy", "no run has the solver 'magpy'; did you mean 'magpie'?"),
        ("seed == 1 or solver != magpy", "did you mean 'magpie'?"),
        ("noise > 1", "matches no run of the study; noise is 0.05, 0.1, 0.3"),
        ("noise", "found 'noise'; expected comparisons of settings"),
        ("noise <", "expected comparisons of settings"),
        ("", ""),
        ("solver < 3", "'solver' cannot be ordered by 3"),
        ("noise < rpie", "'noise' cannot be ordered by 'rpie'"),
        ("solver in rpie", "expected values in parentheses"),
        ("noise == seed", "found 'seed' beside 'noise'; expected a value"),
        ("0.1 in noise", "found '0.1' before 'in'"),
        ("noise is 0.1", "beside 'noise'"),
        ("1 < 2", "no run has '2'"),
        ("noise == 1j", "no run has the noise '1j'; valid: 0.05, 0.1, 0.3"),
        ("noise = 0.1", "expected comparisons"),
        ("noise == f(1)", "found 'f(1)'; expected a number or a word"),
        ("__import__('os').system('false') == 0", "no run has"),
        ("(lambda: 0)() == seed", "expected a number or a word"),
        ("[x for x in (1,)] == seed", "expected a number or a word"),
        ("seed == '\0'", "--where"),
        (r"seed == '\d'", "no run has the seed"),
        ("seed == 0" + " or seed == 0" * 500, "characters; at most 2000 are read"),
        ("(" * 900 + "seed == 0" + ")" * 900, "--where"),
        ("not " * 450 + "seed == 0", ""),
    ],
)
def test_what_is_no_condition(plan, condition, message):
    """It is refused in a sentence, and never evaluated; nothing takes long or ends in a traceback."""
    if not message:
        assert len(Choice(condition).of(plan).runs) in (18, 54)
        return
    with pytest.raises(StudyError, match=r"--where") as refused:
        Choice(condition).of(plan)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_shares_are_the_whole(plan):
    """They have no run in common, leave none out, differ in length by one at most, and keep the order."""
    for number in (1, 4, 7, 54, 60):
        shares = [Choice(share=Share(index, number)).of(plan).run_ids for index in range(1, number + 1)]
        assert sorted(run_id for share in shares for run_id in share) == sorted(plan.run_ids)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert all(list(share) == sorted(share, key=plan.run_ids.index) for share in shares)


def test_samples_are_always_the_same(plan, tmp_path):
    """A smaller one is part of a larger one, and of another order of the same runs the same is drawn."""
    three, ten = (set(Choice(sample=number).of(plan).run_ids) for number in (3, 10))
    assert len(three) == 3
    assert len(ten) == 10
    assert three < ten
    other_way = AXES.replace("{range: 3}", "[2, 0, 1]")
    assert set(Choice(sample=10).of(plan_text(tmp_path, other_way)).run_ids) == ten
    assert Choice(sample=1000).of(plan).run_ids == plan.run_ids
    assert len({run.seed for run in Choice(sample=10).of(plan).runs}) > 1


def test_choices_narrow_each_other(plan):
    """First the condition, then the sample, the first few, and the share."""
    magpie = Choice("solver == magpie").of(plan).run_ids
    assert Choice("solver == magpie", first=5).of(plan).run_ids == magpie[:5]
    drawn = Choice("solver == magpie", sample=6).of(plan).run_ids
    assert set(drawn) < set(magpie)
    halves = [Choice("solver == magpie", sample=6, share=Share(i, 2)).of(plan).run_ids for i in (1, 2)]
    assert sorted(halves[0] + halves[1]) == sorted(drawn)
    assert Choice(runs=(magpie[0][:8],)).of(plan).run_ids == (magpie[0],)
    assert not Choice()
    assert Choice().of(plan) is plan


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1", "1/0", "-1/4", "a/b", "1/2/3", "$TASK/4"])
def test_what_is_no_share(text):
    with pytest.raises(StudyError, match="expected a share I/N"):
        Share.of(text)


def test_options_are_those_of_the_command_line():
    choice = Choice("noise < 0.2", ("3f2a",), 4, 2, Share.of("1/2"))
    assert choice.options == "--where 'noise < 0.2' --sample 4 --first 2 --shard 1/2 --force 3f2a"
    assert Choice().options == ""
    for name in ("sample", "first"):
        with pytest.raises(StudyError, match=f"--{name}: found 0"):
            Choice(**{name: 0})
