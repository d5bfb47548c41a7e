"""The nouns of this package keep what ptychosuite asks of them."""

from pathlib import Path

import numpy as np
import ptychosuite
from ptychosuite.problems.measured import Measurement
from ptychosuite.testing import check_format, check_metric, check_operator, check_solver, small_problem
from ptychosuite_example.checkerboard import Checkerboard
from ptychosuite_example.data_format import Text, write_text
from ptychosuite_example.metric import Likeness
from ptychosuite_example.operator import Passive
from ptychosuite_example.solver import RelaxedDescent

STUDY = Path(__file__).parents[1] / "example.yaml"


def test_solver():
    check_solver(RelaxedDescent(), backends=("numpy", "torch"))


def test_metric():
    check_metric(Likeness())


def test_operator():
    """And it does what its formula says."""
    check_operator(Passive(), backends=("numpy", "torch"))


def test_format(tmp_path):
    rng = np.random.default_rng(0)
    patterns, positions = rng.poisson(9, (5, 8, 8)), np.array([[0, 0], [0, 3], [2, 0], [2, 3], [4, 1]])
    write_text(tmp_path / "a.txt", patterns, positions)
    (tmp_path / "b.txt").write_text("something else")
    expected = Measurement(np.fft.ifftshift(patterns, axes=(1, 2)), positions)
    check_format(Text(), tmp_path / "a.txt", expected, foreign=[tmp_path / "b.txt"])


def test_object():
    board = Checkerboard(size=16, square=4)
    assert board.make().shape == board.shape
    assert set(np.abs(board.make()).ravel().round(9)) == {1.0, 0.8}


def test_installed():
    """Every entry point is found, and none has a fault."""
    assert ptychosuite.faults() == []
    assert "relaxed-descent" in ptychosuite.available("solvers")


def test_study():
    """The example can be planned."""
    assert len(ptychosuite.plan(STUDY)) == 5


def test_misfit_falls():
    solver, problem = RelaxedDescent(), small_problem()
    state = solver.init(problem)
    misfits = []
    for _ in range(5):
        state = solver.step(problem, state, np.random.default_rng(0))
        waves = np.fft.fft2(
            [problem.probe * state.object[r : r + 16, c : c + 16] for r, c in problem.scan_positions_px]
        )
        misfits.append(np.sum((np.abs(waves) - problem.diffraction_amplitude) ** 2))
    assert misfits == sorted(misfits, reverse=True)
