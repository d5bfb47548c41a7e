"""Training pairs: states of simulated reconstructions on the way, and the truth in the gauge of each.

In which gauge a reconstruction is bound for the truth shows in its last kept state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from suite.core.arrays import backend
from suite.core.fast_forward import Schedule
from suite.core.run import RunRecord, Status, digest
from suite.errors import StudyError
from suite.fastforward.features import LIT, View, pupil, unit_phase, views
from suite.fastforward.operator import Snapshot
from suite.fastforward.truth import lit, nearest_gauge, truth_ahead_of
from suite.problems.build import build_problem


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
    final = states[max(states)]
    truth = truth_ahead_of(final, problem, lit(views(problem, final, None)))
    for iteration, now in states.items():
        before = states.get(iteration - Schedule.memory)
        if before is not None:
            seen = views(problem, now, before)
            near = truth if problem.probe_known else nearest_gauge(truth, now, lit(seen))
            obj = _sample(seen.object, now.object, near.object)
            probe = _sample(seen.probe, pupil(now.probe), pupil(near.probe))
            yield _Row(obj, probe, not problem.probe_known, digest(record.spec.problem["object"]))


def _sample(view: View, field: np.ndarray, target: np.ndarray) -> Samples:
    turned = target * unit_phase(target, field, view.channels[LIT] ** 2)
    change = (turned - field) / view.unit
    return Samples(view.channels.astype(np.float16), np.stack([change.real, change.imag]).astype(np.float16))
