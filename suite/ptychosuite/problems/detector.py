"""What a detector makes of the light: background, gain, noise, a limit, and pixels that do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from ptychosuite.problems.problem_kind import ProbeKind
from ptychosuite.registry.validation import SettingError


@dataclass(frozen=True)
class Detector:
    """Faults of the detector. A pixel records gain x (photons + dark) + read noise, in whole counts.

    Parameters
    ----------
    dark
        Mean dark counts a pixel and pattern, in photons; they are as random as the photons are.
    gain
        Recorded counts a photon (null: 1). Solvers know what intensity a recorded count stands for, and take
        recorded counts for photons.
    read_noise
        Rms of the read-out noise in recorded counts. What would be below 0 is recorded as 0.
    saturation
        Largest number that a pixel records (null: no limit).
    mask_saturated
        Mask the pixels that reach the limit in any pattern; otherwise their wrong numbers are data.
    dead_pixels
        Share of the pixels that record nothing, at random places; they are masked.
    gap_px, module_px
        Width of the gaps between the detector's modules, which are masked, and pixels of a module on a side.
        The beam meets the middle of a module.
    """

    dark: Annotated[float, Ge(0)] = 0.0
    gain: Annotated[float, Gt(0)] | None = None
    read_noise: Annotated[float, Ge(0)] = 0.0
    saturation: Annotated[int, Ge(1)] | None = None
    mask_saturated: bool = False
    dead_pixels: Annotated[float, Ge(0), Le(0.9)] = 0.0
    gap_px: Annotated[int, Ge(0)] = 0
    module_px: Annotated[int, Ge(1)] | None = None

    def check(self, probe: ProbeKind) -> None:
        """Refuse settings of which one lacks another, or a module larger than the patterns.

        Raises
        ------
        SettingError
            Its path counts from the group.
        """
        for name, other in (
            ("gap_px", "module_px"),
            ("module_px", "gap_px"),
            ("mask_saturated", "saturation"),
        ):
            if getattr(self, name) and not getattr(self, other):
                raise SettingError((name,), f"'{other}' is missing beside it", partner=(other,))
        if self.module_px and self.module_px > probe.size:
            message = (
                f"found {self.module_px}; a detector of {probe.size} x {probe.size} pixels has no gap then"
            )
            raise SettingError(("module_px",), message, partner=("gap_px",))

    def good_pixels(self, size: int, rng: np.random.Generator) -> np.ndarray | None:
        """True for the pixels (m, m) that record, zero frequency at [0, 0]; None where all do."""
        if not (self.dead_pixels or self.gap_px):
            return None
        good = np.ones((size, size), bool)
        good.flat[rng.choice(size**2, round(self.dead_pixels * size**2), replace=False)] = False
        if self.module_px:
            period = self.module_px + self.gap_px
            in_module = (np.arange(size) - size // 2 + self.module_px // 2) % period < self.module_px
            good &= np.fft.ifftshift(np.logical_and.outer(in_module, in_module))
        return good

    def recorded(self, photons: np.ndarray, whole: bool, rng: np.random.Generator) -> np.ndarray:
        """What is recorded of ``photons`` (n, m, m), the dark ones among them; ``whole`` where these are."""
        values = photons if self.gain is None else self.gain * photons
        if self.read_noise:
            values = np.maximum(values + rng.normal(0, self.read_noise, values.shape), 0)
        if whole and values is not photons:
            values = np.rint(values)
        return values if self.saturation is None else np.minimum(values, self.saturation)
