"""Measured patterns from a file as a problem to reconstruct from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

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

    The probe to start from is the file's, or the study's ``start_probe``.

    Parameters
    ----------
    probe_scale
        What becomes of its power: "counts", scaled so that a pattern of an empty object has the mean counts,
        or "kept", as a calibrated probe has to be that is not updated. By default (null) kept where it comes
        from a run, and scaled otherwise.
    """

    label: ClassVar[str] = "measured"
    left_out: ClassVar[Mapping[str, Any]] = {"probe_scale": None}

    probe_scale: Literal["counts", "kept"] | None = None

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

    def object_guess(self) -> np.ndarray:
        found = self.read().object_guess
        if found is None:
            raise DataFileError(
                f"{self.path} holds no object to start from, or none of the size of its patterns as they are "
                "cut and binned; give one as problem.start_object: {kind: file, ...}"
            )
        return found

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
        scale = 1.0 if self.probe_scale == "kept" else scale
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
