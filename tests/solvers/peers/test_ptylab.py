"""PtyLab has whole pixels and no masks; in what is left, its model and its ePIE are ours."""

import numpy as np
import pytest
from ptychosuite.registry.lookup import build

from tests.solvers.peers.problems import PROBLEMS, residual, residuals, theirs, uneven

ENGINES = ("epie", "mpie", "mqnewton")


def _skip_without():
    pytest.importorskip("PtyLab", reason="PtyLab is not installed; pip install ptylab")


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("problem", ["known", "single", "blind"])
@pytest.mark.parametrize("algorithm", ENGINES)
def test_first_misfit_is_ours_and_falls(algorithm, problem, modes):
    """Object, modes, positions and data arrive, and its misfit after three epochs is ours of what it has."""
    _skip_without()
    problem = uneven(PROBLEMS[problem]())
    solver = build("solvers", {"name": "ptylab", "algorithm": algorithm, "probe_modes": modes})
    state, rng = solver.init(problem), np.random.default_rng(0)
    start = residual(problem, state)
    assert theirs(problem, state) == pytest.approx(start, rel=1e-5)
    for _ in range(3):
        state = solver.step(problem, state, rng)
    last = residual(problem, state)
    assert theirs(problem, state) == pytest.approx(last, rel=1e-4)
    assert last < 0.9 * start
    if problem.probe_known and modes == 1:
        np.testing.assert_allclose(state.probe, problem.probe, rtol=0, atol=1e-6)


def test_epie_is_ours():
    """With unit steps and our scan order."""
    _skip_without()
    problem = PROBLEMS["known"]()
    np.testing.assert_allclose(
        residuals(problem, {"name": "ptylab", "step_length": 1.0}, 6),
        residuals(problem, {"name": "epie"}, 6),
        rtol=1e-5,
    )


@pytest.mark.parametrize(("problem", "told"), [("fractions", "whole pixels"), ("masked", "no masks")])
def test_what_it_cannot_is_refused(problem, told):
    """Nothing is rounded, and nothing fitted that is no data, without a word."""
    with pytest.raises(ValueError, match=told):
        build("solvers", {"name": "ptylab"}).init(PROBLEMS[problem]())
