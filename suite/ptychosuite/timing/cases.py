"""What is timed of a study: one case for all runs that do the same work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec
from ptychosuite.problems.problem_kind import kind_of
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import fast_forward_label
from ptychosuite.study.schema import problem_size


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
    first: dict[tuple[str, ...], RunSpec] = {}
    for spec in plan.runs:
        first.setdefault(_work(spec), spec)
    telling = [len(set(part)) > 1 for part in zip(*first, strict=True)]
    telling[0] = True  # the solver's name
    return [_case(_name(work, telling), spec) for work, spec in first.items()]


def _work(spec: RunSpec) -> tuple[str, ...]:
    """What decides how long a run takes, in words, part by part."""
    size, kind = problem_size(spec.problem), kind_of(spec.problem)
    scan = spec.problem.get("scan") or {}
    return (
        spec.solver_name,
        _settings(spec.solver),
        f"{size.n_positions} patterns of {size.probe_size} px",
        f"object {size.object_shape[0]} x {size.object_shape[1]} px",
        "" if kind.knows_truth else kind.label,
        "unknown probe" if spec.problem.get("start_probe") is not None else "",
        "subpixel" if scan.get("subpixel") else "",
        fast_forward_label(spec.leaves()),
        spec.backend,
        spec.dtype,
    )


def _settings(solver: Mapping[str, Any]) -> str:
    """The settings of a solver that are not the default, "alpha 0.1, levels 6"."""
    known = fields(registry.class_of("solvers", solver["name"]))
    return ", ".join(
        f"{field.name.replace('_', ' ')} {solver[field.name]}"
        for field in known
        if field.name in solver and solver[field.name] != field.default
    )


def _name(work: tuple[str, ...], telling: list[bool]) -> str:
    return " · ".join(part for part, tells in zip(work, telling, strict=True) if tells and part)


def _case(name: str, spec: RunSpec) -> Case:
    spec = replace(spec, metrics=())  # nothing is measured, and the other version may know no such field
    iterations = int(spec.stop["iterations"])
    if spec.fast_forward is None:
        return Case(name, spec, iterations, whole=False)
    schedule = registry.build("operators", spec.fast_forward)
    end = schedule.jumps_after[-1] + (schedule.look_ahead if schedule.safeguard else 1)
    return Case(name, spec, min(end, iterations), whole=True)
