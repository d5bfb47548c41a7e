"""Carry out one run."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from suite.core.arrays import Backend, backend, to_numpy
from suite.core.fingerprint import code_fingerprint
from suite.core.problem import Problem
from suite.core.registry import build
from suite.core.run import RunRecord, RunSpec, Status, canonical_json
from suite.errors import BackendError, DataFileError
from suite.execute.loop import Outcome, reconstruct
from suite.execute.provenance import now, run_provenance
from suite.execute.resolution import Resolution, against_truth, between_half_scans
from suite.fastforward.apply import with_fast_forward
from suite.fastforward.state import jump_metrics, rejections
from suite.problems.build import build_problem
from suite.solvers.protocol import Solver


def execute(spec: RunSpec, threads: int = 1) -> tuple[RunRecord, Problem | None]:
    """Carry out ``spec`` and record how it went; an error inside it becomes a failed record.

    Parameters
    ----------
    spec
        What to compute.
    threads
        Threads of BLAS, FFT and torch, fixed so that times mean something.

    Returns
    -------
    The record, and the problem that was solved (None if it could not be made).

    Raises
    ------
    BackendError, DataFileError
        The user has to act: no run of this kind can succeed.
    """
    problem = None
    run_id, start = spec.run_id(code_fingerprint()), now()
    chosen = backend(spec.backend)
    _limit_torch_threads(spec.backend, threads)
    with threadpool_limits(limits=threads):
        provenance = {**run_provenance(chosen), "start": start}
        try:
            problem = _cached_problem(_problem_key(spec), chosen)
            with np.errstate(
                all="ignore"
            ):  # overflow on the way to divergence: the loop looks at the residual
                plain = build("solvers", spec.solver)
                _warm_up(plain, problem, chosen)
                solver = with_fast_forward(plain, spec.fast_forward, problem, chosen)
                outcome = reconstruct(problem, solver, spec.stop, spec.rng("order"), chosen)
                resolution = _resolution(spec, problem, solver, outcome)
                record = _record(spec, run_id, problem, outcome, resolution)
        except (BackendError, DataFileError):
            raise
        except Exception:
            record = RunRecord(run_id, spec, Status.FAILED, message=traceback.format_exc())
    return replace(record, provenance={**provenance, "end": now()}), problem


def _record(
    spec: RunSpec, run_id: str, problem: Problem, outcome: Outcome, resolution: Resolution
) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        spec=spec,
        status=outcome.status,
        metrics={**outcome.metrics, **resolution.metrics, **jump_metrics(outcome.state)},
        curves=outcome.curves,
        object=to_numpy(outcome.state.object).astype(np.complex64),
        probe=to_numpy(outcome.state.probe).astype(np.complex64),
        rings=resolution.rings,
        scan_positions_px=problem.positions_px if problem.reference is None else None,
        message=outcome.message + rejections(outcome.state),
    )


def _resolution(spec: RunSpec, problem: Problem, solver: Solver, outcome: Outcome) -> Resolution:
    """Ring correlations at the end of a run that went well; between half scans where that is asked for."""
    if outcome.status is not Status.COMPLETED:
        return Resolution({}, {})
    if spec.half_scans:
        iterations = int(outcome.metrics["iterations"])
        return between_half_scans(spec, problem, solver, iterations, outcome.state.probe)
    if problem.reference is not None:
        return against_truth(to_numpy(outcome.state.object), problem.reference)
    return Resolution({}, {})


def _problem_key(spec: RunSpec) -> str:
    """Specification reduced to what decides the data: runs that differ in the solver alone share it."""
    reduced: dict[str, Any] = {"solver": {}, "stop": {}, "fast_forward": None, "half_scans": False}
    return canonical_json({**spec.to_dict(), **reduced})


@lru_cache(maxsize=2)
def _cached_problem(key: str, chosen: Backend) -> Problem:
    """Simulated once a process for all the runs that share a problem."""
    return build_problem(RunSpec.from_dict(json.loads(key)), chosen)


def _warm_up(solver: Solver, problem: Problem, chosen: Backend) -> None:
    """One step on a few positions, once a process and kind of run: what is compiled or planned at first use
    is ready before the clock starts."""
    kind = (type(solver), chosen.name, str(problem.probe.dtype), problem.probe_size, problem.probe_known)
    if kind not in _warm:
        few = problem.part(slice(0, 2))
        solver.step(few, solver.init(few), np.random.default_rng(0))
        _warm.add(kind)


_warm: set[tuple[Any, ...]] = set()


def _limit_torch_threads(name: str, threads: int) -> None:
    if name.startswith("torch"):
        import torch

        torch.set_num_threads(threads)
