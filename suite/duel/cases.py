"""What is timed of a study: one case for all runs that do the same work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suite.core import registry
from suite.core.factors import factor_names, factor_value, fast_forward_as_one
from suite.core.plan import Plan
from suite.core.run import RunSpec, canonical_json
from suite.study.schema import problem_size


@dataclass(frozen=True)
class Case:
    """One run that stands for all that take as long."""

    name: str
    spec: RunSpec
    iterations: int  # of the run; a sample has no more of them at a time
    whole: bool  # a sample has no fewer either: the work differs between iterations


def cases(plan: Plan) -> list[Case]:
    """The cases of a study: runs that differ in solver, sizes, fast-forward, backend or precision.

    Seed, noise and what object and probe look like make no case of their own.
    """
    first: dict[str, RunSpec] = {}
    for spec in plan.runs:
        first.setdefault(_work(spec), spec)
    names = _names(plan, list(first.values()))
    return [_case(name, spec) for name, spec in zip(names, first.values(), strict=True)]


def _work(spec: RunSpec) -> str:
    """What decides how long a run takes, as text."""
    size = problem_size(spec.problem)
    unknown_probe = spec.problem.get("start_probe") is not None
    kind = spec.problem.get("kind", "simulated")
    problem = [kind, list(size.object_shape), size.n_positions, size.probe_size, unknown_probe]
    return canonical_json([spec.solver, problem, spec.fast_forward, spec.backend, spec.dtype])


def _case(name: str, spec: RunSpec) -> Case:
    iterations = int(spec.stop["iterations"])
    if spec.fast_forward is None:
        return Case(name, spec, iterations, whole=False)
    schedule = registry.build("operators", spec.fast_forward)
    end = schedule.jumps_after[-1] + (schedule.look_ahead if schedule.safeguard else 1)
    return Case(name, spec, min(end, iterations), whole=True)


def _names(plan: Plan, specs: list[RunSpec]) -> list[str]:
    """The solver of each, and what else tells them apart."""
    leaves = [fast_forward_as_one(spec.leaves()) for spec in specs]
    short = factor_names(plan.factors)
    values = {path: [factor_value(each, path) for each in leaves] for path in plan.factors}
    telling = {path: v for path, v in values.items() if path != "solver.name" and len({*map(str, v)}) > 1}
    return [
        " · ".join([spec.solver["name"], *_told(short, {path: v[number] for path, v in telling.items()})])
        for number, spec in enumerate(specs)
    ]


def _told(short: dict[str, str], values: dict[str, Any]) -> list[str]:
    return [
        f"{short[path].replace('_', ' ')} {value}"
        for path, value in values.items()
        if value not in (None, "")
    ]
