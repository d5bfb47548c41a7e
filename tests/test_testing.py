"""The checks for plug-ins refuse what breaks a promise, and say which; what keeps them all passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ptychosuite.problems.measured import Measurement
from ptychosuite.solvers.solver import SweepState
from ptychosuite.testing import (
    check_format,
    check_metric,
    check_operator,
    check_solver,
    dot_test,
    small_problem,
)

from tests.fastforward import operators
from tests.fastforward.toy import Damped
from tests.metrics.toy import Likeness, Nothing
from tests.problems.measured import small
from tests.problems.measured.test_toy_format import Fails, Text, write_text

# Solvers


@dataclass(frozen=True)
class Still:
    """Stays at the start: it keeps all promises."""

    def init(self, problem):
        return SweepState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        return state


@dataclass
class Thawed:
    init, step = Still.init, Still.step


class Plain:
    init, step = Still.init, Still.step


@dataclass(frozen=True)
class Stepless:
    init = Still.init


@dataclass(frozen=True)
class StartsElsewhere(Still):
    def init(self, problem):
        return SweepState(problem.start_object, 2 * problem.probe)


@dataclass(frozen=True)
class WritesAtOnce(Still):
    def init(self, problem):
        problem.start_object[0] = 0
        return SweepState(problem.start_object, problem.probe)


@dataclass(frozen=True)
class WritesState(Still):
    def step(self, problem, state, rng):
        state.object[0] += 1
        return state


@dataclass(frozen=True)
class OwnDice(Still):
    def step(self, problem, state, rng):
        return replace(state, probe=state.probe * np.random.default_rng().uniform(0.5, 2))


@dataclass(frozen=True)
class Shrinks(Still):
    def step(self, problem, state, rng):
        return replace(state, object=state.object[1:])


@dataclass(frozen=True)
class ForgetsPrecision(Still):
    def step(self, problem, state, rng):
        return replace(state, object=state.object.astype("complex64"))


@dataclass(frozen=True)
class GoesToNaN(Still):
    def step(self, problem, state, rng):
        return replace(state, object=state.object * np.nan)


@dataclass(frozen=True)
class LeavesTheTruth(Still):
    def step(self, problem, state, rng):
        return replace(state, object=state.object * 1.01)


@pytest.mark.parametrize(
    ("solver", "said"),
    [
        (Thawed(), "Thawed is no frozen dataclass"),
        (Plain(), "Plain is no frozen dataclass"),
        (Stepless(), "Stepless has no 'step'"),
        (StartsElsewhere(), "the first state's probe is not what the problem starts from"),
        (WritesAtOnce(), "init writes into its arguments"),
        (WritesState(), "step writes into its arguments"),
        (OwnDice(), "two steps from one state with one random order differ in the probe"),
        (Shrinks(), r"object after step 1: shape \(39, 40\); expected \(40, 40\)"),
        (ForgetsPrecision(), "object after step 1: dtype complex64; expected complex128"),
        (GoesToNaN(), "object after step 1: values that are not finite"),
        (LeavesTheTruth(), "from the true object on noiseless data it moves by 3"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_solvers(solver, said):
    with pytest.raises(AssertionError, match=said):
        check_solver(solver)


def test_a_good_solver():
    """And one whose fixed point is not the truth, where that is said."""
    check_solver(Still(), backends=("numpy", "torch"))
    check_solver(LeavesTheTruth(), keeps_truth=False)


# Operators


@dataclass(frozen=True)
class WritesNow:
    def advance(self, problem, now, before):
        now.object[0] = 0
        return now.object, now.probe


@dataclass(frozen=True)
class WritesBefore:
    def advance(self, problem, now, before):
        before.probe[0] = 1
        return now.object, now.probe


@dataclass(frozen=True)
class Dice:
    def advance(self, problem, now, before):
        return now.object * np.random.default_rng().uniform(), now.probe


@dataclass
class ThawedOperator:
    advance = Damped.advance


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (ThawedOperator(), "ThawedOperator is no frozen dataclass"),
        (Nothing(), "Nothing has no 'advance'"),
        (WritesNow(), "advance writes into its arguments"),
        (WritesBefore(), "advance writes into its arguments"),
        (Dice(), "two proposals differ in the object"),
        (operators.WrongShape(), r"the proposed object: shape \(39, 40\); expected \(40, 40\)"),
        (operators.WrongType(), "the proposed object: dtype complex64; expected complex128"),
        (operators.NotANumber(), "the proposed object: values that are not finite"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_operators(operator, said):
    with pytest.raises(AssertionError, match=said):
        check_operator(operator)


def test_a_good_operator():
    """One with a setting that has no default; what is wrong in its code comes out as it is."""
    check_operator(Damped(factor=0.5), backends=("numpy", "torch"))
    with pytest.raises(AttributeError, match="objekt"):
        check_operator(operators.Misspelt())


# Metrics


@dataclass(frozen=True)
class Spaced(Likeness):
    name: ClassVar[str] = "my metric"


@dataclass(frozen=True)
class Upwards(Likeness):
    better: ClassVar[str] = "up"


@dataclass(frozen=True)
class Wishful(Likeness):
    needs: ClassVar[str] = "luck"


@dataclass(frozen=True)
class Unlabelled(Likeness):
    label: ClassVar[None] = None


@dataclass(frozen=True)
class SaysNoNeed(Likeness):
    needs: ClassVar[str] = "data"


@dataclass(frozen=True)
class NeverThere(Likeness):
    def is_available(self, problem, half_scans):
        return False


@dataclass(frozen=True)
class Wordy(Likeness):
    def value(self, evaluation):
        return "good"


@dataclass(frozen=True)
class Infinite(Likeness):
    def value(self, evaluation):
        return np.inf


@dataclass(frozen=True)
class Uncertain(Likeness):
    def value(self, evaluation):
        return np.random.default_rng().uniform()


@dataclass(frozen=True)
class WritesObject(Likeness):
    def value(self, evaluation):
        evaluation.object[0] = 0
        return 1.0


@dataclass(frozen=True)
class Upside(Likeness):
    better: ClassVar[str] = "lower"


@dataclass(frozen=True)
class NaNAtTheTruth(Likeness):
    def value(self, evaluation):
        same = np.array_equal(evaluation.object, evaluation.truth.object)
        return np.nan if same else super().value(evaluation)


@dataclass(frozen=True)
class Distance(Likeness):
    """Of complex numbers as they are."""

    better: ClassVar[str] = "lower"

    def value(self, evaluation):
        return np.linalg.norm(evaluation.host_object - evaluation.truth.object)


@dataclass(frozen=True)
class Brightness(Likeness):
    """Says that the gauge is removed, and forgets the scale."""

    better: ClassVar[str] = "neither"
    gauge: ClassVar[str] = "removed"

    def value(self, evaluation):
        return np.abs(evaluation.host_object).mean()


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (Nothing(), "Nothing has no 'name'"),
        (Spaced(), "its name is 'my metric'; expected letters, digits and '_'"),
        (Upwards(), "'likeness' has better = 'up'; expected one of .*'higher'"),
        (Wishful(), "'likeness' has needs = 'luck'; expected one of .*'truth'"),
        (Unlabelled(), "'likeness' has label = None; expected a text"),
        (SaysNoNeed(), "a metric that needs the truth has to say so"),
        (NeverThere(), "'likeness' needs truth, and is not available where there is that"),
        (Wordy(), "'likeness' gives 'good'; expected a number"),
        (Infinite(), "'likeness' is inf; expected a finite number"),
        (Uncertain(), "the second time"),
        (WritesObject(), "value writes into its arguments"),
        (Upside(), "'likeness' is 1 at the truth and 0.9.* away from it, yet lower is better"),
        (NaNAtTheTruth(), "'likeness' is NaN at the truth"),
        (Distance(), "with the global phase of the object, which the data do not know"),
        (Brightness(), "with the scale of the object, which the data do not know"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_metrics(metric, said):
    with pytest.raises(AssertionError, match=said):
        check_metric(metric)


# Formats


@dataclass(frozen=True)
class Blind(Text):
    def recognises(self, source):
        return False


@dataclass(frozen=True)
class Greedy(Text):
    def recognises(self, source):
        return True


@dataclass(frozen=True)
class TakesContainers(Text):
    def recognises(self, source):
        return super().recognises(source) or source.holds_arrays


@dataclass(frozen=True)
class LosesPositions(Text):
    def read(self, source, places):
        raw = super().read(source, places)
        raw.positions = raw.positions[1:]
        return raw


@dataclass(frozen=True)
class Unsteady(Text):
    def read(self, source, places):
        raw = super().read(source, places)
        raw.positions = raw.positions * np.random.default_rng().uniform(0.5, 1)
        return raw


@dataclass(frozen=True)
class Mirrored(Text):
    def read(self, source, places):
        raw = super().read(source, places)
        raw.positions = raw.positions[:, ::-1]
        return raw


@dataclass(frozen=True)
class LosesProbe(Text):
    def read(self, source, places):
        raw = super().read(source, places)
        raw.probe = None
        return raw


@dataclass(frozen=True)
class NoUnit(Text):
    def read(self, source, places):
        raw = super().read(source, places)
        raw.positions_unit = "furlong"
        return raw


@dataclass(frozen=True)
class WritesFile(Text):
    def read(self, source, places):
        raw = super().read(source, places)
        with open(source.path, "a") as file:
            file.write("# read\n")
        return raw


@pytest.mark.parametrize(
    ("data_format", "said"),
    [
        (Blind(), r"it does not recognise .*a\.txt"),
        (Greedy(), r"it recognises .*b\.txt, a file of another format"),
        (TakesContainers(), r"it recognises .*empty\.npz, a file of another format"),
        (LosesPositions(), r"12 patterns, and positions of shape \(11, 2\); expected \(12, 2\)"),
        (Unsteady(), "two readings differ in the numbers of scan_positions_px"),
        (Mirrored(), "not as expected: the numbers of scan_positions_px"),
        (LosesProbe(), r"not as expected: probe of shape \(\); expected \(32, 32\)"),
        (NoUnit(), "a study cannot read it: .*furlong"),
        (WritesFile(), "read writes into the file"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_formats(tmp_path: Path, data_format, said):
    (tmp_path / "b.txt").write_text("a letter")
    expected = Measurement(small.corner(small.patterns()), small.positions(), np.ones((small.M, small.M)))
    with pytest.raises(AssertionError, match=said):
        check_format(data_format, write_text(tmp_path / "a.txt"), expected, [tmp_path / "b.txt"])


def test_a_format_that_fails_says_where(tmp_path):
    with pytest.raises(ZeroDivisionError, match="no luck"):
        check_format(Fails(), write_text(tmp_path / "a.txt"))


# The dot test and the small problem


def test_dot_test():
    """The adjoint passes; another map, and shapes that do not fit, are told."""
    matrix = np.random.default_rng(0).standard_normal((2, 3)) * (1 + 2j)
    dot_test(lambda x: matrix @ x, lambda y: matrix.conj().T @ y, (3,), (2,))
    with pytest.raises(AssertionError, match=r"<A x, y> = .* and <x, A\* y> = .* differ by"):
        dot_test(lambda x: matrix @ x, lambda y: matrix.T @ y, (3,), (2,))
    with pytest.raises(AssertionError, match=r"A x has shape \(2,\); expected \(4,\)"):
        dot_test(lambda x: matrix @ x, lambda y: matrix.conj().T @ y[:2], (3,), (4,))
    with pytest.raises(AssertionError, match=r"A\* y has shape \(2,\); expected \(3,\)"):
        dot_test(lambda x: matrix @ x, lambda y: y, (3,), (2,))


def test_small_problem():
    """Its data are those of its truth, and the same each time."""
    problem, again = small_problem(), small_problem()
    assert problem.reference is not None
    waves = [
        np.fft.fft2(problem.reference.probe * problem.reference.object[r : r + 16, c : c + 16])
        for r, c in problem.scan_positions_px
    ]
    np.testing.assert_allclose(problem.diffraction_amplitude, np.abs(waves), atol=1e-12)
    np.testing.assert_array_equal(problem.diffraction_amplitude, again.diffraction_amplitude)
