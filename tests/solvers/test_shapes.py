"""The shapes that the annotations name are the shapes that the arrays have."""

import subprocess
import sys

from tests.conftest import REPOSITORY

CHECKED = """
from pathlib import Path

import numpy as np
import ptychosuite
import pytest
from jaxtyping import TypeCheckError, install_import_hook

root = Path(ptychosuite.__file__).parent
modules = [
    ".".join(("ptychosuite", *file.relative_to(root).with_suffix("").parts))
    for room in ("physics", "solvers", "metrics", "fastforward")
    for file in (root / room).glob("*.py")
    if not file.stem.endswith("_kernels")  # Numba reads their functions as they are
]
with install_import_hook([*modules, "ptychosuite.backends.arrays"], "beartype.beartype"):
    from ptychosuite.backends.arrays import backend
    from ptychosuite.registry.lookup import build, class_of, names
    from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
    from ptychosuite.solvers.pie import RPIE

from tests.fastforward.test_apply import PLAN, blind, run
from tests.physics.test_forward import fractional_problem
from tests.solvers.test_contract import SOLVERS, iterate
from tests.conftest import small_problem

with pytest.raises(TypeCheckError):  # the annotations are looked at
    RPIE().object_weights(np.ones((4, 5), complex))
for problem in (
    small_problem(backend("torch"), "complex64", noise=0.5),
    fractional_problem(backend("numpy"), masked=True),
):
    for settings in SOLVERS.values():
        iterate(build("solvers", settings), problem, 2)
for name in names("operators"):
    outcome = run(RPIE(), class_of("operators", name)(**PLAN), blind())
    state = outcome.state
    measured = Evaluation(ProblemConstants(blind()), state.object, state.probe)
    assert 0 < measured.resolution.crossing <= 1 and outcome.metrics["phase_rmse_rad"] > 0
"""


def test_every_solver_keeps_to_its_annotations():
    """With every call checked: two iterations of each solver, every operator, the metrics."""
    done = subprocess.run(
        [sys.executable, "-c", CHECKED], cwd=REPOSITORY, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
