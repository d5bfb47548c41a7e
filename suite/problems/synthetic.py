"""Simulated truth and its diffraction, in double precision on the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.core.problem import Reference, split_positions
from suite.core.registry import build
from suite.physics.forward import batches, diffraction_intensity
from suite.physics.shift import shift_phases


def simulated_reference(problem: Mapping[str, Any], rng: np.random.Generator) -> Reference:
    """The true object and probe and the scan of a simulated problem's settings."""
    obj = build("objects", problem["object"]).make()
    probe = build("probes", problem["probe"]).make()
    positions = build("scans", problem["scan"]).positions(obj.shape, probe.shape[0], rng)
    return Reference(obj, probe, positions)


def measure(reference: Reference, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Diffraction intensities d = eta * Poisson(|F psi|^2 / eta), (N, m, m); noiseless for eta = 0."""
    positions, shifts = split_positions(reference.scan_positions_px)
    probe = reference.probe
    size = probe.shape[0]
    intensity = np.empty((len(positions), size, size))
    for batch in batches(len(positions), size):
        phases = None if shifts is None else shift_phases(size, shifts[batch], probe)
        intensity[batch] = diffraction_intensity(reference.object, probe, positions[batch], phases)
    return noise * rng.poisson(intensity / noise) if noise > 0 else intensity
