"""What of a change between two states is drift: a move within the gauge, which nothing drives.

While a reconstruction with an unknown probe goes on it drifts in scale, ramp and translation of the object,
the probe the other way round; data and image do not know of it, and nothing can foresee it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, namespace
from ptychosuite.core.jumps import Snapshot

Field = Complex[Array, "h w"]
Light = Float[Array, "h w"]


def unit_phase(of: Field, like: Field, weight: Light) -> complex:
    """The factor of modulus one that turns the phase of ``of`` to that of ``like``."""
    xp = namespace(of)
    overlap = complex(xp.sum(weight * xp.conj(of) * like))
    return overlap / abs(overlap) if overlap else 1.0 + 0.0j


def nearest_gauge(truth: Snapshot, now: Snapshot, light: Light) -> Snapshot:
    """``truth`` moved within its gauge to where it is nearest to ``now``, to first order.

    While a reconstruction goes on it drifts in scale, ramp and translation, which nothing drives and nothing
    can foresee. The nearest gauge is a linear least-squares fit over object and probe together, the object's
    pixels weighted with ``light``.
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
