"""Simulated truth and its diffraction, in double precision on the host.

Every backend and every precision starts from the same counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from ptychosuite.core.patterns import Patterns, Recorder, narrowest
from ptychosuite.core.problem import Problem, Reference, split_positions
from ptychosuite.errors import UserError
from ptychosuite.physics.forward import batches, diffraction_intensity
from ptychosuite.physics.shift import shift_phases
from ptychosuite.problems.problem_kind import ProblemKind, Rng, Size, readable
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
    """

    label: ClassVar[str] = "simulated"
    parts: ClassVar[Mapping[str, str]] = {"object": "objects", "probe": "probes", "scan": "scans"}
    knows_truth: ClassVar[bool] = True
    knows_probe: ClassVar[bool] = True

    object: Mapping[str, Any] = field(default_factory=lambda: {"kind": "images"})
    probe: Mapping[str, Any] = field(default_factory=lambda: {"kind": "fresnel-zone-plate"})
    scan: Mapping[str, Any] = field(default_factory=lambda: {"kind": "raster"})
    noise: Annotated[float, Ge(0)] = 0.05

    @property
    def counted(self) -> bool:
        return self.noise > 0

    def size(self) -> Size:
        shape = readable("object", "objects", self.object).shape
        probe = readable("probe", "probes", self.probe).size
        if probe > min(shape):
            raise SettingError(
                ("probe", "size"),
                f"the probe has {probe} x {probe} pixels, the object only {shape[0]} x {shape[1]}; "
                "make the object larger or the probe smaller",
                partner=("object", "size"),
            )
        try:
            positions = build("scans", self.scan).positions(shape, probe, np.random.default_rng(0))
        except UserError as error:
            raise SettingError(("scan",), str(error)) from error
        return Size(shape, probe, len(positions))

    def make(self, rng: Rng, dtype: str, start_probe: np.ndarray | None) -> Problem:
        obj, probe = build("objects", self.object).make(), build("probes", self.probe).make()
        positions = build("scans", self.scan).positions(obj.shape, probe.shape[0], rng("scan"))
        reference, noise = Reference(obj, probe, positions), float(self.noise)
        whole, shifts = split_positions(positions)
        return Problem(
            diffraction_amplitude=measure(reference, noise, rng("data"), dtype),
            scan_positions_px=whole,
            probe=probe if start_probe is None else start_probe,
            start_object=np.ones(obj.shape),
            noise=noise,
            probe_known=start_probe is None,
            subpixel_shifts_px=shifts,
            reference=reference,
        )


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
