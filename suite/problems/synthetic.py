"""From the settings of a problem to its simulated data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.core.arrays import Backend, real_dtype
from suite.core.problem import Problem, Reference
from suite.core.registry import build
from suite.core.run import RunSpec
from suite.physics.forward import batches, diffraction_intensity


def build_problem(spec: RunSpec, backend: Backend) -> Problem:
    """Simulate the data of ``spec`` and put them on ``backend``, in the precision of ``spec``.

    The simulation itself is always in double precision on the host, so that every backend and every
    precision starts from the same counts. The starting object is 1 everywhere.
    """
    reference = build_reference(spec.problem, spec.rng("scan"))
    noise = float(spec.problem["noise"])
    amplitude = np.sqrt(_measure(reference, noise, spec.rng("data"))).astype(real_dtype(spec.dtype))
    return Problem(
        diffraction_amplitude=backend.asarray(amplitude),
        scan_positions_px=reference.scan_positions_px,
        probe=backend.asarray(reference.probe, spec.dtype),
        start_object=backend.asarray(np.ones(reference.object.shape), spec.dtype),
        noise=noise,
        reference=reference,
    )


def build_reference(problem: Mapping[str, Any], rng: np.random.Generator) -> Reference:
    """The true object and probe and the scan, in double precision on the host."""
    obj = build("objects", problem["object"]).make()
    probe = build("probes", problem["probe"]).make()
    positions = build("scans", problem["scan"]).positions(obj.shape, probe.shape[0], rng)
    return Reference(obj, probe, positions)


def _measure(reference: Reference, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Diffraction intensities d = eta * Poisson(|F psi|^2 / eta), (N, m, m); noiseless for eta = 0."""
    positions = reference.scan_positions_px
    size = reference.probe.shape[0]
    intensity = np.empty((len(positions), size, size))
    for batch in batches(len(positions), size):
        intensity[batch] = diffraction_intensity(reference.object, reference.probe, positions[batch])
    return noise * rng.poisson(intensity / noise) if noise > 0 else intensity
