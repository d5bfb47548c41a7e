"""Several solvers one after the other in one run: warmed up by one, finished by another.

A stage begins where the one before has ended, from its object and its probe, and with the positions and the
probe's variation that it has found. Of the rest of its state nothing is handed on: a momentum or a history
belongs to the solver that has built it up. Settings that count iterations, such as ``probe_start``, count
those of their own stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array
from ptychosuite.core.problem import Found, Problem
from ptychosuite.core.stages import STAGES, in_words
from ptychosuite.physics.forward import MODES, first_mode
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.probe_modes import power, with_first
from ptychosuite.solvers.solver import Solver


@dataclass(frozen=True)
class StagedState:
    """Where a stage stands, or is about to begin."""

    object: Complex[Array, "H W"]
    probe: Complex[Array, "*M m m"]
    stage: int = 0
    iterations: int = 0  # of this stage so far
    inner: Any = None  # the state of the stage's solver; None before it has begun from object and probe
    passes_before: float = 0  # over the data, by the stages before
    resumes: Any = None  # the stage's state before a jump has led to object and probe
    found: Found | None = None
    first_probe: Complex[Array, "m m"] | None = (
        None  # that of a later stage's start, with the power of all modes
    )


@dataclass(frozen=True, kw_only=True)
class Staged(Solver):
    """Solvers one after the other in one run.

    Parameters
    ----------
    stages
        Each solver with its settings, and ``iterations``: how many of them it does. The last one goes on to
        the end of the run, and need not say how many.
    """

    label: ClassVar[str] = "staged"
    remembers: ClassVar[str] = "what its stages have begun with"
    parts: ClassVar[Mapping[str, str]] = {STAGES: "solvers"}

    stages: Sequence[Mapping[str, Any]]

    @cached_property
    def solvers(self) -> tuple[Solver, ...]:
        settings = [{k: v for k, v in stage.items() if k != "iterations"} for stage in self.stages]
        return tuple(build("solvers", each) for each in settings)

    @property
    def constituents(self) -> tuple[Solver, ...]:
        return self.solvers

    @property
    def typical_cost(self) -> float:  # type: ignore[override]  # of these stages, not of all that can be
        """The mean over the iterations that are known, or over the stages."""
        weights = [stage["iterations"] or 0 for stage in self.stages]
        weights = weights if all(weights) else [1] * len(weights)
        return float(np.average([solver.typical_cost for solver in self.solvers], weights=weights))

    @property
    def can_go_back(self) -> bool:  # type: ignore[override]  # the same
        return all(solver.can_go_back for solver in self.solvers)

    def check(self, probe_size: int) -> None:
        for place, solver in enumerate(self.solvers):
            try:
                solver.check(probe_size)
            except ValueError as error:
                raise ValueError(f"{STAGES}.{place}.{error}") from error

    def init(self, problem: Problem) -> StagedState:
        return self._begun(problem, StagedState(problem.start_object, problem.probe))

    def step(self, problem: Problem, state: StagedState, rng: np.random.Generator) -> StagedState:
        state = self._begun(problem, self._stage_after(state))
        inner = self.solvers[state.stage].step(_seen(problem, state), state.inner, rng)
        return replace(_with(state, inner), iterations=state.iterations + 1)

    def data_passes(self, state: StagedState, iterations: int) -> int | float:
        return state.passes_before + self._own_passes(state)

    @property
    def stays_because(self) -> str:  # type: ignore[override]  # of the first stage that stays
        return next((each.stays_because for each in self.solvers if not each.can_go_back), "")

    def carried(
        self, problem: Problem, state: StagedState, obj: Complex[Array, "H W"], probe: Complex[Array, "m m"]
    ) -> tuple[StagedState, float]:
        """The stage goes on with its own solver from where the jump has led, with its next step."""
        return replace(state, object=obj, probe=probe, inner=None, resumes=state.inner), 0

    def narrowed(self, part: Problem, state: StagedState) -> tuple[StagedState, float] | None:
        solver = self.solvers[state.stage]
        if solver.in_part(0.5) is not solver:  # as a stage it cannot be exchanged
            return None
        if state.inner is None or (found := solver.narrowed(_seen(part, state), state.inner)) is None:
            return None
        inner, passes = found
        return replace(state, inner=inner, found=None, resumes=None), passes

    def copied(self, state: StagedState) -> StagedState:
        return replace(state, inner=self.solvers[state.stage].copied(state.inner))

    def figures(self, state: StagedState) -> Mapping[str, float]:
        return self.solvers[state.stage].figures(state.inner)

    def step_seconds(self, state: StagedState, measured: float) -> float:
        return self.solvers[state.stage].step_seconds(state.inner, measured)

    def provenance(self, state: StagedState) -> Mapping[str, Any]:
        """Of the last stage that was reached."""
        return self.solvers[state.stage].provenance(state.inner)

    def remarks(self, state: StagedState) -> str:
        """What the stage's solver has to say, and which stages were never reached."""
        missed = in_words(self.stages[state.stage + 1 :])
        never = f"; never came to {missed}" if missed else ""
        return self.solvers[state.stage].remarks(state.inner) + never

    def _stage_after(self, state: StagedState) -> StagedState:
        """``state``, or the beginning of the next stage where its own has done its iterations."""
        is_last = state.stage == len(self.stages) - 1
        if is_last or state.iterations < self.stages[state.stage]["iterations"]:
            return state
        passes = self.data_passes(state, state.iterations)
        return StagedState(
            state.object,
            state.probe,
            state.stage + 1,
            passes_before=passes,
            found=state.found,
            first_probe=in_one_mode(state.probe),
        )

    def _begun(self, problem: Problem, state: StagedState) -> StagedState:
        """``state`` with that of its stage's solver, which begins from object and probe where it has to."""
        if state.inner is not None:
            return state
        solver = self.solvers[state.stage]
        modes, probe, passes = problem.probe_modes, in_one_mode(state.probe), 0.0
        if state.probe.ndim == MODES:
            modes = state.probe
        elif modes is not None and state.first_probe is not None:
            modes = with_first(modes, state.probe)
        start = replace(_seen(problem, state), probe_modes=modes)
        if state.resumes is None:
            inner = solver.init(replace(start, start_object=state.object, probe=probe))
        else:
            inner, passes = solver.carried(start, state.resumes, state.object, probe)
        if _keeps_found(inner):
            inner = replace(inner, found=state.found)
        return replace(_with(state, inner), resumes=None, passes_before=state.passes_before + passes)

    def _own_passes(self, state: StagedState) -> int | float:
        """Passes over the data of the present stage."""
        solver, known = self.solvers[state.stage], state.inner
        return solver.data_passes(state.resumes if known is None else known, state.iterations)


def in_one_mode(probe: Complex[Array, "*M m m"]) -> Complex[Array, "m m"]:
    """The strongest mode with the power of all, as a problem has its probe."""
    if probe.ndim < MODES:
        return probe
    return first_mode(probe) * math.sqrt(power(probe) / power(first_mode(probe)))


def _seen(problem: Problem, state: StagedState) -> Problem:
    """``problem`` as the solver of the stage is given it: with what was found before, unless it keeps it."""
    if state.first_probe is not None:
        problem = replace(problem, probe=state.first_probe)
    return problem if _keeps_found(state.inner) else Found.by(state).applied_to(problem)


def _keeps_found(inner: Any) -> bool:
    """Whether a solver's state takes what was found before it."""
    return "found" in getattr(inner, "__dataclass_fields__", {})


def _with(state: StagedState, inner: Any) -> StagedState:
    found = getattr(inner, "found", None) or state.found
    return replace(state, object=inner.object, probe=inner.probe, inner=inner, found=found)
