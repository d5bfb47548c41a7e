"""The network fine-tuned to one instrument, within a budget of time, and judged on the latest scans.

Those are never trained on, nor validated with. Two figures count: the share of the squared distance to where
runs end that the network takes away, and the deviance some iterations after its jumps, relative to that of
the solver alone. A network that is not better in both is not handed out.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.core.runs import RunRecord
from ptychosuite.fastforward.network import Checkpoint, Network, Trained
from ptychosuite.fastforward.pairs import Pairs, pairs_of
from ptychosuite.fastforward.past_runs import solver_of
from ptychosuite.fastforward.train import evaluate, train
from ptychosuite.fastforward.training_file import Training
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.files import file_sha256
from ptychosuite.solvers.solver import Solver

LEARNING_RATE, BATCH = 2e-4, 8
MOST_EPOCHS, PATIENCE = 100, 25  # of eight epochs the networks of 40 scans learn half of what they can
RESUMED_SWEEPS = 2
PILOT = 16  # pairs that tell what a pair costs
FOR_TRAINING = 0.7  # of the time that is left; the rest judges
JUDGED_AFTER = 40  # iterations
MOST_JUDGED = 5  # scans of which runs are carried out anew

Say = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True)
class Scores:
    """How a network does on the latest scans.

    Parameters
    ----------
    object_removed, probe_removed
        Shares of the squared distance to where the runs ended (to the truth, where it is known) that the
        network takes away.
    deviance_ratio
        Median over the scans: the Poisson deviance after 40 iterations, two of which were followed by jumps
        that nothing judged, over that of the solver alone.
    """

    object_removed: float
    probe_removed: float
    deviance_ratio: float

    def is_better_than(self, other: Scores) -> bool:
        """In both: it takes away more of the object's distance, and the deviance is no higher."""
        return self.object_removed > other.object_removed and self.deviance_ratio <= other.deviance_ratio


@dataclass(frozen=True)
class Judged:
    """What came of a fine-tuning: the network, and both networks on the latest scans."""

    checkpoint: Path
    before: Scores
    after: Scores
    pairs: Mapping[str, int]  # "earlier" and "latest"

    @property
    def is_better(self) -> bool:
        return self.after.is_better_than(self.before)


class TimeLeft:
    """How much of a budget of seconds is left."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def __call__(self) -> float:
        return max(0.0, self.end - time.monotonic())


def fine_tuned(
    earlier: Sequence[RunRecord],
    latest: Sequence[RunRecord],
    start: Path,
    folder: Path,
    card: Mapping[str, Any],
    left: TimeLeft,
    say: Say = lambda figures: None,
) -> Judged:
    """Fine-tune the network at ``start`` on the ``earlier`` runs, and judge it on the ``latest``.

    Parameters
    ----------
    earlier, latest
        Runs with their images and their states on the way, of different scans.
    folder
        Gets the checkpoint, whose card says how it did, and ``metrics.json``.
    card
        What the model card says beside.
    left
        The budget.

    Raises
    ------
    StudyError
        The runs hold no pairs.
    """
    alike = len({record.object.shape for record in earlier if record.object is not None}) == 1
    built = Checkpoint.read(start).architecture
    pairs = pairs_of(earlier, alike, built.without_drift, cut=True)
    judged = pairs_of(latest, without_drift=built.without_drift, cut=True, least_objects=1)
    settings = Training(
        width=built.width,
        whole_field=built.whole_field,
        without_drift=built.without_drift,
        epochs=1,
        batch=BATCH,
        resumed_sweeps=RESUMED_SWEEPS if alike else 0,
        start=str(start),
        learning_rate=LEARNING_RATE,
        validation_share=0.2,
        patience=PATIENCE,
        held_out="the latest scans",
    )
    cost = _seconds_a_pair(pairs, settings, start)
    affordable = int(FOR_TRAINING * left() / cost)
    pairs = _some(pairs, affordable)
    settings = replace(settings, epochs=min(max(affordable // len(pairs), 1), MOST_EPOCHS))
    checkpoint = train(pairs, settings, card, folder, say, start)
    compared = _compared(latest, (start, checkpoint), left)
    before, after = (
        _scores(network, judged, settings, ratio)
        for network, ratio in zip((start, checkpoint), compared, strict=True)
    )
    counts = {"earlier": len(pairs), "latest": len(judged)}
    return Judged(checkpoint, before, after, counts)


def with_verdict(judged: Judged) -> Checkpoint:
    """The checkpoint, whose card says how it and the one that it began with did on the latest scans."""
    found = Checkpoint.read(judged.checkpoint)
    told = {"before": asdict(judged.before), "after": asdict(judged.after), "better": judged.is_better}
    return Checkpoint(found.weights, {**found.card, "latest scans": told | {"pairs": dict(judged.pairs)}})


def _seconds_a_pair(pairs: Pairs, settings: Training, start: Path) -> float:
    """What a pair costs in an epoch, by a short one."""
    few = _some(pairs, PILOT)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        train(few, settings, {}, Path(folder), start=start)
        return (time.monotonic() - begin) / len(few)


def _some(pairs: Pairs, most: int) -> Pairs:
    """Not more pairs than ``most``, of all objects as far as that goes, and of two at least."""
    order = np.random.default_rng(0).permutation(len(pairs))
    _, first = np.unique(pairs.family[order], return_index=True)
    others = np.setdiff1d(np.arange(len(pairs)), first)
    rows = order[np.concatenate([first, others])][: max(most, 2)]
    return pairs.part(np.sort(rows))


def _scores(network: Path, pairs: Pairs, settings: Training, deviance_ratio: float) -> Scores:
    figures = evaluate(Network.load(network).modules, pairs, replace(settings, resumed_sweeps=0), "cpu")
    return Scores(figures["object_removed"], figures["probe_removed"], deviance_ratio)


def _compared(records: Sequence[RunRecord], networks: Sequence[Path], left: TimeLeft) -> list[float]:
    """For each network the median deviance over the solver's alone, over the latest run of each scan.

    One scan at least is judged, more as far as time allows.
    """
    ratios: list[list[float]] = []
    for record in records[-MOST_JUDGED:][::-1]:
        begin = time.monotonic()
        problem, solver = build_problem(record.spec, backend("numpy")), solver_of(record)
        plain = _deviance_of(record, problem, solver)
        carried = [_jumping(network, solver, problem) for network in networks]
        ratios.append([_deviance_of(record, problem, each) / plain for each in carried])
        if time.monotonic() - begin > left():
            break
    return [statistics.median(column) for column in zip(*ratios, strict=True)]


def _jumping(network: Path, solver: Solver, problem: Problem) -> Solver:
    """``solver``, carried ahead by a network, whose jumps nothing judges."""
    operator = Trained(checkpoint=str(network), checkpoint_sha256=file_sha256(str(network)), safeguard=False)
    return operator.carrying(solver, problem, backend("numpy"))


def _deviance_of(record: RunRecord, problem: Problem, solver: Solver) -> float:
    """The deviance after :data:`JUDGED_AFTER` iterations, in the scan order of the run."""
    state, order = solver.init(problem), record.spec.rng("order")
    with np.errstate(all="ignore"):
        for _ in range(JUDGED_AFTER):
            state = solver.step(problem, state, order)
    return poisson_deviance(problem, state.object, state.probe)
