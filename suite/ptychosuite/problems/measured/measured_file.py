"""Measured patterns from a file as a problem to reconstruct from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt
from jaxtyping import Bool, Complex, Real

from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem, split_positions
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import reading
from ptychosuite.problems.measured.format import LEFT_OUT, PARTS, ReadSettings
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.problem_kind import ProblemKind, Rng, Size
from ptychosuite.registry.validation import SettingError

LEAST_SEEN = 1e-6  # share of a probe's light that falls on good pixels; less tells nothing of its power


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
    adu_per_photon
        What the file's intensities hold for one photon (or electron): the detector's gain in its own units,
        and what a file was divided by. 1 where it holds counts of photons. The Poisson likelihood needs it.
    """

    label: ClassVar[str] = "measured"
    left_out: ClassVar[Mapping[str, Any]] = {"probe_scale": None, "adu_per_photon": 1.0, **LEFT_OUT}
    in_files: ClassVar[Sequence[str]] = PARTS

    probe_scale: Literal["counts", "kept"] | None = None
    adu_per_photon: Annotated[float, Gt(0)] = 1.0

    __hash__ = ReadSettings.__hash__

    def read(self) -> Measurement:
        """The measurement, in the suite's conventions; kept in memory until other files are read.

        Raises
        ------
        DataFileError
            The file is missing, damaged, of another layout, or cannot be reconstructed from.
        """
        return reading.measurement(self)

    def size(self) -> Size:
        """Reads a few patterns: enough to see that a run of it can mean something.

        Raises
        ------
        SettingError
            It cannot, or the file is unreadable; its path is that of the file.
        """
        try:
            return reading.size(self)
        except DataFileError as error:
            raise SettingError(("path",), str(error)) from error

    @property
    def object_pixel_m(self) -> float | None:
        return self.read().pixel_m

    def object_guess(self) -> Complex[np.ndarray, "H W"]:
        found = self.read().object_guess
        if found is None:
            raise DataFileError(
                f"{self.path} holds no object to start from, or none of the size of its patterns as they are "
                "cut and binned; give one as problem.start_object: {kind: file, ...}"
            )
        return found

    def make(self, rng: Rng, dtype: str, start_probe: Complex[np.ndarray, "m m"] | None) -> Problem:
        reading.size(self)
        measurement = self.read()
        probe, modes = measurement.probe, measurement.probe_modes
        if start_probe is not None:
            probe, modes = start_probe, None
        if probe is None:
            raise DataFileError(
                f"{self.path} holds no probe to start from; give one as problem.start_probe, "
                "for example {kind: gaussian, size: "
                f"{measurement.probe_size}, fwhm_px: {measurement.probe_size // 4}}}"
            )
        intensity = measurement.diffraction_intensity  # 0 at bad pixels
        scale = (
            1.0
            if self.probe_scale == "kept"
            else factor_to_counts(probe, intensity, measurement.detector_mask, measurement.valid_pixels)
        )
        whole, shifts = split_positions(measurement.scan_positions_px)
        return Problem(
            diffraction_amplitude=Patterns(intensity, 1.0, dtype),
            scan_positions_px=whole,
            probe=scale * probe,
            probe_modes=None if modes is None else scale * modes,
            start_object=np.ones(measurement.object_shape),
            noise=float(self.adu_per_photon),
            probe_known=False,
            subpixel_shifts_px=shifts,
            detector_mask=measurement.detector_mask,
            valid_pixels=measurement.valid_pixels,
        )


def factor_to_counts(
    probe: Complex[np.ndarray, "m m"],
    intensity: Real[np.ndarray, "N m m"],
    good: Bool[np.ndarray, "m m"] | None,
    valid: Bool[np.ndarray, "N m m"] | None = None,
) -> float:
    """Factor by which the probe sends the mean counts to the good pixels, through an empty object.

    ``valid`` is False where a pixel is bad in one pattern alone; counts are 0 wherever one is bad.

    Raises
    ------
    DataFileError
        It sends no light there.
    """
    counts = float(intensity.sum(dtype=np.float64)) / len(intensity)
    pattern = np.abs(np.fft.fft2(probe)) ** 2
    share = 1.0 if valid is None else valid.mean(axis=0)  # of the patterns in which a pixel is good
    lit = pattern * share
    seen = float(np.sum(lit if good is None else lit[good]))
    if seen < LEAST_SEEN * pattern.sum():
        raise DataFileError(
            "the probe to start from sends no light to any good pixel of the detector; "
            "check the mask, or give another problem.start_probe"
        )
    return float(np.sqrt(counts / seen))
