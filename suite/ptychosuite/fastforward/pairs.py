"""Training pairs: states of reconstructions on the way, and the truth in the gauge of each.

In which gauge a reconstruction is bound for the truth shows in its last kept state. Of measured data nobody
knows the truth: where a run of at least twice as many iterations has ended stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from ptychosuite.backends.arrays import backend
from ptychosuite.core.jumps import Schedule, Snapshot
from ptychosuite.core.problem import Problem, Reference
from ptychosuite.core.runs import RunRecord, RunSpec, Status, digest
from ptychosuite.errors import StudyError
from ptychosuite.fastforward.drift import nearest_gauge, unit_phase
from ptychosuite.fastforward.features import LIT, View, pupil, views
from ptychosuite.fastforward.truth import lit, truth_ahead_of
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.pie import RPIE

FROM_END = 2  # times as long as to a state a run on measured data has gone on, for its end to be the truth


@dataclass(frozen=True)
class Samples:
    """Inputs and targets of one network, one row a pair, in half precision."""

    channels: np.ndarray  # (n, 7, h, w) float16
    change: np.ndarray  # (n, 2, h, w) float16, from the state to the truth, in units of the network

    def __len__(self) -> int:
        return len(self.channels)

    def part(self, rows: Int[np.ndarray, " n"]) -> Samples:
        return Samples(self.channels[rows], self.change[rows])


@dataclass(frozen=True)
class Resumable:
    """A state from which a solver can go on, and the units in which a network moves it."""

    problem: Problem  # on the host; the same for the pairs of a run
    solver: RPIE
    now: Snapshot
    object_unit: complex
    probe_unit: np.ndarray  # (m, m) complex, of the pupil


@dataclass(frozen=True)
class Pairs:
    """Training pairs of object and probe."""

    object: Samples
    probe: Samples
    moves: np.ndarray  # (n,) bool, whether the probe is to be found as well
    family: np.ndarray  # (n,) text, the same for pairs of one object
    states: tuple[Resumable, ...] = ()  # one a pair, where they are kept

    def __len__(self) -> int:
        return len(self.moves)

    @property
    def alike(self) -> Int[np.ndarray, " n"]:
        """A number each; pairs that have the same one can be in one batch."""
        if not self.states:
            return np.zeros(len(self), int)
        kinds = [(state.problem.n_positions, state.problem.probe_known) for state in self.states]
        return np.unique(kinds, axis=0, return_inverse=True)[1]

    def part(self, rows: Int[np.ndarray, " n"]) -> Pairs:
        states = tuple(self.states[row] for row in rows.tolist()) if self.states else ()
        return Pairs(
            self.object.part(rows), self.probe.part(rows), self.moves[rows], self.family[rows], states
        )

    def split(self, share: float, seed: int) -> tuple[Pairs, Pairs]:
        """Pairs to train on and pairs to validate with; no object is in both."""
        families = np.unique(self.family)
        count = min(max(1, round(share * len(families))), len(families) - 1)
        chosen = np.random.default_rng(seed).permutation(families)[:count]
        apart = np.isin(self.family, chosen)
        return self.part(np.flatnonzero(~apart)), self.part(np.flatnonzero(apart))


def pairs_of(
    records: Iterable[RunRecord],
    keep_states: bool = False,
    without_drift: bool = False,
    *,
    cut: bool = False,
    least_objects: int = 2,
) -> Pairs:
    """The training pairs of runs: every kept state whose predecessor was kept as well.

    With ``keep_states`` they hold what a solver needs to go on from each; it takes as much memory again.
    ``without_drift`` as in :func:`ptychosuite.fastforward.features.views`. With ``cut`` objects of several
    sizes are cut to what all have around their middle.

    Raises
    ------
    StudyError
        There are none, or of fewer objects than ``least_objects``, or of several sizes of object or probe.
    """
    completed = (record for record in records if record.status is Status.COMPLETED)
    rows = [row for record in completed for row in _rows(record, keep_states, without_drift)]
    if not rows:
        raise StudyError(
            "the runs of this study make no training pairs; they are runs with snapshots "
            f"{Schedule.memory} iterations apart, as in 'snapshots: [10, 20, 30, 40]', and on measured data "
            f"{FROM_END} times as long, of solvers that find an object and one mode of the probe"
        )
    rows = _cut_to_common(rows) if cut else rows
    sizes = {(row.object.channels.shape, row.probe.channels.shape) for row in rows}
    if len(sizes) > 1:
        shown = ", ".join(f"{obj[-1]} and {probe[-1]}" for obj, probe in sorted(sizes))
        raise StudyError(f"found objects and probes of several sizes ({shown}); training takes one of each")
    if len({row.family for row in rows}) < least_objects:
        raise StudyError("found a single object; training needs others to validate with")
    return Pairs(
        Samples(
            np.stack([row.object.channels for row in rows]), np.stack([row.object.change for row in rows])
        ),
        Samples(np.stack([row.probe.channels for row in rows]), np.stack([row.probe.change for row in rows])),
        np.array([row.moves for row in rows]),
        np.array([row.family for row in rows]),
        tuple(row.state for row in rows if row.state),
    )


@dataclass(frozen=True)
class _Row:
    object: Samples
    probe: Samples
    moves: bool
    family: str
    state: Resumable | None


def _rows(record: RunRecord, keep_states: bool, without_drift: bool) -> Iterator[_Row]:
    """The pairs of one run; none of one whose states are not all of what its solver had found then."""
    if not record.snapshots or finds_more(record.spec.solver):
        return
    problem, last = build_problem(record.spec, backend("numpy")), math.inf
    if problem.reference is None:
        problem, last = with_its_end(problem, record), record.metrics.get("iterations", math.inf) / FROM_END
    states = {0: Snapshot(problem.start_object, problem.probe, 0)}
    states |= {
        iteration: Snapshot(obj, probe, iteration) for iteration, (obj, probe) in record.snapshots.items()
    }
    family, solver = family_of(record.spec), _resuming(record.spec.solver)
    final = states[max(states)]
    truth = truth_ahead_of(final, problem, lit(views(problem, final, None)))
    for iteration, now in states.items():
        before = states.get(iteration - Schedule.memory)
        if before is not None and iteration <= last:
            seen = views(problem, now, before, without_drift)
            near = truth if problem.probe_known else nearest_gauge(truth, now, lit(seen))
            obj = _sample(seen.object, now.object, near.object)
            probe = _sample(seen.probe, pupil(now.probe), pupil(near.probe))
            units = seen.object.unit, np.asarray(seen.probe.unit)
            state = Resumable(problem, solver, now, *units) if keep_states else None
            yield _Row(obj, probe, not problem.probe_known, family, state)


def finds_more(solver: Mapping[str, Any]) -> bool:
    """Whether a solver of these settings, or a stage of it, finds more than object and one probe."""
    return any(
        each.get("probe_modes", 1) > 1
        or each.get("probe_variations")
        or each.get("intensity")
        or each.get("positions")
        for each in solver.get("stages") or [solver]
    )


def family_of(spec: RunSpec) -> str:
    """Whose runs are not to be in two parts of the pairs: those of one simulated object, or of one file."""
    problem = spec.problem
    return digest(problem.get("object") or problem.get("path_sha256") or problem)


def with_its_end(problem: Problem, record: RunRecord) -> Problem:
    """``problem`` with the object and probe where a run of it has ended in the place of the truth."""
    obj, probe = (np.asarray(image, np.complex128) for image in (record.object, record.probe))
    return replace(problem, reference=Reference(obj, probe, problem.positions_px))


def _cut_to_common(rows: list[_Row]) -> list[_Row]:
    """Rows whose objects have the size that all of them have, around their middle."""
    height, width = np.min([row.object.channels.shape[-2:] for row in rows], axis=0).tolist()

    def middle(images: np.ndarray) -> np.ndarray:
        top, left = (images.shape[-2] - height) // 2, (images.shape[-1] - width) // 2
        return images[..., top : top + height, left : left + width]

    return [
        replace(row, object=Samples(middle(row.object.channels), middle(row.object.change))) for row in rows
    ]


def _sample(view: View, field: np.ndarray, target: np.ndarray) -> Samples:
    turned = target * unit_phase(target, field, view.channels[LIT] ** 2)
    change = (turned - field) / view.unit
    return Samples(view.channels.astype(np.float16), np.stack([change.real, change.imag]).astype(np.float16))


def _resuming(settings: Mapping[str, Any]) -> RPIE:
    """What goes on from the states of a run: its own solver where that is rPIE, else ePIE."""
    solver = build("solvers", settings)
    alpha, beta = (solver.alpha, solver.beta) if isinstance(solver, RPIE) else (1.0, 1.0)
    return RPIE(alpha=alpha, beta=beta)
