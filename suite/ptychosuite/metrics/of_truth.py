"""Metrics that compare images: the object with the truth, in one gauge, and rings of two half scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_erosion
from skimage.metrics import structural_similarity

from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.frc import resolution_px
from ptychosuite.metrics.image import nmse, phase_artefact_rad, phase_factor, phase_rmse_rad
from ptychosuite.metrics.metric import Direction, Metric, Need, Tolerance

SSIM_SIGMA_PX, SSIM_WINDOW_PX = 1.5, 11  # Wang et al. 2004


@dataclass(frozen=True)
class _OfTruth(Metric):
    """What the built-in metrics of this family have in common."""

    better: ClassVar[Direction] = "lower"
    needs: ClassVar[Need] = "truth"
    always: ClassVar[bool] = True
    gauge: ClassVar[Literal["free", "removed"]] = "removed"
    in_show: ClassVar[bool] = False


@dataclass(frozen=True)
class MagnitudeError(_OfTruth):
    """|| |z| - |z*| ||_2 against the truth (MAGPIE, arXiv 2504.10118, section 5).

    Over all pixels, with an unknown probe over the scanned ones.
    """

    name: ClassVar[str] = "error"
    label: ClassVar[str] = "error in magnitude"
    tolerance: ClassVar[Tolerance | None] = Tolerance(floors={"complex64": 1e-5, "complex128": 1e-13})
    tells_beginnings: ClassVar[bool] = True
    in_show: ClassVar[bool] = True

    def value(self, evaluation: Evaluation) -> float:
        return evaluation.error


@dataclass(frozen=True)
class RelativeError(_OfTruth):
    """The error in magnitude over || |z*| ||_2."""

    name: ClassVar[str] = "relative_error"
    label: ClassVar[str] = "relative error in magnitude"
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = False

    def value(self, evaluation: Evaluation) -> float:
        return evaluation.error / evaluation.truth.modulus_norm


@dataclass(frozen=True)
class PhaseRMSE(_OfTruth):
    """Phase error over the scanned area, global phase removed, weighted with |z*|^2."""

    name: ClassVar[str] = "phase_rmse_rad"
    label: ClassVar[str] = "phase RMSE / rad"
    unit: ClassVar[str] = "rad"
    tolerance: ClassVar[Tolerance | None] = Tolerance("images", {"complex64": 1e-5, "complex128": 1e-13})
    change_name: ClassVar[str] = "phase_change_rad"

    def value(self, evaluation: Evaluation) -> float:
        return phase_rmse_rad(evaluation.scanned_object, evaluation.truth.scanned_object)


@dataclass(frozen=True)
class WholePhaseRMSE(PhaseRMSE):
    """The phase error over the whole object, also where no light has been; as some papers count it."""

    name: ClassVar[str] = "whole_phase_rmse_rad"
    label: ClassVar[str] = "phase RMSE, whole object / rad"
    always: ClassVar[bool] = False
    change_name: ClassVar[str] = ""

    def value(self, evaluation: Evaluation) -> float:
        return phase_rmse_rad(evaluation.aligned_object, evaluation.truth.object)


@dataclass(frozen=True)
class PhaseArtefact(PhaseRMSE):
    """Phase error that noise does not make: means over 5 x 5 pixels, the size that one in a hundred exceeds.

    Noise falls five times in such a window; what a reconstruction has made up stays. Over the scanned area,
    in the gauge of the phase error and weighted with |z*|^2 as it is, pixels and windows.
    """

    name: ClassVar[str] = "phase_artefact_rad"
    label: ClassVar[str] = "phase artefacts / rad"
    always: ClassVar[bool] = False
    change_name: ClassVar[str] = "artefact_change_rad"

    def value(self, evaluation: Evaluation) -> float:
        truth = evaluation.truth
        return phase_artefact_rad(evaluation.aligned_object, truth.object, truth.scanned)


@dataclass(frozen=True)
class NMSE(_OfTruth):
    """Squared complex distance to the truth over the scanned area, relative to the truth."""

    name: ClassVar[str] = "nmse"
    label: ClassVar[str] = "squared complex error, relative"
    tolerance: ClassVar[Tolerance | None] = Tolerance("images", {"complex64": 1e-10, "complex128": 1e-15})
    in_summary: ClassVar[bool] = False

    def value(self, evaluation: Evaluation) -> float:
        return nmse(evaluation.scanned_object, evaluation.truth.scanned_object)


@dataclass(frozen=True)
class _PhaseImage(_OfTruth):
    """A comparison of phase images over the scanned area; computed where it is asked for."""

    better: ClassVar[Direction] = "higher"
    always: ClassVar[bool] = False
    tolerance: ClassVar[Tolerance | None] = Tolerance("images")
    in_show: ClassVar[bool] = True


@dataclass(frozen=True)
class PhasePSNR(_PhaseImage):
    """Peak signal-to-noise ratio of the phase image; the peak is the truth's range of phases."""

    name: ClassVar[str] = "psnr_phase"
    label: ClassVar[str] = "PSNR of the phase / dB"
    unit: ClassVar[str] = "dB"

    def value(self, evaluation: Evaluation) -> float:
        found, truth, scanned = phase_images(evaluation)
        mean_square, span = np.mean((found - truth)[scanned] ** 2), np.ptp(truth[scanned])
        if span == 0:
            return float("nan")
        return float(10 * np.log10(span**2 / mean_square)) if mean_square else float("inf")


@dataclass(frozen=True)
class PhaseSSIM(_PhaseImage):
    """Structural similarity of the phase image, with the Gaussian window of its source.

    Z. Wang et al., IEEE Trans. Image Process. 13, 600 (2004). The mean is over the windows that lie within
    the scanned area; NaN where none does.
    """

    name: ClassVar[str] = "ssim_phase"
    label: ClassVar[str] = "SSIM of the phase"

    def value(self, evaluation: Evaluation) -> float:
        found, truth, scanned = phase_images(evaluation)
        span = np.ptp(truth[scanned])
        whole = binary_erosion(scanned, np.ones((SSIM_WINDOW_PX, SSIM_WINDOW_PX)))
        if span == 0 or not whole.any() or not np.isfinite(found).all():
            return float("nan")
        _, similarity = structural_similarity(
            truth, found, data_range=span, gaussian_weights=True, sigma=SSIM_SIGMA_PX,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        return float(np.mean(similarity[whole]))


PhaseImage = Float[np.ndarray, "h w"]


def phase_images(evaluation: Evaluation) -> tuple[PhaseImage, PhaseImage, Bool[np.ndarray, "h w"]]:
    """Phases in radians of the object, in the gauge of the truth, and of the truth, and which are scanned.

    All over the box around the scanned area, and 0 where it is not scanned. The truth's phases are counted
    from the least of them, and cut where they are furthest from their mean: the global phase of a truth is
    arbitrary, and no measure may depend on it. The object's phases are within pi of the truth's, so that no
    difference is one of wrapping alone.
    """
    truth = evaluation.truth
    scanned = truth.scanned[truth.box]
    mean = phase_factor(truth.scanned_object, np.ones_like(truth.scanned_object))
    expected = truth.object[truth.box].astype(np.complex128)
    phase = np.angle(expected * mean)
    phase -= phase[scanned].min()
    ratio = evaluation.aligned_object[truth.box] * expected.conj()
    common = np.vdot(truth.scanned_object, evaluation.scanned_object)
    found = phase + np.angle(ratio * np.conj(common))
    return np.where(scanned, found, 0.0), np.where(scanned, phase, 0.0), scanned


@dataclass(frozen=True)
class FRCCrossing(Metric):
    """Where the ring correlation with the truth falls below the one-bit threshold."""

    name: ClassVar[str] = "frc_crossing"
    label: ClassVar[str] = "FRC crossing / Nyquist"
    unit: ClassVar[str] = "Nyquist"
    better: ClassVar[Direction] = "higher"
    needs: ClassVar[Need] = "truth"
    on_the_way: ClassVar[bool] = False
    always: ClassVar[bool] = True
    gauge: ClassVar[Literal["free", "removed"]] = "removed"
    tolerance: ClassVar[Tolerance | None] = Tolerance("images")
    crossing_of: ClassVar[str] = "frc_area"
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = False
    in_show: ClassVar[bool] = False
    change_name: ClassVar[str] = "frc_change"

    def is_available(self, problem: Problem, half_scans: bool) -> bool:
        """Where half scans are compared, the correlation is theirs."""
        return super().is_available(problem, half_scans) and half_scans is (self.needs == "half scans")

    def value(self, evaluation: Evaluation) -> float:
        return evaluation.resolution.crossing


@dataclass(frozen=True)
class HalfFRCCrossing(FRCCrossing):
    """Where the ring correlation between half scans falls below the half-bit threshold."""

    name: ClassVar[str] = "half_frc_crossing"
    label: ClassVar[str] = "half-scan FRC crossing / Nyquist"
    needs: ClassVar[Need] = "half scans"
    crossing_of: ClassVar[str] = "half_frc_area"
    in_summary: ClassVar[bool] = True
    change_name: ClassVar[str] = "half_frc_change"


@dataclass(frozen=True)
class FRCArea(FRCCrossing):
    """Ring correlation with the truth, in the mean over all rings up to Nyquist: how high the curve lies."""

    name: ClassVar[str] = "frc_area"
    label: ClassVar[str] = "mean FRC"
    unit: ClassVar[str] = ""
    crossing_of: ClassVar[str] = ""
    in_baseline: ClassVar[bool] = True
    change_name: ClassVar[str] = ""

    def value(self, evaluation: Evaluation) -> float:
        return float(np.mean(evaluation.resolution.correlation.correlation))


@dataclass(frozen=True)
class HalfFRCArea(FRCArea):
    """Ring correlation between half scans, in the mean over all rings up to Nyquist."""

    name: ClassVar[str] = "half_frc_area"
    label: ClassVar[str] = "half-scan mean FRC"
    needs: ClassVar[Need] = "half scans"


@dataclass(frozen=True)
class FRCResolution(FRCCrossing):
    """Half-period resolution by ring correlation with the truth, 1 / crossing."""

    name: ClassVar[str] = "frc_resolution_px"
    label: ClassVar[str] = "resolution / px"
    unit: ClassVar[str] = "px"
    better: ClassVar[Direction] = "lower"
    in_baseline: ClassVar[bool] = True
    change_name: ClassVar[str] = ""

    def value(self, evaluation: Evaluation) -> float:
        return resolution_px(evaluation.resolution.crossing)


@dataclass(frozen=True)
class HalfFRCResolution(FRCResolution):
    """Half-period resolution by ring correlation between half scans, 1 / crossing."""

    name: ClassVar[str] = "half_frc_resolution_px"
    label: ClassVar[str] = "half-scan resolution / px"
    crossing_of: ClassVar[str] = "half_frc_area"
    needs: ClassVar[Need] = "half scans"
