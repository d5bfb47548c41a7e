"""Judge what another program has reconstructed: the metrics of a run, and no second of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.problem import Found, Problem
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.core.stages import IMPORTED
from ptychosuite.execute.loop import has_diverged
from ptychosuite.execute.one_run import modes_beside, positions_of_record
from ptychosuite.execute.provenance import code_provenance, environment, now
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.metric import metrics_of_run
from ptychosuite.metrics.misfit import pattern_misfit
from ptychosuite.physics.forward import first_mode
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.outside import Outside

NOT_TIMED = "computed elsewhere, not timed by us"
CODE = "imported"  # in the place of a fingerprint: which code has judged is no part of what was imported


@dataclass(frozen=True)
class FindingSolver:
    """What metrics ask a solver: whether positions were found, and how many modes the probe has."""

    positions: bool
    probe_modes: int

    @property
    def constituents(self) -> tuple[FindingSolver, ...]:
        return (self,)


def problem_on_host(spec: RunSpec) -> Problem:
    """The problem of a run, as NumPy arrays."""
    return build_problem(spec, backend("numpy"))


def imported_spec(of: RunSpec, label: str, sha256: str) -> RunSpec:
    """The specification of a result from outside: the problem of a run, and whose arrays are compared."""
    solver = {"name": IMPORTED, "label": label, "content_sha256": sha256}
    return replace(
        of, solver=solver, stop={}, fast_forward=None, backend="numpy", half_scans=False, snapshots=()
    )


def judged(spec: RunSpec, problem: Problem, given: Outside, told: Mapping[str, Any]) -> RunRecord:
    """The record of a result from outside, with the metrics that a run would have at its end.

    Parameters
    ----------
    spec
        Of :func:`imported_spec`.
    told
        What the user says of where it comes from, for its provenance.
    """
    start, chosen = now(), backend("numpy")
    obj = chosen.asarray(given.object, spec.dtype)
    modes = problem.probe if given.probe is None else chosen.asarray(given.probe, spec.dtype)
    probe = modes[0] if modes.ndim == 3 and len(modes) == 1 else modes
    found = Found(given.positions_px)
    solver = FindingSolver(given.positions_px is not None, len(modes) if modes.ndim == 3 else 1)
    constants = ProblemConstants(problem)
    with np.errstate(all="ignore"):
        evaluation = Evaluation(constants, obj, probe, found=found)
        metrics = {
            metric.name: float(metric.value(evaluation))
            for metric in metrics_of_run(spec.metrics, problem, solver=solver)
        }
        rings = {} if problem.reference is None else evaluation.resolution.rings
        misfit = pattern_misfit(evaluation.seen, obj, probe)
    worse = has_diverged(metrics, constants.data.dark_residual)
    return RunRecord(
        run_id=spec.run_id(CODE),
        spec=spec,
        status=Status.COMPLETED,
        metrics=metrics,
        object=to_numpy(obj).astype(np.complex64),
        probe=to_numpy(first_mode(probe)).astype(np.complex64),
        **modes_beside(probe, None),
        rings=rings,
        **positions_of_record(problem, found),
        pattern_misfit=misfit,
        provenance={
            **environment(),
            **code_provenance(spec),
            "lane": IMPORTED,
            "imported": {**told, "files": [os.path.basename(file) for file in given.files]},
            "start": start,
            "end": now(),
        },
        message=NOT_TIMED + (FAR_OFF if worse else ""),
    )


FAR_OFF = (
    "; it explains the data far worse than an empty object: is the probe scaled so that its "
    "unnormalised transform has the intensities of the data?"
)
