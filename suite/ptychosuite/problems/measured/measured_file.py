"""Measured patterns from a file as a problem to reconstruct from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem, split_positions
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import reading
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.problem_kind import ProblemKind, Rng, Size
from ptychosuite.registry.validation import SettingError


@dataclass(frozen=True)
class MeasuredFile(ReadSettings, ProblemKind):
    """Measured diffraction patterns with their scan positions.

    The probe to start from is the file's, or the study's ``start_probe``; it is scaled to the counts.
    """

    label: ClassVar[str] = "measured"

    def read(self) -> Measurement:
        """The measurement, in the suite's conventions; kept in memory until other files are read.

        Raises
        ------
        DataFileError
            The file is missing, damaged, of another layout, or cannot be reconstructed from.
        """
        return reading.measurement(self)

    def size(self) -> Size:
        """Reads no patterns, or a few where the file names a centre to be confirmed."""
        try:
            return reading.size(self)
        except DataFileError as error:
            raise SettingError(("path",), str(error)) from error

    def make(self, rng: Rng, dtype: str, start_probe: np.ndarray | None) -> Problem:
        measurement = self.read()
        probe = measurement.probe if start_probe is None else start_probe
        if probe is None:
            raise DataFileError(
                f"{self.path} holds no probe to start from; give one as problem.start_probe, "
                "for example {kind: gaussian, size: "
                f"{measurement.probe_size}, fwhm_px: {measurement.probe_size // 4}}}"
            )
        intensity = measurement.diffraction_intensity  # 0 at bad pixels
        counts_per_pattern = float(intensity.sum(dtype=np.float64)) / len(intensity)
        # with the unnormalised DFT a pattern of an empty object holds m^2 sum |Q|^2
        scale = np.sqrt(counts_per_pattern / (np.sum(np.abs(probe) ** 2) * measurement.probe_size**2))
        whole, shifts = split_positions(measurement.scan_positions_px)
        return Problem(
            diffraction_amplitude=Patterns(intensity, 1.0, dtype),
            scan_positions_px=whole,
            probe=scale * probe,
            start_object=np.ones(measurement.object_shape),
            noise=0.0,
            probe_known=False,
            subpixel_shifts_px=shifts,
            detector_mask=measurement.detector_mask,
        )
