"""Simulated probes. Each class makes a complex field of shape (size, size), centred in its window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Complex

from ptychosuite.errors import DataFileError
from ptychosuite.problems.problem_kind import MAX_SIZE, ProbeKind

POWER = 300.0  # sum |Q|^2 of the papers' probe, in the units of the diffraction intensity


@dataclass(frozen=True)
class FresnelZonePlate(ProbeKind):
    """The field of a zone plate with a central beam stop, some way off its focus.

    An annular pupil with the lens's phase is carried to the sample by one Fresnel transform
    (J. Goodman, *Introduction to Fourier Optics*, eq. 4-17). The focal length is
    2 * outer_radius_m * outermost_zone_m / wavelength_m.

    Parameters
    ----------
    size
        Pixels on a side.
    pixel_m
        Pixel size at the sample in metres. The field is computed on a grid four times finer.
    wavelength_m, outer_radius_m, outermost_zone_m, beam_stop_diameter_m
        Wavelength and geometry of the lens in metres.
    defocus_m
        Distance of the sample behind the focus in metres.
    power
        Total power, sum |Q|^2.
    """

    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 128
    pixel_m: Annotated[float, Gt(0)] = 40e-9
    wavelength_m: Annotated[float, Gt(0)] = 1e-10
    outer_radius_m: Annotated[float, Gt(0)] = 90e-6
    outermost_zone_m: Annotated[float, Gt(0)] = 50e-9
    beam_stop_diameter_m: Annotated[float, Ge(0)] = 60e-6
    defocus_m: float = -0.7e-3
    power: Annotated[float, Gt(0)] = POWER

    def make(self) -> Complex[np.ndarray, "m m"]:
        fine = 4
        n, pixel = fine * self.size, self.pixel_m / fine
        focal_length = 2 * self.outer_radius_m * self.outermost_zone_m / self.wavelength_m
        distance = focal_length + self.defocus_m
        pupil_pixel = self.wavelength_m * distance / (n * pixel)
        pupil_radius = _radius(n) * pupil_pixel
        annulus = (pupil_radius <= self.outer_radius_m) & (pupil_radius >= self.beam_stop_diameter_m / 2)
        curvature = np.pi / self.wavelength_m * (1 / distance - 1 / focal_length)
        pupil = annulus * np.exp(1j * curvature * pupil_radius**2)
        field = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(pupil)))
        field *= np.exp(1j * np.pi / (self.wavelength_m * distance) * (_radius(n) * pixel) ** 2)
        first = n // 2 - fine * (self.size // 2)  # the pixel in the middle stays there
        return _scaled(field[first::fine, first::fine], self.power)


@dataclass(frozen=True)
class Gaussian(ProbeKind):
    """A Gaussian beam at its waist or, with ``curvature``, off it.

    Parameters
    ----------
    size
        Pixels on a side.
    fwhm_px
        Full width at half maximum of the intensity in pixels.
    curvature
        Phase in radians at the radius of half the full width at half maximum.
    power
        Total power, sum |Q|^2.
    """

    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 128
    fwhm_px: Annotated[float, Gt(0)] = 32.0
    curvature: float = 0.0
    power: Annotated[float, Gt(0)] = POWER

    def make(self) -> Complex[np.ndarray, "m m"]:
        r2 = (_radius(self.size) / (self.fwhm_px / 2)) ** 2
        return _scaled(np.exp(-np.log(2) / 2 * r2 + 1j * self.curvature * r2), self.power)


@dataclass(frozen=True)
class Disk(ProbeKind):
    """A flat disk with a soft edge of one pixel.

    Parameters
    ----------
    size
        Pixels on a side.
    diameter_px
        Diameter in pixels.
    power
        Total power, sum |Q|^2.
    """

    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 128
    diameter_px: Annotated[float, Gt(0)] = 64.0
    power: Annotated[float, Gt(0)] = POWER

    def make(self) -> Complex[np.ndarray, "m m"]:
        edge = np.clip(self.diameter_px / 2 - _radius(self.size) + 0.5, 0, 1)
        return _scaled(edge.astype(np.complex128), self.power)


@dataclass(frozen=True)
class Lens(ProbeKind):
    """A beam focused through an evenly lit aperture, with aberrations: an electron probe, or crossed mirrors.

    At the distance r from the centre of the aperture, rho = r / aperture_px, and the angle phi, the pupil's
    phase is -chi with (E. Kirkland, *Advanced Computing in Electron Microscopy*, the aberration function)::

        chi = defocus_rad rho^2 + astigmatism_rad rho^2 cos 2 (phi - astigmatism_angle_rad)
              + coma_rad rho^3 cos(phi - coma_angle_rad) + spherical_rad rho^4

    Parameters
    ----------
    size
        Pixels on a side.
    aperture_px
        Radius of the aperture in pixels of the detector, to the corners where it has any. Its edge is soft
        over one pixel.
    corners
        Those of a polygon with equal sides, 4 for slits or crossed mirrors; None for a round aperture.
    rotation_rad
        Direction of the first corner, from the columns' axis towards the rows'.
    stop_share
        Radius of a round central stop, as a share of ``aperture_px``.
    defocus_rad, astigmatism_rad, coma_rad, spherical_rad
        Aberrations in radians at rho = 1.
    astigmatism_angle_rad, coma_angle_rad
        Their directions, from the columns' axis towards the rows'.
    power
        Total power, sum |Q|^2.
    """

    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 128
    aperture_px: Annotated[float, Gt(0)] = 24.0
    corners: Annotated[int, Ge(3)] | None = None
    rotation_rad: float = 0.0
    stop_share: Annotated[float, Ge(0), Lt(1)] = 0.0
    defocus_rad: float = 10.0
    astigmatism_rad: float = 0.0
    astigmatism_angle_rad: float = 0.0
    coma_rad: float = 0.0
    coma_angle_rad: float = 0.0
    spherical_rad: float = 0.0
    power: Annotated[float, Gt(0)] = POWER

    def make(self) -> Complex[np.ndarray, "m m"]:
        r, phi = _radius(self.size), _angle(self.size)
        rho = r / self.aperture_px
        chi = rho**2 * (
            self.defocus_rad + self.astigmatism_rad * np.cos(2 * (phi - self.astigmatism_angle_rad))
        )
        chi += self.coma_rad * rho**3 * np.cos(phi - self.coma_angle_rad) + self.spherical_rad * rho**4
        stop = np.clip(r - self.stop_share * self.aperture_px + 0.5, 0, 1) if self.stop_share else 1.0
        pupil = self._aperture(r, phi) * stop * np.exp(-1j * chi)
        return _scaled(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(pupil))), self.power)

    def _aperture(self, r: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """1 inside, 0 outside, judged by the distance across the nearest edge."""
        if self.corners is None:
            return np.clip(self.aperture_px - r + 0.5, 0, 1)
        half = np.pi / self.corners
        across = r * np.cos((phi - self.rotation_rad) % (2 * half) - half)
        return np.clip(self.aperture_px * np.cos(half) - across + 0.5, 0, 1)


def _radius(n: int) -> np.ndarray:
    """Distance in pixels from the centre pixel [n // 2, n // 2]: (n, n)."""
    axis = np.arange(n) - n // 2
    return np.hypot(axis[:, None], axis[None, :])


def _angle(n: int) -> np.ndarray:
    """Angle in radians about the centre pixel, from the columns' axis towards the rows': (n, n)."""
    axis = np.arange(n) - n // 2
    return np.arctan2(axis[:, None], axis[None, :])


def _scaled(field: np.ndarray, power: float) -> np.ndarray:
    if not np.any(field):
        raise DataFileError("no light passes: the probe is zero everywhere; check the sizes of lens and stop")
    return field * np.sqrt(power / np.sum(np.abs(field) ** 2))
