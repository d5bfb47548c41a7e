"""Simulated truth and its diffraction, in double precision on the host.

From the settings of a problem to its data on a backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Array, Backend, real_dtype
from ptychosuite.core.patterns import Patterns, Recorder, narrowest
from ptychosuite.core.problem import Problem, Reference, split_positions
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError
from ptychosuite.physics.forward import batches, diffraction_intensity
from ptychosuite.physics.shift import shift_phases
from ptychosuite.registry.lookup import build


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


def build_problem(spec: RunSpec, backend: Backend) -> Problem:
    """The problem of ``spec`` on ``backend``, in the precision of ``spec``.

    A simulation is always done in double precision on the host, so that every backend and every precision
    starts from the same counts. The starting object is 1 everywhere.

    Raises
    ------
    DataFileError
        A file is unreadable or unsuitable, or there is no probe to start from.
    """
    if spec.problem.get("kind", "simulated") == "simulated":
        return _simulated(spec, backend)
    return _measured(spec, backend)


def _simulated(spec: RunSpec, backend: Backend) -> Problem:
    reference = simulated_reference(spec.problem, spec.rng("scan"))
    noise = float(spec.problem["noise"])
    patterns = measure(reference, noise, spec.rng("data"), real_dtype(spec.dtype))
    whole, shifts = split_positions(reference.scan_positions_px)
    start_probe = spec.problem.get("start_probe")
    probe = reference.probe if start_probe is None else build("probes", start_probe).make()
    return Problem(
        diffraction_amplitude=_on(backend, patterns),
        scan_positions_px=whole,
        probe=backend.asarray(probe, spec.dtype),
        start_object=backend.asarray(np.ones(reference.object.shape), spec.dtype),
        noise=noise,
        probe_known=start_probe is None,
        subpixel_shifts_px=shifts,
        reference=reference,
    )


def _measured(spec: RunSpec, backend: Backend) -> Problem:
    settings = {key: value for key, value in spec.problem.items() if key != "start_probe"}
    measurement = build("problems", settings).read()
    start_probe = spec.problem.get("start_probe")
    probe = measurement.probe if start_probe is None else build("probes", start_probe).make()
    if probe is None:
        raise DataFileError(
            f"{settings['path']} holds no probe to start from; give one as problem.start_probe, "
            "for example {kind: gaussian, size: "
            f"{measurement.probe_size}, fwhm_px: {measurement.probe_size // 4}}}"
        )
    intensity, mask = measurement.diffraction_intensity, measurement.detector_mask  # 0 at bad pixels
    counts_per_pattern = float(intensity.sum(dtype=np.float64)) / len(intensity)
    # with the unnormalised DFT a pattern of an empty object holds m^2 sum |Q|^2
    scale = np.sqrt(counts_per_pattern / (np.sum(np.abs(probe) ** 2) * measurement.probe_size**2))
    whole, shifts = split_positions(measurement.scan_positions_px)
    return Problem(
        diffraction_amplitude=_on(backend, Patterns(intensity, 1.0, real_dtype(spec.dtype))),
        scan_positions_px=whole,
        probe=backend.asarray(scale * probe, spec.dtype),
        start_object=backend.asarray(np.ones(measurement.object_shape), spec.dtype),
        noise=0.0,
        probe_known=False,
        subpixel_shifts_px=shifts,
        detector_mask=None if mask is None else backend.asarray(mask, real_dtype(spec.dtype)),
    )


def _on(backend: Backend, patterns: Patterns) -> Array | Patterns:
    """The patterns as they are for NumPy, as amplitudes in the device's memory for other libraries."""
    if backend.name == "numpy":
        return patterns
    xp = backend.library
    dtype = getattr(xp, str(patterns.dtype))
    amplitude = xp.empty(patterns.shape, dtype=dtype, **backend.placement)
    for batch in batches(len(patterns), patterns.shape[-1]):
        amplitude[batch] = backend.asarray(patterns[batch])
    return amplitude
