"""What runs are called."""

from __future__ import annotations

from ptychosuite.analysis.labels import run_labels

from tests.conftest import REPOSITORY
from tests.study.small import plan_of, plan_text


def labels_of(plan) -> list[str]:
    return run_labels([spec.leaves() for spec in plan.runs], plan.factors)


def test_what_most_runs_share_is_left_out(tmp_path):
    """Of an even split neither half is the usual one."""
    extra = "include: [{solver: lbfgs, seed: 2, dtype: complex128}]\n"
    axes = "axes: {problem.noise: [0, 0.1], seed: {range: 2}}\n"
    assert labels_of(plan_text(tmp_path, axes + extra)) == [
        "rpie · noise 0 · seed 0",
        "rpie · noise 0 · seed 1",
        "rpie · noise 0.1 · seed 0",
        "rpie · noise 0.1 · seed 1",
        "lbfgs · noise 0.05 · seed 2 · dtype complex128",
    ]


def test_runs_that_would_be_called_alike_are_told_in_full(tmp_path):
    """A setting that only one of them lacks."""
    axes = "axes: {problem.start_probe: [null, {kind: disk, size: 16, diameter_px: 8}], seed: {range: 2}}\n"
    found = labels_of(plan_text(tmp_path, axes, "problem.noise=0"))
    assert len(set(found)) == 4


def test_one_run(tmp_path):
    """Its solver is enough."""
    assert labels_of(plan_text(tmp_path, "")) == ["rpie"]


def test_labels_of_the_nightly_study():
    """No two alike, and those of the first set-up short."""
    found = labels_of(plan_of(REPOSITORY / "studies" / "nightly.yaml"))
    assert len(set(found)) == len(found)
    ahead = "magpie · levels 6 · fast_forward network at 15"
    assert {"lbfgs", "magpie · levels 6", ahead} <= set(found)
