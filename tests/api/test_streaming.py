"""A scan that is reconstructed while it arrives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ptychosuite
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.jumps import figures_of
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem
from ptychosuite.errors import UserError
from ptychosuite.execute.loop import reconstruct
from ptychosuite.fastforward.operator import Extrapolation
from ptychosuite.registry.lookup import build

from tests.conftest import small_problem
from tests.execute.test_loop import STOP

PLAN = {"warm_up": 3, "jumps": 2, "spacing": 12, "look_ahead": 4}


@pytest.fixture(scope="module")
def problem() -> Problem:
    """As a measurement is read: counts, single precision, a probe to be found."""
    found = small_problem(noise=0.05)
    counts = np.rint(np.asarray(found.diffraction_amplitude[:]) ** 2 / 0.05).astype(np.uint16)
    truth = found.reference
    return replace(
        found,
        diffraction_amplitude=Patterns(counts, 1.0, "float32"),
        probe=(found.probe / np.sqrt(0.05)).astype(np.complex64),
        start_object=found.start_object.astype(np.complex64),
        noise=1.0,
        probe_known=False,
        reference=replace(truth, probe=truth.probe / np.sqrt(0.05)),
    )


def stream_of(problem: Problem, **settings) -> ptychosuite.Stream:
    kept = {"probe_scale": "kept", "object_shape": problem.start_object.shape}
    return ptychosuite.Stream(problem.probe, problem.positions_px, **kept, **settings)


def chunks(problem: Problem, size: int):
    values, positions = problem.diffraction_amplitude.values, problem.positions_px
    for first in range(0, len(values), size):
        yield values[first : first + size], positions[first : first + size]


def usual(problem: Problem, solver, iterations: int):
    return reconstruct(
        problem, solver, {**STOP, "iterations": iterations}, np.random.default_rng(0), backend("numpy")
    )


@pytest.mark.parametrize("solver", ["rpie", "adam", "emagpie", "lsqml", "lbfgs"])
def test_all_at_once_is_the_usual_run(problem, solver):
    """Bit for bit, also where the patterns have come one after the other before the first iteration."""
    expected = usual(problem, build("solvers", {"name": solver}), 4).state
    for size in (len(problem.positions_px), 5):
        stream = stream_of(problem, solver=solver)
        for patterns, positions in chunks(problem, size):
            stream.add(patterns, positions)
        stream.step(3)
        stream.step()
        np.testing.assert_array_equal(stream.object, expected.object)
        np.testing.assert_array_equal(stream.probe, expected.probe)
        assert stream.iterations == 4


def test_with_a_fast_forward_too(problem):
    operator = Extrapolation(**PLAN)
    solver = build("solvers", {"name": "rpie"})
    expected = usual(problem, operator.carrying(solver, problem, backend("numpy")), 20).state
    stream = stream_of(problem, solver="rpie", fast_forward={"kind": "extrapolation", **PLAN})
    stream.add(problem.diffraction_amplitude.values, problem.positions_px)
    stream.step(20)
    assert figures_of(expected.jumps)["ff_jumps"] == 2
    np.testing.assert_array_equal(stream.object, expected.object)


@pytest.mark.parametrize(
    "solver", ["epie", {"name": "rpie", "alpha": 0.3, "beta": 1}, "adam", "lsqml", "lbfgs", "mpie"], ids=str
)
def test_in_chunks_it_is_ahead_of_who_waits_and_ends_where_they_end(problem, solver):
    """Ten iterations after the last pattern it is further than ten from the start lead; after thirty its
    deviance is within 15 % of theirs, or below."""
    whole, stream = (stream_of(problem, solver=solver) for _ in range(2))
    whole.add(problem.diffraction_amplitude.values, problem.positions_px)
    for patterns, positions in chunks(problem, -(-problem.n_positions // 4)):
        stream.add(patterns, positions)
        stream.step(10)
    whole.step(10)
    assert stream.deviance < 0.95 * whole.deviance
    stream.step(20)
    whole.step(20)
    assert stream.deviance < 1.15 * whole.deviance


def test_jumps_come_while_patterns_do(problem):
    """Also where patterns arrive between a jump and the end of what was looked ahead to; none is lost."""
    plain, stream = (
        stream_of(problem, solver="epie", fast_forward=each) for each in (None, {"kind": "network", **PLAN})
    )
    for patterns, positions in chunks(problem, -(-problem.n_positions // 4)):
        for each in (plain, stream):
            each.add(patterns, positions)
            each.step(5)
    assert stream.iterations == plain.iterations == 20
    assert not np.array_equal(stream.object, plain.object)
    assert stream.deviance < 1.2 * plain.deviance


def test_it_goes_on_from_where_it_was(problem):
    """New patterns change neither object nor probe by themselves; where no light has been nothing changes."""
    stream = stream_of(problem)
    (first, where), *others = chunks(problem, -(-problem.n_positions // 4))
    stream.add(first, where)
    stream.step(5)
    before = stream.object.copy()
    stream.add(*others[0])
    np.testing.assert_array_equal(stream.object, before)
    end = int(where[:, 0].max()) + len(problem.probe)
    assert end < len(before)
    assert np.ptp(np.abs(before[end:])) == 0
    assert str(stream) == f"{len(first) + len(others[0][0])} of {problem.n_positions} patterns, 5 iterations"


def test_the_probe_is_scaled_to_what_came_first(problem):
    stream = ptychosuite.Stream(7 * problem.probe, problem.positions_px)
    values = problem.diffraction_amplitude.values[:4]
    stream.add(values, problem.positions_px[:4])
    through_nothing = np.abs(np.fft.fft2(stream.probe)) ** 2
    assert through_nothing.sum() == pytest.approx(values.sum() / 4, rel=1e-4)
    scaled = stream.probe
    stream.add(problem.diffraction_amplitude.values[4:8] * 9, problem.positions_px[4:8])
    np.testing.assert_array_equal(stream.probe, scaled)


def test_before_anything_has_come(problem):
    stream = stream_of(problem)
    assert stream.n_patterns == 0
    assert (stream.object == 1).all()
    stream.add(problem.diffraction_amplitude.values[:0], problem.positions_px[:0])
    with pytest.raises(UserError, match="no patterns"):
        stream.step()


@pytest.mark.parametrize(
    ("patterns", "positions", "message"),
    [
        (np.ones((1, 16, 8)), [[0, 0]], "patterns: found shape"),
        (np.ones((1, 16, 16)), [[0, 0], [1, 1]], "positions_px: found shape"),
        (np.ones((1, 16, 16)), [[0, 999]], "larger object_shape"),
        (np.ones((999, 16, 16)), np.zeros((999, 2)), "were planned"),
    ],
)
def test_patterns_that_do_not_fit(problem, patterns, positions, message):
    stream = stream_of(problem)
    patterns = np.resize(
        patterns, (len(patterns), len(problem.probe), patterns.shape[2] * len(problem.probe) // 16)
    )
    with pytest.raises(UserError, match=message):
        stream.add(patterns, positions)
    assert stream.n_patterns == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "rpi"}, "rpie"),
        ({"solver": {"name": "rpie", "alpha": -1}}, "alpha"),
        ({"solver": {"name": "epie", "positions": "gradient"}}, "pattern by pattern"),
        ({"solver": "cdtools"}, "keeps the first patterns"),
        ({"fast_forward": "truth"}, "needs the truth"),
        ({"backend": "abacus"}, "unknown backend"),
    ],
)
def test_settings_that_cannot_be(problem, settings, message):
    with pytest.raises(UserError, match=message):
        stream_of(problem, **settings)
