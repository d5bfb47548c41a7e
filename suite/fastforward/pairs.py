"""Training pairs: states of simulated reconstructions on the way, and the truth in the gauge of each.

In which gauge a reconstruction is bound for the truth shows in its last kept state. Where that one is still far
from the truth, the truth is taken as it stands: early states have not drifted far from the start's gauge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from suite.core.arrays import backend
from suite.core.fast_forward import Schedule
from suite.core.problem import Problem, Reference
from suite.core.run import RunRecord, Status, digest
from suite.errors import StudyError
from suite.fastforward.features import LIT, View, Views, pupil, unit_phase, views
from suite.fastforward.operator import Snapshot
from suite.metrics.gauge import Aligner, Gauge
from suite.metrics.image import scanned_area
from suite.physics.shift import fourier_shift, shift_phases
from suite.problems.build import build_problem

LOST = 0.5  # squared distance of the last state to the truth, relative to the state's power


@dataclass(frozen=True)
class Samples:
    """Inputs and targets of one network, one row a pair, in half precision."""

    channels: np.ndarray  # (n, 7, h, w) float16
    change: np.ndarray  # (n, 2, h, w) float16, from the state to the truth, in units of the network

    def __len__(self) -> int:
        return len(self.channels)

    def part(self, rows: np.ndarray) -> Samples:
        return Samples(self.channels[rows], self.change[rows])


@dataclass(frozen=True)
class Pairs:
    """Training pairs of object and probe."""

    object: Samples
    probe: Samples
    moves: np.ndarray  # (n,) bool, whether the probe is to be found as well
    family: np.ndarray  # (n,) text, the same for pairs of one object

    def __len__(self) -> int:
        return len(self.moves)

    def part(self, rows: np.ndarray) -> Pairs:
        return Pairs(self.object.part(rows), self.probe.part(rows), self.moves[rows], self.family[rows])

    def split(self, share: float, seed: int) -> tuple[Pairs, Pairs]:
        """Pairs to train on and pairs to validate with; no object is in both."""
        families = np.unique(self.family)
        count = min(max(1, round(share * len(families))), len(families) - 1)
        chosen = np.random.default_rng(seed).permutation(families)[:count]
        apart = np.isin(self.family, chosen)
        return self.part(np.flatnonzero(~apart)), self.part(np.flatnonzero(apart))


def pairs_of(records: Iterable[RunRecord]) -> Pairs:
    """The training pairs of simulated runs: every kept state whose predecessor was kept as well.

    Raises
    ------
    StudyError
        There are none, or the runs differ in the size of object or probe.
    """
    rows = [row for record in records if record.status is Status.COMPLETED for row in _rows(record)]
    if not rows:
        raise StudyError(
            "the runs of this study make no training pairs; they are simulated runs with snapshots "
            f"{Schedule.memory} iterations apart, as in 'snapshots: [10, 20, 30, 40]'"
        )
    sizes = {(row.object.channels.shape, row.probe.channels.shape) for row in rows}
    if len(sizes) > 1:
        shown = ", ".join(f"{obj[-1]} and {probe[-1]}" for obj, probe in sorted(sizes))
        raise StudyError(f"found objects and probes of several sizes ({shown}); training takes one of each")
    if len({row.family for row in rows}) < 2:
        raise StudyError("found a single object; training needs others to validate with")
    return Pairs(
        Samples(
            np.stack([row.object.channels for row in rows]), np.stack([row.object.change for row in rows])
        ),
        Samples(np.stack([row.probe.channels for row in rows]), np.stack([row.probe.change for row in rows])),
        np.array([row.moves for row in rows]),
        np.array([row.family for row in rows]),
    )


@dataclass(frozen=True)
class _Row:
    object: Samples
    probe: Samples
    moves: bool
    family: str


def _rows(record: RunRecord) -> Iterator[_Row]:
    """The pairs of one run."""
    if record.spec.problem["kind"] != "simulated":
        raise StudyError("training takes simulated runs: only they know the truth")
    if not record.snapshots:
        return
    problem = build_problem(record.spec, backend("numpy"))
    states = {0: Snapshot(problem.start_object, problem.probe, 0)}
    states |= {
        iteration: Snapshot(obj, probe, iteration) for iteration, (obj, probe) in record.snapshots.items()
    }
    assert problem.reference is not None
    final = states[max(states)]
    truth = truth_in_gauge_of(final, problem, problem.reference)
    if distance_to_truth(truth, final, _light(views(problem, final, None))) > LOST:
        truth = Snapshot(problem.reference.object, problem.reference.probe, final.iteration)
    for iteration, now in states.items():
        before = states.get(iteration - Schedule.memory)
        if before is not None:
            seen = views(problem, now, before)
            near = truth if problem.probe_known else nearest_gauge(truth, now, _light(seen))
            obj = _sample(seen.object, now.object, near.object)
            probe = _sample(seen.probe, pupil(now.probe), pupil(near.probe))
            yield _Row(obj, probe, not problem.probe_known, digest(record.spec.problem["object"]))


def distance_to_truth(truth: Snapshot, now: Snapshot, light: np.ndarray) -> float:
    """Squared distance of object or probe, whichever is larger, to the truth, relative to the state's power.

    The object's pixels are weighted with ``light`` (H, W); phases are free.
    """
    return max(
        float(np.sum(weight * np.abs(state - unit_phase(field, state, weight) * field) ** 2))
        / float(np.sum(weight * np.abs(state) ** 2))
        for field, state, weight in (
            (truth.object, now.object, light),
            (truth.probe, now.probe, np.ones(now.probe.shape)),
        )
    )


def _light(seen: Views) -> np.ndarray:
    return np.asarray(seen.object.channels[LIT] ** 2)


def _sample(view: View, field: np.ndarray, target: np.ndarray) -> Samples:
    turned = target * unit_phase(target, field, view.channels[LIT] ** 2)
    change = (turned - field) / view.unit
    return Samples(view.channels.astype(np.float16), np.stack([change.real, change.imag]).astype(np.float16))


def truth_in_gauge_of(now: Snapshot, problem: Problem, reference: Reference) -> Snapshot:
    """The truth moved to where ``now`` is: scale, ramp and translation; the phases are left as they come.

    With a known probe it is the truth itself.
    """
    if problem.probe_known:
        return Snapshot(reference.object, reference.probe, now.iteration)
    obj, gauge = Aligner(np.asarray(now.object), scanned_area(reference)).align(reference.object)
    return Snapshot(obj, _carried(reference.probe, gauge), now.iteration)


def nearest_gauge(truth: Snapshot, now: Snapshot, light: np.ndarray) -> Snapshot:
    """``truth`` moved within its gauge to where it is nearest to ``now``, to first order.

    While a reconstruction goes on it drifts in scale, ramp and translation, which nothing drives and nothing
    can foresee. The nearest gauge is a linear least-squares fit over object and probe together, the object's
    pixels weighted with ``light`` (H, W).
    """
    even = np.ones(now.probe.shape)
    obj = truth.object * unit_phase(truth.object, now.object, light)
    probe = truth.probe * unit_phase(truth.probe, now.probe, even)
    zero = np.zeros_like
    moves = [  # scale, phase of the object, phase of the probe; ramps and translations along rows and columns
        (obj, -probe),
        (1j * obj, zero(probe)),
        (zero(obj), 1j * probe),
        *((1j * _ramp(obj, axis), -1j * _ramp(probe, axis)) for axis in (0, 1)),
        *((np.gradient(obj, axis=axis), np.gradient(probe, axis=axis)) for axis in (0, 1)),
    ]
    weights = [
        np.sqrt(weight / np.sum(weight * np.abs(state) ** 2))
        for weight, state in ((light, now.object), (even, now.probe))
    ]

    def column(on_object: np.ndarray, on_probe: np.ndarray) -> np.ndarray:
        both = np.concatenate([(weights[0] * on_object).ravel(), (weights[1] * on_probe).ravel()])
        return np.concatenate([both.real, both.imag])

    matrix = np.stack([column(*move) for move in moves], axis=1)
    wanted = column(now.object - obj, now.probe - probe)
    steps = np.linalg.lstsq(matrix.T @ matrix, matrix.T @ wanted, rcond=1e-6)[0]
    for step, (on_object, on_probe) in zip(steps, moves, strict=True):
        obj, probe = obj + step * on_object, probe + step * on_probe
    return Snapshot(obj, probe, truth.iteration)


def _ramp(field: np.ndarray, axis: int) -> np.ndarray:
    """``field`` times the distance from its centre along ``axis``, in units of 32 pixels."""
    size = field.shape[axis]
    return field * np.expand_dims((np.arange(size) - (size - 1) / 2) / 32, 1 - axis)


def _carried(probe: np.ndarray, gauge: Gauge) -> np.ndarray:
    """The probe (m, m) that goes with an object to which ``gauge`` was applied, but for a phase."""
    size = len(probe)
    moved = fourier_shift(probe, shift_phases(size, np.array([gauge.shift_px]), probe))[0]
    axis = np.arange(size)
    down, across = (np.exp(-1j * slope * axis) for slope in gauge.ramp_rad_per_px)
    return moved * down[:, None] * across / abs(gauge.scale)
