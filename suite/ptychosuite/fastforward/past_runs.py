"""Past reconstructions to learn from: which can be used, their states on the way, the latest apart.

A scan is what was measured once, or one simulated object; its runs are never in two parts. Its time is that
at which the first of them ended: one of last year that was reconstructed again yesterday is of last year.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.jumps import Schedule
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.core.stages import IMPORTED
from ptychosuite.errors import StudyError, UserError
from ptychosuite.fastforward.pairs import FROM_END, family_of, finds_more
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.problem_kind import kind_of
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.pie import RPIE
from ptychosuite.solvers.solver import Solver

EPIE = RPIE(alpha=1.0, beta=1.0)
KEPT = (3, 13, 15, 25)  # states on the way: of each jump, and of ten iterations before
LEAST_SCANS = 3  # one that judges, and of the others one that validates


@dataclass(frozen=True)
class PastScan:
    """One scan, or one simulated object, and the runs that have reconstructed it."""

    family: str
    when: str  # ISO 8601: when the first of them ended
    records: tuple[RunRecord, ...]


@dataclass(frozen=True)
class PastScans:
    """What can be learned from, in the order of time.

    ``left_out`` says why others cannot, with how many.
    """

    scans: tuple[PastScan, ...]
    left_out: Counter[str]

    def split(self, share: float) -> tuple[tuple[PastScan, ...], tuple[PastScan, ...]]:
        """The earlier scans, and the latest ``share`` of them: one at least.

        Raises
        ------
        StudyError
            There are too few.
        """
        count = len(self.scans)
        if count < LEAST_SCANS:
            others = "".join(f"; {number} left out: {why}" for why, number in self.left_out.items())
            raise StudyError(
                f"found {count} scans to learn from; expected {LEAST_SCANS} at least, the latest of which "
                f"judges{others}"
            )
        latest = min(max(1, round(share * count)), count - LEAST_SCANS + 1)
        return self.scans[:-latest], self.scans[-latest:]


def past_scans(records: Iterable[RunRecord]) -> PastScans:
    """The scans of ``records`` that can be learned from; images are not asked for."""
    left_out: Counter[str] = Counter()
    by_family: dict[str, list[RunRecord]] = {}
    for record in records:
        if why := unusable(record):
            left_out[why] += 1
        else:
            by_family.setdefault(family_of(record.spec), []).append(record)
    scans = [
        PastScan(family, min(map(ended, runs)), tuple(sorted(runs, key=ended)))
        for family, runs in by_family.items()
    ]
    return PastScans(tuple(sorted(scans, key=lambda scan: (scan.when, scan.family))), left_out)


def ended(record: RunRecord) -> str:
    """When a run ended, as far as is known."""
    return str(record.provenance.get("end", ""))


def unusable(record: RunRecord) -> str:
    """Why nothing can be learned from a run; empty where something can."""
    iterations = record.metrics.get("iterations", np.inf)
    if record.status is not Status.COMPLETED:
        return f"the run has {record.status}"
    if finds_more(record.spec.solver):
        return "several modes, or positions or light of each pattern that were found"
    if not kind_of(record.spec.problem).knows_truth and iterations < FROM_END * KEPT[1]:
        return f"fewer than {FROM_END * KEPT[1]} iterations, and no truth is known"
    return ""


def of_one_probe_size(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those runs whose probe has the size that most have; they have their images."""
    sizes = Counter(record.probe.shape for record in records if record.probe is not None)
    most = [shape for shape, _ in sizes.most_common(1)]
    return [record for record in records if record.probe is not None and record.probe.shape in most]


def walked(record: RunRecord, is_late: Callable[[], bool] = lambda: False) -> RunRecord | None:
    """The run with its states on the way, computed again where it has none; those of an import by ePIE.

    None where they cannot be had: its data or its solver's settings are gone, or there is no time.
    """
    kept = {0, *record.snapshots}
    if any(iteration - Schedule.memory in kept for iteration in record.snapshots):
        return record
    if record.spec.solver["name"] == IMPORTED:
        record = replace(record, spec=replace(record.spec, solver={"name": "epie"}))
    snapshots: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    try:
        problem, solver = build_problem(record.spec, backend("numpy")), solver_of(record)
    except UserError:
        return None
    state, order = solver.init(problem), record.spec.rng("order")
    for iteration in range(1, KEPT[-1] + 1):
        if is_late():
            return None
        state = solver.step(problem, state, order)
        if iteration in KEPT:
            snapshots[iteration] = to_numpy(state.object), to_numpy(state.probe)
    return replace(record, snapshots=snapshots)


def solver_of(record: RunRecord) -> Solver:
    """The solver that a run had; ePIE where it was another package's."""
    solver: Solver = build("solvers", record.spec.solver)
    return solver if all(each.takes_more for each in solver.constituents) else EPIE
