"""Simulated truth and its diffraction, in double precision on the host.

Every backend and every precision starts from the same counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt
from jaxtyping import Complex, Real

from ptychosuite.core.problem import Problem, Reference, split_positions
from ptychosuite.errors import UserError
from ptychosuite.problems.coherence import Coherence
from ptychosuite.problems.detector import Detector
from ptychosuite.problems.exposure import Exposure
from ptychosuite.problems.fly_scan import FlyScan
from ptychosuite.problems.position_errors import PositionErrors
from ptychosuite.problems.problem_kind import ProbeKind, ProblemKind, Rng, Size, readable
from ptychosuite.problems.recording import measure
from ptychosuite.problems.scan_layout import ScanLayout, refuse_outside
from ptychosuite.problems.unstable_beam import UnstableBeam
from ptychosuite.registry.lookup import build
from ptychosuite.registry.validation import SettingError


@dataclass(frozen=True)
class Simulated(ProblemKind):
    """The diffraction of a known object, with Poisson noise; the starting object is 1 everywhere.

    Parameters
    ----------
    object, probe, scan
        Their kinds with their settings.
    noise
        eta of d = eta * Poisson(|F psi|^2 / eta); 0 is noiseless.
    photons
        Mean number of photons of a pattern on the detector, instead of ``noise``.
    margin_px
        Pixels of the object that the scan leaves free on all sides, for the true positions to lie in.
    rotation_deg
        Rotation of the scan against the detector, which solvers are told, from the columns' axis towards the
        rows'.
    position_errors, coherence, illumination, fly_scan, detector
        What experiments suffer, each a group of settings; by default none of them does anything.
    """

    label: ClassVar[str] = "simulated"
    parts: ClassVar[Mapping[str, str]] = {"object": "objects", "probe": "probes", "scan": "scans"}
    groups: ClassVar[Mapping[str, type[Any]]] = {
        "position_errors": PositionErrors,
        "coherence": Coherence,
        "illumination": UnstableBeam,
        "fly_scan": FlyScan,
        "detector": Detector,
    }
    instead: ClassVar[Mapping[str, str]] = {"photons": "noise"}
    knows_truth: ClassVar[bool] = True
    knows_probe: ClassVar[bool] = True

    object: Mapping[str, Any] = field(default_factory=lambda: {"kind": "images"})
    probe: Mapping[str, Any] = field(default_factory=lambda: {"kind": "fresnel-zone-plate"})
    scan: Mapping[str, Any] = field(default_factory=lambda: {"kind": "raster"})
    noise: Annotated[float, Ge(0)] | None = 0.05
    photons: Annotated[float, Gt(0)] | None = None
    margin_px: Annotated[int, Ge(0)] = 0
    rotation_deg: float = 0.0
    position_errors: Mapping[str, Any] = field(default_factory=dict)
    coherence: Mapping[str, Any] = field(default_factory=dict)
    illumination: Mapping[str, Any] = field(default_factory=dict)
    fly_scan: Mapping[str, Any] = field(default_factory=dict)
    detector: Mapping[str, Any] = field(default_factory=dict)

    @property
    def truth_has(self) -> frozenset[str]:
        beam, light = UnstableBeam(**self.illumination), Coherence(**self.coherence)
        has = {
            "given_positions_px": any(map(np.any, self.position_errors.values())) or beam.position_rms_px,
            "probe_modes": len(light.powers) > 1 or light.source_fwhm_px,
            "intensity": beam.intensity_rms,
            "probe_variation": beam.variation,
            "variation_weights": beam.variation,
        }
        return frozenset(name for name, value in has.items() if value)

    @property
    def object_pixel_m(self) -> float | None:
        pixel = self.probe.get("pixel_m")
        return None if pixel is None else float(pixel)

    @property
    def counted(self) -> bool:
        return bool(self.noise or self.photons)

    def size(self) -> Size:
        made = readable("object", "objects", self.object)
        with _within("object"):
            shape = made.shape
        kind: ProbeKind = readable("probe", "probes", self.probe)
        probe = kind.size
        if probe > min(shape):
            raise SettingError(
                ("probe", "size"),
                f"the probe has {probe} x {probe} pixels, the object only {shape[0]} x {shape[1]}; "
                "make the object larger or the probe smaller",
                partner=("object", "size"),
            )
        self._check_groups(kind)
        try:
            build("scans", self.scan).positions(shape, probe, np.random.default_rng(0))
        except UserError as error:
            raise SettingError(("scan",), str(error)) from error
        try:
            return Size(shape, probe, self._layout.check(shape, probe))
        except UserError as error:
            raise SettingError(("margin_px",), str(error)) from error

    def light(self) -> tuple[Complex[np.ndarray, "M m m"], Real[np.ndarray, "N 2"]]:
        probe, shape = build("probes", self.probe).make(), build("objects", self.object).shape
        scan = build("scans", self.scan).positions(shape, len(probe), np.random.default_rng(0))
        return Coherence(**self.coherence).modes(probe), scan

    def make(self, rng: Rng, dtype: str, start_probe: Complex[np.ndarray, "m m"] | None) -> Problem:
        truth, exposure, detector = self._truth(rng), self._exposure, Detector(**self.detector)
        noise = exposure.mean_power(truth) / self.photons if self.photons else float(self.noise or 0)
        patterns, mask = measure(truth, exposure, detector, noise, rng, dtype)
        whole, shifts = split_positions(truth.told_positions_px)
        return Problem(
            diffraction_amplitude=patterns,
            scan_positions_px=whole,
            probe=_at_power_of_all(truth) if start_probe is None else start_probe,
            start_object=np.ones(truth.object.shape),
            noise=noise / (detector.gain or 1),
            probe_known=start_probe is None,
            subpixel_shifts_px=shifts,
            detector_mask=mask,
            reference=truth,
            probe_modes=truth.probe_modes if start_probe is None else None,
        )

    def _check_groups(self, probe: ProbeKind) -> None:
        for name in ("coherence", "detector"):
            with _within(name):
                self.groups[name](**getattr(self, name)).check(probe)

    @property
    def _exposure(self) -> Exposure:
        return Exposure(FlyScan(**self.fly_scan), Coherence(**self.coherence))

    @property
    def _layout(self) -> ScanLayout:
        errors, beam = PositionErrors(**self.position_errors), UnstableBeam(**self.illumination)
        reach, motion = errors.reach_px + beam.reach_px, FlyScan(**self.fly_scan).blur_px / 2
        scan = build("scans", self.scan)
        return ScanLayout(scan, self.margin_px, self.rotation_deg, errors, (reach, reach + motion))

    def _truth(self, rng: Rng) -> Reference:
        """Object, probe, positions and illumination of each pattern, as they truly are."""
        obj, probe = build("objects", self.object).make(), build("probes", self.probe).make()
        layout, beam, chance = self._layout, UnstableBeam(**self.illumination), rng("illumination")
        given = layout.given(obj.shape, probe.shape[0], rng("scan"))
        true = layout.true(given, rng("positions"))
        if beam.position_rms_px:
            true = true + beam.moves(len(given), chance)
        refuse_outside(true, obj.shape, probe.shape[0], self.margin_px)
        modes, variation = beam.varied(Coherence(**self.coherence).modes(probe))
        return Reference(
            obj,
            modes[0],
            true,
            probe_modes=modes if len(modes) > 1 else None,
            given_positions_px=None if true is given else given,
            intensity=beam.intensities(len(given), chance) if beam.intensity_rms else None,
            probe_variation=variation,
            variation_weights=None if variation is None else beam.weights(len(given), chance),
        )


@contextmanager
def _within(part: str) -> Iterator[None]:
    """Errors of settings are told as those of ``part`` of the problem."""
    try:
        yield
    except SettingError as error:
        partner = error.partner and (part, *error.partner)
        raise SettingError((part, *error.path), error.message, partner) from error


def _at_power_of_all(truth: Reference) -> np.ndarray:
    """The strongest mode (m, m) at the power of the whole illumination."""
    parts = (truth.probe if truth.probe_modes is None else truth.probe_modes, truth.probe_variation)
    power = sum(np.sum(np.abs(part) ** 2) for part in parts if part is not None)
    return np.asarray(np.sqrt(power / np.sum(np.abs(truth.probe) ** 2)) * truth.probe)
