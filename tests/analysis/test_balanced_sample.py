"""A few runs that stand for all."""

from __future__ import annotations

from collections import Counter

from ptychosuite.analysis.repetition import balanced_sample, varying_paths
from ptychosuite.core.runs import RunSpec


def specs() -> list[RunSpec]:
    """Many runs of one solver, few of another."""
    many = [("rpie", noise, seed) for noise in (0.1, 0.2, 0.4) for seed in range(10)]
    few = [("lbfgs", 0.1, seed) for seed in range(3)]
    return [
        RunSpec(problem={"noise": noise}, solver={"name": name}, stop={}, seed=seed)
        for name, noise, seed in many + few
    ]


def test_solvers_and_factors_come_up_evenly():
    """Each solver as often, each noise level about as often, and seeds not twice while there are others."""
    chosen = [specs()[place] for place in balanced_sample(specs(), 6)]
    assert Counter(spec.solver["name"] for spec in chosen) == {"rpie": 3, "lbfgs": 3}
    assert {spec.problem["noise"] for spec in chosen if spec.solver["name"] == "rpie"} >= {0.2, 0.4}
    assert len({spec.seed for spec in chosen}) >= 5


def test_draw_is_repeatable_and_another_seed_draws_others():
    assert balanced_sample(specs(), 8) == balanced_sample(specs(), 8)
    assert any(balanced_sample(specs(), 8) != balanced_sample(specs(), 8, seed) for seed in range(1, 4))
    assert balanced_sample(specs(), 100) == list(range(33))


def test_what_varies():
    """The solver is always named, other settings where they differ."""
    assert varying_paths(specs()) == ["solver.name", "problem.noise", "seed"]
    assert varying_paths(specs()[:1]) == ["solver.name"]
