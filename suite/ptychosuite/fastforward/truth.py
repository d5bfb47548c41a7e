"""The truth of a simulation in the gauge of a reconstruction: training's target, and the bound of operators.

Where a reconstruction is still far from the truth, the truth is taken as it stands: early states have not
drifted far from the start's gauge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Le
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, asarray_like, to_numpy
from ptychosuite.core.problem import Problem, Reference
from ptychosuite.errors import StudyError
from ptychosuite.fastforward.drift import Light, nearest_gauge, unit_phase
from ptychosuite.fastforward.features import LIT, Views, views
from ptychosuite.fastforward.operator import Operator, Snapshot
from ptychosuite.metrics.gauge import Aligner, Gauge
from ptychosuite.metrics.image import scanned_area
from ptychosuite.physics.shift import fourier_shift, shift_phases

LOST = 0.5  # squared distance of a state to the truth, relative to the state's power


def truth_ahead_of(state: Snapshot, problem: Problem, light: Light) -> Snapshot:
    """The truth in the gauge in which ``state`` is bound for it; as it stands where ``state`` is far from it.

    How far is judged with the object's pixels weighted with ``light``.

    Raises
    ------
    StudyError
        The truth is not known: the data are measured.
    """
    reference = problem.reference
    if reference is None:
        raise StudyError("only a simulation knows the truth; leave out fast_forward {kind: truth} here")
    moved = truth_in_gauge_of(state, problem, reference)
    if distance_to_truth(moved, state, light) > LOST:
        return Snapshot(reference.object, reference.probe, state.iteration)
    return moved


def lit(seen: Views) -> Light:
    """How well each pixel of the object is lit, at most one."""
    return to_numpy(seen.object.channels[LIT]) ** 2


def truth_in_gauge_of(now: Snapshot, problem: Problem, reference: Reference) -> Snapshot:
    """The truth moved to where ``now`` is: scale, ramp and translation; the phases are left as they come.

    With a known probe it is the truth itself.
    """
    if problem.probe_known:
        return Snapshot(reference.object, reference.probe, now.iteration)
    obj, gauge = Aligner(np.asarray(now.object), scanned_area(reference)).align(reference.object)
    return Snapshot(obj, _carried(reference.probe, gauge), now.iteration)


def _carried(probe: np.ndarray, gauge: Gauge) -> np.ndarray:
    """The probe (m, m) that goes with an object to which ``gauge`` was applied, but for a phase."""
    size = len(probe)
    moved = fourier_shift(probe, shift_phases(size, np.array([gauge.shift_px]), probe))[0]
    axis = np.arange(size)
    down, across = (np.exp(-1j * slope * axis) for slope in gauge.ramp_rad_per_px)
    return moved * down[:, None] * across / abs(gauge.scale)


def distance_to_truth(truth: Snapshot, now: Snapshot, light: Light) -> float:
    """Squared distance of object or probe, whichever is larger, to the truth, relative to the state's power.

    The object's pixels are weighted with ``light``; phases are free.
    """
    return max(
        float(np.sum(weight * np.abs(state - unit_phase(field, state, weight) * field) ** 2))
        / float(np.sum(weight * np.abs(state) ** 2))
        for field, state, weight in (
            (truth.object, now.object, light),
            (truth.probe, now.probe, np.ones(now.probe.shape)),
        )
    )


@dataclass(frozen=True, kw_only=True)
class Truth(Operator):
    """Goes to the truth itself, or part of the way. Simulations only.

    As an image nothing is better. A lower likelihood has only what fits the noise as well.

    Parameters
    ----------
    share
        Of the way to the truth, in the gauge nearest to the state.
    """

    needs_truth: ClassVar[bool] = True

    share: Annotated[float, Gt(0), Le(1)] = 1.0

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
        """z + share (z* - z) and the same for an unknown probe.

        Raises
        ------
        StudyError
            The truth is not known: the data are measured.
        """
        light = lit(views(problem, now, None))
        state = Snapshot(to_numpy(now.object), to_numpy(now.probe), now.iteration)
        truth = truth_ahead_of(state, problem, light)
        if not problem.probe_known:
            truth = nearest_gauge(truth, state, light)
        even = np.ones(state.probe.shape)
        fields = ((state.object, truth.object, light), (state.probe, truth.probe, even))
        obj, probe = (z + self.share * (t * unit_phase(t, z, weight) - z) for z, t, weight in fields)
        if problem.probe_known:
            probe = state.probe
        return asarray_like(obj, now.object), asarray_like(probe, now.probe)
