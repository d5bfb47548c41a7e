"""Check of metrics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, get_args

import array_api_compat
import numpy as np

from ptychosuite.backends.arrays import Backend, asarray_like, backend, namespace, to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.metric import Direction, Metric, Need
from ptychosuite.testing.common import noun_of, small_problem, truth_of, watched

GAUGE_ROUNDING = 1e-5  # relative: the gauge is found by iteration


def check_metric(metric: Any, *, backends: Sequence[str] = ("numpy",)) -> None:
    """Check what every metric promises, on small problems that it is available for.

    It is a frozen dataclass that says its name, direction and needs; its value is a finite number, the same
    again, and nothing is written into; at the truth it is as good as elsewhere or better, in its direction; a
    global phase changes nothing, with an unknown probe neither a scale where it removes the gauge. Of what
    the loop records only the attributes are checked.

    Parameters
    ----------
    metric
        A frozen dataclass with ``name`` and ``value``.
    backends
        What it is tried on.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what.
    """
    metric = noun_of("metrics", metric)
    _check_attributes(metric)
    if metric.needs == "the loop":
        return
    for name in backends:
        problem = _problem_for(metric, backend(name))
        if metric.needs == "data":
            start = to_numpy(problem.start_object)
            _checked_value(metric, dataclasses.replace(problem, reference=None), [start, start])
        assert metric.is_available(problem, metric.needs == "half scans"), (
            f"'{metric.name}' needs {metric.needs}, and is not available where there is that"
        )
        for known in (True, False):
            _check_values(metric, dataclasses.replace(problem, probe_known=known))


def _problem_for(metric: Metric, chosen: Backend) -> Problem:
    """Without noise, unless the metric tells nothing of such data."""
    noiseless, noisy = (_with_everything(small_problem(chosen, noise=noise)) for noise in (0.0, 0.05))
    return noiseless if metric.is_available(noiseless, metric.needs == "half scans") else noisy


def _with_everything(problem: Problem) -> Problem:
    """The problem with a second mode in its truth, and a tenth of its detector pixels held out of the fit."""
    truth = truth_of(problem)
    modes = np.stack([truth.probe, 0.3 * truth.probe * np.linspace(-1, 1, problem.probe_size)])
    shape = problem.n_positions, problem.probe_size, problem.probe_size
    fitted = np.random.default_rng(2).random(shape) > 0.1
    device = array_api_compat.device(problem.probe)
    return dataclasses.replace(
        problem,
        reference=dataclasses.replace(truth, probe_modes=modes),
        fitted_pixels=namespace(problem.probe).asarray(fitted, device=device),
    )


def _check_attributes(metric: Metric) -> None:
    assert isinstance(metric.name, str), f"its name is {metric.name!r}; expected a text"
    assert metric.name.isidentifier(), f"its name is '{metric.name}'; expected letters, digits and '_'"
    for what, allowed in (
        ("better", get_args(Direction)),
        ("needs", get_args(Need)),
        ("gauge", ("free", "removed")),
    ):
        found = getattr(metric, what)
        assert found in allowed, f"'{metric.name}' has {what} = {found!r}; expected one of {allowed}"
    for what in ("label", "unit"):
        found = getattr(metric, what)
        assert isinstance(found, str), f"'{metric.name}' has {what} = {found!r}; expected a text"


def _check_values(metric: Metric, problem: Problem) -> None:
    """Near and at the truth, and in another gauge; half scans differ by noise, at the truth not at all."""
    truth = truth_of(problem).object
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((2, *truth.shape)) + 1j * rng.standard_normal((2, *truth.shape))
    objects = truth * (1 + 0.3 * noise)
    near = _checked_value(metric, problem, objects)
    at_truth = metric.value(_evaluation(metric, problem, [truth, truth]))
    assert not math.isnan(at_truth), f"'{metric.name}' is NaN at the truth"
    assert metric.better == "neither" or metric.sign * at_truth <= metric.sign * near, (
        f"'{metric.name}' is {at_truth:.6g} at the truth and {near:.6g} away from it, yet {metric.better} is "
        "better"
    )
    changes = {"global phase": np.exp(2.5j)}
    if metric.gauge == "removed" and not problem.probe_known:
        changes["scale"] = 1.5
    for what, factor in changes.items():
        found = metric.value(_evaluation(metric, problem, factor * objects, 1 / factor))
        assert math.isclose(found, near, rel_tol=GAUGE_ROUNDING), (
            f"'{metric.name}' goes from {near:.6g} to {found:.6g} with the {what} of the object, which the "
            "data do not know"
        )


def _checked_value(metric: Metric, problem: Problem, objects: Sequence[np.ndarray] | np.ndarray) -> float:
    """A finite value, computed twice."""
    one, other = (_evaluation(metric, problem, objects) for _ in range(2))
    with watched("value", problem, (one.object, one.probe, one.halves)):
        found, again = metric.value(one), metric.value(other)
    assert isinstance(found, float | int | np.number), f"'{metric.name}' gives {found!r}; expected a number"
    assert math.isfinite(found), f"'{metric.name}' is {found}; expected a finite number"
    assert found == again or not metric.repeats, f"'{metric.name}' is {found}, and {again} the second time"
    return float(found)


def _evaluation(
    metric: Metric, problem: Problem, objects: Sequence[np.ndarray] | np.ndarray, probe_factor: complex = 1.0
) -> Evaluation:
    """The first of two host arrays (H, W) as the object; both as those of half scans, where asked for."""
    obj = asarray_like(objects[0], problem.start_object)
    halves = (objects[0], objects[1]) if metric.needs == "half scans" else None
    return Evaluation(ProblemConstants(problem), obj, probe_factor * problem.probe, halves)
