"""A search for the focus of the probe, which is what a first guess is most often wrong in.

Further from its focus, a probe has its pupil multiplied by a quadratic phase. The right one shows soon: of
several probes, the one with the best focus explains the data best after a single sweep with the probe held,
from the start object. A part of the scan is enough to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from suite.core.arrays import Array, asarray_like, squared_modulus, to_numpy
from suite.core.problem import Problem
from suite.fastforward.deviance import poisson_deviance
from suite.fastforward.features import from_pupil, pupil
from suite.solvers.pie import RPIE

POSITIONS = 25  # those nearest to the middle of the scan
SWEEP = RPIE(alpha=0.3, update_probe=False)
FURTHEST = 6  # radians of focus that are searched in either direction
WORTH = 0.95  # share of the deviance below which another focus is taken


def middle_of(problem: Problem) -> Problem:
    """``problem`` with its ``POSITIONS`` positions nearest to the middle of the scan, in their order."""
    away = problem.positions_px - problem.positions_px.mean(axis=0)
    return problem.part(np.sort(np.argsort(np.hypot(*away.T))[:POSITIONS]))


def refocused(problem: Problem, probe: Array) -> tuple[Array, float, int]:
    """``probe`` (m, m) in the focus that explains the data of ``problem`` best.

    Returns
    -------
    The probe, the phase in radians by which its pupil was bent at its root mean square radius (0 where no
    other focus is better), and the passes over the data that it took.
    """
    size, seen = probe.shape[-1], pupil(probe)
    axis = np.arange(size) - size // 2
    power = to_numpy(squared_modulus(seen)).astype(np.float64)
    mean_square = float(np.sum(power * (axis[:, None] ** 2 + axis**2)) / np.sum(power))

    def bent(angle_rad: float) -> Array:
        along = np.exp(1j * angle_rad / mean_square * axis**2)
        return from_pupil(seen * asarray_like(np.outer(along, along), seen))

    evaluations = 0

    def deviance(angle_rad: float) -> float:
        nonlocal evaluations
        evaluations += 1
        held = replace(problem, probe=bent(angle_rad))
        state = SWEEP.step(held, SWEEP.init(held), np.random.default_rng(0))
        return poisson_deviance(held, state.object, held.probe)

    angle = lowest(deviance, FURTHEST)
    return (bent(angle) if angle else probe), angle, 2 * evaluations


def lowest(f: Callable[[float], float], away: int) -> float:
    """Where ``f`` is lowest, searched downhill from 0 in steps of 1, up to ``away`` of them, and between them
    by a parabola; 0 where nothing is below ``WORTH`` times f(0).
    """
    found = {0: f(0.0), 1: f(1.0), -1: f(-1.0)}
    best = min(found, key=lambda step: found[step])
    direction = int(np.sign(best))
    while direction and abs(best) < away:
        found[best + direction] = f(float(best + direction))
        if found[best + direction] >= found[best]:
            break
        best += direction
    at, value = float(best), found[best]
    if {best - 1, best + 1} <= set(found):
        left, right = found[best - 1], found[best + 1]
        bend = left - 2 * value + right
        between = best + 0.5 * (left - right) / bend if bend > 0 else at
        if between != at and (refined := f(between)) < value:
            at, value = between, refined
    return at if value < WORTH * found[0] else 0.0
