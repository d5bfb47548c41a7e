"""A problem as a measurement, for other programs: what solvers are told, and nothing of the truth besides."""

from __future__ import annotations

import numpy as np

from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.geometry import object_pixels, override_geometry
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.window import window

LENGTHS = ("wavelength_m", "energy_kev", "accelerating_voltage_kv", "distance_m", "detector_pixel_m")
"""Settings that give a simulation the lengths that it does not have itself."""


def measurement_of(problem: Problem, lengths: ReadSettings) -> Measurement:
    """What solvers are told of ``problem``, made on the host.

    Patterns are counts where the problem has counts, and the probe is scaled to them. Positions are those
    that solvers are told, from the first one on; the object to start from is left out.

    Parameters
    ----------
    lengths
        Wavelength, distance and detector pixel, of which the pixel of the object follows.

    Raises
    ------
    DataFileError
        Two of them say the same.
    """
    intensity, scale = _intensity(problem)
    raw = Raw(None, None, "px", convention="corner")
    override_geometry(raw, lengths)
    m = problem.probe_size
    pixels = object_pixels(raw, window((m, m), None, 1, True, None, "patterns", lengths.path), lengths)
    mask, shifts = problem.detector_mask, problem.subpixel_shifts_px
    positions = problem.scan_positions_px + (0 if shifts is None else shifts)
    modes = problem.probe_modes
    return Measurement(
        diffraction_intensity=intensity,
        scan_positions_px=(positions - positions.min(axis=0)).astype(np.float64),
        probe=np.asarray(problem.probe) / np.sqrt(scale),
        probe_modes=None if modes is None else np.asarray(modes) / np.sqrt(scale),
        detector_mask=None if mask is None else np.asarray(mask) > 0,
        pixel_m=None if pixels is None else pixels[0],
        wavelength_m=raw.wavelength_m,
        distance_m=raw.distance_m,
        detector_pixel_m=None if raw.detector_pixel_m is None else raw.detector_pixel_m[0],
    )


def _intensity(problem: Problem) -> tuple[np.ndarray, float]:
    """Patterns (N, m, m), and the intensity of what is one in them."""
    patterns = problem.diffraction_amplitude
    if isinstance(patterns, Patterns):
        return patterns.values, patterns.scale
    return np.square(np.asarray(patterns), dtype=np.float64), 1.0
