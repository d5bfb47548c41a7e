"""Simulated truth and its diffraction, in double precision on the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.core.patterns import Patterns, Recorder, narrowest
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


def measure(reference: Reference, noise: float, rng: np.random.Generator, dtype: str) -> Patterns:
    """Diffraction d = eta * Poisson(|F psi|^2 / eta), kept as counts; intensities as they are for eta = 0.

    ``dtype`` is the real type of the amplitudes that are handed out.
    """
    positions, shifts = split_positions(reference.scan_positions_px)
    probe = reference.probe
    size = probe.shape[0]
    recorder = Recorder(len(positions))
    for batch in batches(len(positions), size):
        phases = None if shifts is None else shift_phases(size, shifts[batch], probe)
        intensity = diffraction_intensity(reference.object, probe, positions[batch], phases)
        recorder.append(narrowest(rng.poisson(intensity / noise)) if noise > 0 else intensity.astype(dtype))
    return Patterns(recorder.values, noise or 1.0, dtype)
