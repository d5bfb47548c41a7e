"""A solver of somebody else's: a frozen dataclass with ``init`` and ``step``, and nothing of ours."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.execute import one_run
from ptychosuite.execute.one_run import execute, execute_stack
from ptychosuite.physics.forward import add_patches, illuminate
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.stack import can_stack

from tests.execute.test_loop import STOP
from tests.study.small import carry_out, plan_text

NAME = "tests.solvers.test_bare:Bare"


class Here:
    """Object and probe, and what no one else knows."""

    __slots__ = ("object", "probe", "steps")

    def __init__(self, obj: Any, probe: Any, steps: int) -> None:
        self.object, self.probe, self.steps = obj, probe, steps


@dataclass(frozen=True)
class Bare:
    """Gradient descent on the misfit."""

    length: float = 0.3

    def init(self, problem):
        return Here(problem.start_object, problem.probe, 0)

    def step(self, problem, state, rng):
        lit = illuminate(problem, state.object, state.probe, slice(None))
        chi = exit_wave_correction(lit.exit_waves, problem.diffraction_amplitude[:])
        gradient = lit.probes.conj() * chi * (self.length / (abs(state.probe) ** 2).max())
        return Here(add_patches(state.object, gradient, lit.positions), state.probe, state.steps + 1)


def spec(**fields):
    problem = {
        "object": {"kind": "texture", "size": 48},
        "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6.0},
        "scan": {"kind": "raster", "overlap": 0.5},
        "noise": 0.05,
    }
    return RunSpec(
        **{"problem": problem, "solver": {"name": NAME}, "stop": {**STOP, "iterations": 12}, **fields}
    )


@pytest.fixture(autouse=True)
def _nothing_remembered():
    one_run._cached_problem.cache_clear()


def test_it_runs_and_its_passes_are_counted():
    """One pass over the data a step, where the solver does not say."""
    record, _ = execute(spec())
    assert record.status is Status.COMPLETED, record.message
    np.testing.assert_array_equal(record.curves["data_passes"], np.arange(13))
    assert record.metrics["data_passes"] == 12
    assert record.curves["residual"][-1] < 0.5 * record.curves["residual"][0]


@pytest.mark.parametrize("safeguard", [True, False])
def test_it_can_be_carried_ahead(safeguard):
    """A fast-forward that stays where it is leaves its iterates, and counts what it tried."""
    jumps = {"warm_up": 6, "jumps": 1, "look_ahead": 3, "spacing": 4, "safeguard": safeguard}
    record, _ = execute(spec(fast_forward={"kind": "identity", **jumps}))
    assert record.status is Status.COMPLETED, record.message
    np.testing.assert_array_equal(record.object, execute(spec())[0].object)
    assert record.metrics["ff_step_1"] == (0 if safeguard else 1)  # it is no better than the solver alone
    # two steps of three iterations between two deviances; those before, five iterations earlier, at the start
    # of the run, and without the jump
    tried = record.metrics["data_passes"] - 12
    assert tried == (2 * (3 + 2) + 4 if safeguard else 0)


def test_runs_go_one_by_one_where_others_go_together():
    """It is not stackable: a stack of its runs is carried out run by run."""
    one = build("solvers", {"name": NAME})
    assert not can_stack(one, one)
    specs = [spec(seed=seed) for seed in (0, 1)]
    for (record, _), alone in zip(execute_stack(specs), specs, strict=True):
        assert "stack" not in record.provenance
        np.testing.assert_array_equal(record.object, execute(alone)[0].object)


def test_a_study_names_its_class(tmp_path):
    """``package.module:Class`` with its settings, swept over beside ours."""
    plan = plan_text(
        tmp_path, f"axes: {{solver: [rpie, {{name: '{NAME}', length: 0.2}}], seed: {{range: 2}}}}\n"
    )
    assert {run.solver["name"] for run in plan.runs} == {"rpie", NAME}
    _, tally = carry_out(plan, tmp_path / "results")
    assert tally.counts == {Status.COMPLETED: 4}


def test_settings_are_its_fields():
    """The defaults of the base class are there, and the fields are its own."""
    solver = build("solvers", {"name": NAME, "length": 0.1})
    assert solver.length == 0.1
    assert dataclasses.asdict(solver) == {"length": 0.1}
    assert (solver.packages, solver.can_go_back, solver.stackable) == ((), True, False)
