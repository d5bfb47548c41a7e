"""From the settings of a problem to its data on a backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ptychosuite.backends.arrays import Array, Backend, real_dtype
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem, batches
from ptychosuite.core.runs import RunSpec
from ptychosuite.problems.hold_out import fitted_pixels
from ptychosuite.problems.problem_kind import HOLD_OUT, START_PROBE, kind_of
from ptychosuite.problems.starts import with_starts
from ptychosuite.registry.lookup import build


def build_problem(spec: RunSpec, backend: Backend) -> Problem:
    """The problem of ``spec`` on ``backend``, in the precision of ``spec``.

    Raises
    ------
    DataFileError
        A file is unreadable or unsuitable, or there is no probe to start from.
    """
    start_probe, real = spec.problem.get(START_PROBE), real_dtype(spec.dtype)
    start = None if start_probe is None else build("probes", start_probe)
    probe = None if start is None else start.make()
    kind = kind_of(spec.problem)
    made = with_starts(kind.make(spec.rng, real, probe), kind, spec.problem, spec.rng)
    modes = made.probe_modes if start is None else _like(made.probe, probe, start.modes())
    mask, valid = made.detector_mask, made.valid_pixels
    fitted = fitted_pixels(made, spec.problem.get(HOLD_OUT, 0), spec.rng("hold-out"))
    return replace(
        made,
        diffraction_amplitude=_amplitude(made.diffraction_amplitude, backend, real),
        probe=backend.asarray(made.probe, spec.dtype),
        probe_modes=None if modes is None else backend.asarray(modes, spec.dtype),
        start_object=backend.asarray(made.start_object, spec.dtype),
        detector_mask=None if mask is None else backend.asarray(mask, real),
        fitted_pixels=None if fitted is None else backend.asarray(fitted),
        valid_pixels=None if valid is None else backend.asarray(valid),
    )


def _like(scaled: Array, probe: np.ndarray | None, modes: np.ndarray | None) -> np.ndarray | None:
    """The ``modes`` (M, m, m) of a ``probe`` (m, m), as the problem has ``scaled`` it to its counts."""
    if probe is None or modes is None:
        return modes
    return modes * (np.linalg.norm(scaled) / np.linalg.norm(probe))


def _amplitude(patterns: Array | Patterns, backend: Backend, dtype: str) -> Array | Patterns:
    """:func:`on_backend`, of arrays in the precision ``dtype``."""
    if not isinstance(patterns, Patterns):
        return backend.asarray(patterns, dtype)
    return on_backend(patterns, backend)


def on_backend(patterns: Patterns, backend: Backend) -> Float[Array, "N m m"] | Patterns:
    """The patterns as they are for NumPy, as amplitudes in the device's memory for other libraries."""
    if backend.name == "numpy":
        return patterns
    xp = backend.library
    amplitude = xp.empty(patterns.shape, dtype=getattr(xp, str(patterns.dtype)), **backend.placement)
    for batch in batches(len(patterns), patterns.shape[-1]):
        amplitude[batch] = backend.asarray(patterns[batch])
    return amplitude
