"""Carry out one run, and reconstructions of two halves of its scan where it asks for them."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from ptychosuite.backends.allocator import give_back_much, keep_freed_memory
from ptychosuite.backends.arrays import Array, Backend, backend, to_numpy
from ptychosuite.core.problem import WHOLE_PX, Found, ProbeVariation, Problem
from ptychosuite.core.runs import Lane, RunRecord, RunSpec, Status, canonical_json
from ptychosuite.errors import BackendError, DataFileError, HopelessRun
from ptychosuite.execute.belongings import put_back
from ptychosuite.execute.extension import kept_of, order_at_end, state_at_end, told_of
from ptychosuite.execute.interruption import asked_to_stop, check_interruption, noted_interruptions
from ptychosuite.execute.loop import Outcome, reconstruct, reconstruct_stack
from ptychosuite.execute.provenance import (
    code_provenance,
    now,
    peak_host_bytes,
    reset_peak_host,
    run_provenance,
)
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.metric import metrics_of_run
from ptychosuite.metrics.misfit import pattern_misfit
from ptychosuite.physics.forward import MODES, first_mode
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.solver import Solver, State
from ptychosuite.solvers.stack import can_stack


def execute(
    spec: RunSpec,
    threads: int = 1,
    lane: Lane = Lane.TIMING,
    change: Callable[[Problem], Problem] | None = None,
    earlier: RunRecord | None = None,
) -> tuple[RunRecord, Problem | None]:
    """Carry out ``spec`` and record how it went; an error inside it becomes a failed record.

    Parameters
    ----------
    spec
        What to compute.
    threads
        Threads of BLAS, FFT and torch, fixed so that times mean something.
    lane
        Whether the run has its core or device to itself; recorded, so that only such times are compared.
    change
        What the problem of ``spec`` becomes before it is solved; by default it stays as it is.
    earlier
        A stored run that stopped sooner, to go on from, of which
        :func:`~ptychosuite.execute.extension.refusal` says nothing. It is no other run than from the start.

    Returns
    -------
    The record, and the problem that was solved (None if it could not be made).

    Raises
    ------
    BackendError, DataFileError
        The user has to act: no run of this kind can succeed.
    """
    problem = None
    with put_back(), noted_interruptions(), _prepared(spec, threads, lane) as (chosen, provenance):
        try:
            problem = _cached_problem(_problem_key(spec), chosen)
            problem = problem if change is None else change(problem)
            plain = build("solvers", spec.solver)
            _warm_up(plain, problem, chosen)
            solver = _carried(plain, spec, problem, chosen)
            order = spec.rng("order") if earlier is None else order_at_end(earlier)
            begun = None if earlier is None else (earlier, state_at_end(earlier, problem))
            outcome = reconstruct(
                problem, solver, spec.stop, order, chosen, spec.snapshots, spec.metrics, begun
            )
            record = _record(spec, problem, solver, outcome, chosen)
            record = replace(record, state=kept_of(spec, outcome.state, order))
        except (BackendError, DataFileError):
            raise
        except BaseException as error:  # a plug-in may raise anything
            record = failed(spec, error)
    if earlier is not None:
        record, provenance = _extended(record, earlier), _of_both(provenance, earlier)
    told = {**provenance, **record.provenance, **code_provenance(spec), "end": now()}
    return replace(record, provenance=told), problem


def execute_stack(
    specs: Sequence[RunSpec], threads: int = 1, lane: Lane = Lane.THROUGHPUT
) -> list[tuple[RunRecord, Problem | None]]:
    """As :func:`execute`, for runs that are advanced side by side where they can be, and alone otherwise.

    Provenance names the number of runs that went together, ``stack``.
    """
    with put_back(), noted_interruptions(), _prepared(specs[0], threads, lane) as (chosen, provenance):
        try:
            different = {_problem_key(spec): spec for spec in specs}
            made = {key: build_problem(spec, chosen) for key, spec in different.items()}
            problems = [made[_problem_key(spec)] for spec in specs]
            solvers = [build("solvers", spec.solver) for spec in specs]
            plain = all(spec.fast_forward is None and not spec.snapshots for spec in specs)
            together = plain and all(map(partial(_alike, problems[0], solvers[0]), problems, solvers))
            if together:
                _warm_up(solvers[0], problems[0], chosen)
                stops, rngs = [spec.stop for spec in specs], [spec.rng("order") for spec in specs]
                extras = [spec.metrics for spec in specs]
                outcomes = reconstruct_stack(problems, solvers, stops, rngs, chosen, extras)
                records = [
                    _record(*each, chosen) for each in zip(specs, problems, solvers, outcomes, strict=True)
                ]
        except (BackendError, DataFileError):
            raise
        except BaseException as error:  # some run's own trouble: alone, it is told from the others
            _give_way(error)
            together = False
    if not together:
        return [execute(spec, threads, lane) for spec in specs]
    provenance |= {"stack": len(specs), "end": now()}
    return [
        (
            replace(record, provenance={**provenance, **code_provenance(record.spec)}),
            problem,
        )
        for record, problem in zip(records, problems, strict=True)
    ]


def _extended(record: RunRecord, earlier: RunRecord) -> RunRecord:
    """``record``, which goes on from ``earlier``, with the peaks of memory of both."""
    peaks = {
        name: max(value, earlier.metrics.get(name, value))
        for name, value in record.metrics.items()
        if name.startswith("peak_")
    }
    return replace(record, metrics={**record.metrics, **peaks})


def _of_both(provenance: Mapping[str, Any], earlier: RunRecord) -> dict[str, Any]:
    """``provenance`` of a run that goes on from ``earlier``: in the timing lane if both parts are."""
    lanes = {provenance["lane"], earlier.provenance.get("lane", Lane.THROUGHPUT)}
    lane = lanes.pop() if len(lanes) == 1 else str(Lane.THROUGHPUT)
    return {**provenance, "lane": lane, "extended": told_of(earlier)}


LONGEST_MESSAGE = 100_000  # characters of an error that a record keeps


def failed(spec: RunSpec, error: BaseException) -> RunRecord:
    """The record of a run that an error has ended, with its traceback.

    Raises
    ------
    BaseException
        The error, or KeyboardInterrupt, where somebody has asked for an end.
    """
    _give_way(error)
    return RunRecord(run_id_of(spec), spec, Status.FAILED, message=_told(error))


def _give_way(error: BaseException) -> None:
    """Raise what comes of somebody asking for an end; a run's own errors, of the same type or not, end it."""
    if asked_to_stop() and not isinstance(error, Exception):
        raise error
    check_interruption()


def _told(error: BaseException) -> str:
    """An error in words that can be stored, whatever its class does when it is asked for them."""
    try:
        lines = [str(error)] if isinstance(error, HopelessRun) else traceback.format_exception(error)
        if isinstance(error, BaseExceptionGroup):  # whose last line is a frame
            lines += traceback.format_exception_only(type(error), error)
        text = "".join(lines)
    except BaseException:  # its own methods raise
        text = f"{type(error).__name__}, which cannot be put into words"
    text = text.encode("utf-8", "backslashreplace").decode()  # half characters cannot be stored
    if len(text) <= LONGEST_MESSAGE:
        return text
    half = LONGEST_MESSAGE // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"


def _carried(solver: Solver, spec: RunSpec, problem: Problem, chosen: Backend) -> Solver:
    """``solver``, carried ahead by the operator of ``spec`` where there is one."""
    if spec.fast_forward is None:
        return solver
    carried: Solver = build("operators", spec.fast_forward).carrying(solver, problem, chosen)
    return carried


@contextmanager
def _prepared(spec: RunSpec, threads: int, lane: Lane) -> Iterator[tuple[Backend, dict[str, Any]]]:
    """The backend of ``spec``, with threads limited and memory watched, and what provenance says of it."""
    start, chosen = now(), backend(spec.backend)
    keep_freed_memory()
    give_back_much()
    _limit_torch_threads(spec.backend, threads)
    pools = _thread_pools(len(sys.modules))
    # overflow on the way to divergence is no accident: the loop looks at the residual
    with pools.limit(limits=threads), np.errstate(all="ignore"):
        chosen.reset_peak_memory()
        reset_peak_host()
        yield chosen, {**run_provenance(chosen, pools), "lane": str(lane), "start": start}


def _alike(problem: Problem, solver: Solver, other: Problem, other_solver: Solver) -> bool:
    """Whether two runs can be advanced side by side."""
    shapes = (
        (p.scan_positions_px.shape, p.probe.shape, p.start_object.shape, p.probe_known)
        for p in (problem, other)
    )
    missing = (
        (p.subpixel_shifts_px is None, p.detector_mask is None, p.mask_varies) for p in (problem, other)
    )
    return can_stack(solver, other_solver) and len(set(shapes)) == 1 and len(set(missing)) == 1


def _record(spec: RunSpec, problem: Problem, solver: Solver, outcome: Outcome, chosen: Backend) -> RunRecord:
    metrics, rings, misfit = _at_the_end(spec, problem, solver, outcome)
    found = Found.by(outcome.state)
    return RunRecord(
        run_id=run_id_of(spec),
        spec=spec,
        status=outcome.status,
        metrics={**outcome.metrics, **metrics, **solver.figures(outcome.state), **_peak_memory(chosen)},
        curves=outcome.curves,
        object=to_numpy(outcome.state.object).astype(np.complex64),
        probe=to_numpy(first_mode(outcome.state.probe)).astype(np.complex64),
        **modes_beside(outcome.state.probe, found.variation),
        snapshots=outcome.snapshots,
        rings=rings,
        **positions_of_record(problem, found),
        pattern_misfit=misfit,
        message=outcome.message + solver.remarks(outcome.state),
        provenance=solver.provenance(outcome.state),
    )


def positions_of_record(problem: Problem, found: Found) -> dict[str, Any]:
    """The positions (N, 2) of the record: found ones, and given ones that no truth has."""
    told, given = problem.reference, problem.positions_px
    is_known = told is not None and bool(np.abs(given - told.told_positions_px).max() <= WHOLE_PX)
    if found.positions_px is None:
        return {} if is_known else {"scan_positions_px": given}
    return {"scan_positions_px": found.positions_px, **({} if is_known else {"given_positions_px": given})}


def modes_beside(probe: Array, variation: ProbeVariation | None) -> dict[str, Any]:
    """All modes of the probe and how it varies, for the record, where there is more than one of it."""
    found: dict[str, Any] = {}
    if probe.ndim == MODES:
        found["probe_modes"] = to_numpy(probe).astype(np.complex64)
    if variation is None:
        return found
    found["pattern_weights"] = variation.intensity[:, None]
    if variation.modes is not None and variation.weights is not None:
        found["pattern_weights"] = np.concatenate([found["pattern_weights"], variation.weights], axis=1)
        found["probe_variations"] = to_numpy(variation.modes).astype(np.complex64)
    return found


def _at_the_end(
    spec: RunSpec, problem: Problem, solver: Solver, outcome: Outcome
) -> tuple[dict[str, float], Mapping[str, np.ndarray], np.ndarray | None]:
    """Metrics that are not taken on the way, ring correlation, and misfits of a run that went well."""
    if outcome.status is not Status.COMPLETED:
        return {}, {}, None
    halves = None
    if spec.half_scans:
        halves = half_scan_objects(spec, problem, solver, int(outcome.metrics["iterations"]))
    state = outcome.state
    evaluation = Evaluation(ProblemConstants(problem), state.object, state.probe, halves, Found.by(state))
    metrics = metrics_of_run(spec.metrics, problem, spec.half_scans, solver)
    found = {metric.name: float(metric.value(evaluation)) for metric in metrics if not metric.on_the_way}
    has_rings = spec.half_scans or problem.reference is not None
    misfit = pattern_misfit(evaluation.seen, state.object, state.probe)
    return found, evaluation.resolution.rings if has_rings else {}, misfit


def _problem_key(spec: RunSpec) -> str:
    """Specification reduced to what decides the data: runs that differ in the solver alone share it."""
    reduced: dict[str, Any] = {"solver": {}, "stop": {}, "fast_forward": None, "half_scans": False}
    reduced["snapshots"] = reduced["metrics"] = ()
    return canonical_json({**spec.to_dict(), **reduced})


@lru_cache(maxsize=2)
def _cached_problem(key: str, chosen: Backend) -> Problem:
    """Simulated once a process for all the runs that share a problem."""
    return build_problem(RunSpec.from_dict(json.loads(key)), chosen)


def _peak_memory(chosen: Backend) -> dict[str, float]:
    """Peak memory of process and device since the run began, in bytes, where they can be known."""
    found = {"peak_host_bytes": peak_host_bytes(), "peak_device_bytes": chosen.peak_memory_bytes()}
    return {name: float(value) for name, value in found.items() if value is not None}


def _warm_up(solver: Solver, problem: Problem, chosen: Backend) -> None:
    """One step on a few positions, once a process and kind of run: what is compiled or planned at first use
    is ready before the clock starts."""
    for part in solver.constituents:
        kind = (type(part), chosen.name, str(problem.probe.dtype), problem.probe_size, problem.probe_known)
        if kind not in _warm:
            few = problem.part(slice(0, 2))
            part.step(few, part.init(few), np.random.default_rng(0))
            _warm.add(kind)


_warm: set[tuple[Any, ...]] = set()


@lru_cache(maxsize=1)
def _thread_pools(imported_modules: int) -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; looked for again when there are new ones."""
    return ThreadpoolController()


def _limit_torch_threads(name: str, threads: int) -> None:
    if name.startswith("torch"):
        import torch

        torch.set_num_threads(threads)


def half_scan_objects(
    spec: RunSpec, problem: Problem, solver: Solver, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Objects (H, W) complex from the even and from the odd scan positions, on the host."""
    even, odd = (_reconstructed(spec, problem, solver, iterations, first) for first in (0, 1))
    return even, odd


def _reconstructed(
    spec: RunSpec, problem: Problem, solver: Solver, iterations: int, first: int
) -> np.ndarray:
    half = problem.part(slice(first, None, 2))
    state: State = solver.init(half)
    rng = spec.rng(f"half {first}")
    for _ in range(iterations):
        state = solver.step(half, state, rng)
    return to_numpy(state.object)
