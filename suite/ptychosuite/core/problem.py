"""A ptychographic reconstruction problem and what is known of its answer; the memory that a run takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Int, Real, Shaped

from ptychosuite.backends.arrays import Array, is_on_gpu, namespace
from ptychosuite.core.patterns import Patterns

# Detector pixels that are worked on at once, where a whole scan is passed over
BATCH_PIXELS = 2**16  # 4 patterns of 128 x 128: several arrays of them stay in a core's cache
GPU_BATCH_PIXELS = 2**22  # 256 such patterns: enough to fill a device


def batches(n_positions: int, probe_size: int, like: Shaped[Array, "*_"] | None = None) -> Iterator[slice]:
    """Cut a scan into consecutive batches that are processed at once on the device of ``like``.

    ``probe_size`` is in pixels on a side, of which each pattern has as many.
    """
    pixels = GPU_BATCH_PIXELS if like is not None and is_on_gpu(like) else BATCH_PIXELS
    step = max(1, pixels // probe_size**2)
    for first in range(0, n_positions, step):
        yield slice(first, min(first + step, n_positions))


@dataclass(frozen=True)
class Footprint:
    """What a run holds at its fullest moment, at least."""

    host_bytes: float
    device_bytes: float = 0.0  # 0 on the CPU

    def __add__(self, other: Footprint) -> Footprint:
        """Of both at once; what a process holds before any data counts twice."""
        return Footprint(self.host_bytes + other.host_bytes, self.device_bytes + other.device_bytes)

    def lack(self, host_limit_bytes: float | None, device_limit_bytes: float | None) -> str:
        """Why the run cannot fit, with the numbers; empty where it can. None is no limit."""
        for place, needed, limit in (
            ("memory", self.host_bytes, host_limit_bytes),
            ("device memory", self.device_bytes, device_limit_bytes),
        ):
            if limit is not None and needed > limit:
                return f"needs about {needed / 1e9:.3g} GB of {place}; there are {limit / 1e9:.3g} GB"
        return ""


# Pixels. A scan all of whose positions are as near to whole ones is one of whole pixels: metres in single
# precision leave 6e-8 of the span, 6e-4 px of 10,000; in double 1e-12. No stage, and no fit, knows as much.
WHOLE_PX = 1e-3

# Keeps the logarithm of a count rate finite where the model is dark: counts, or a share of less than a count
RATE_FLOOR = 1e-12


@dataclass(frozen=True)
class Reference:
    """What is known of the truth, on the host: for metrics, figures, training, bounds; never for a solver.

    What a simulation is without (other modes, wrong positions, an unstable beam) is None.
    """

    object: Complex[np.ndarray, "H W"]
    probe: Complex[np.ndarray, "m m"]  # of several modes the strongest, with its own power
    scan_positions_px: Real[np.ndarray, "N 2"]  # whole or fractional, where the probe truly was
    probe_modes: Complex[np.ndarray, "M m m"] | None = None  # mutually incoherent, strongest first
    given_positions_px: Real[np.ndarray, "N 2"] | None = None  # what solvers are told instead
    intensity: Float[np.ndarray, " N"] | None = None  # of each pattern's illumination, relative, mean 1
    probe_variation: Complex[np.ndarray, "J m m"] | None = None  # what the first mode has more or less of
    variation_weights: Float[np.ndarray, "N J"] | None = None  # and how much, pattern by pattern

    @property
    def told_positions_px(self) -> Real[np.ndarray, "N 2"]:
        """What solvers are told of the positions."""
        return self.scan_positions_px if self.given_positions_px is None else self.given_positions_px

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """What there is, by name, in its shape and the type in which it is stored."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: array.astype(np.float64 if name in REAL else np.complex64)
            for name, array in found.items()
            if array is not None
        }

    @cached_property
    def name(self) -> str:
        """Hash of the content, as it is stored: equal truths have one name."""
        content = hashlib.sha256()
        for name, array in self.arrays.items():
            extra = "" if name in REQUIRED else name  # names of truths without them stay
            content.update(f"{extra}{array.shape}".encode() + array.tobytes())
        return content.hexdigest()[:16]


REAL = ("scan_positions_px", "given_positions_px", "intensity", "variation_weights")
REQUIRED = tuple(field.name for field in fields(Reference) if field.default is MISSING)
"""What every truth has."""


@dataclass(frozen=True)
class ProbeVariation:
    """How the probe differs from pattern to pattern (M. Odstrcil et al., Opt. Express 24, 8360 (2016)).

    The first mode of pattern k is sqrt(intensity_k) * (probe + sum_j weights_kj * modes_j); other modes take
    the factor alone.
    """

    intensity: Float[np.ndarray, " N"]  # relative, of each pattern's light; on the host
    modes: Complex[Array, "J m m"] | None = None
    weights: Float[np.ndarray, "N J"] | None = None  # on the host

    def part(self, which: slice | Int[np.ndarray, " n"]) -> ProbeVariation:
        """Of some of the patterns."""
        weights = self.weights
        return replace(
            self, intensity=self.intensity[which], weights=None if weights is None else weights[which]
        )


@dataclass(frozen=True)
class Problem:
    """Diffraction data and a starting point, on one backend in one precision.

    Where light is partially coherent a probe has several mutually incoherent modes, strongest first; then it
    is (M, m, m), and so is whatever has one image a mode.
    """

    diffraction_amplitude: Float[Array, "N m m"] | Patterns  # sqrt(intensity); zero frequency at [0, 0]
    scan_positions_px: Int[np.ndarray, "N 2"]  # on the host: (row, column) of each patch's first corner
    probe: Complex[Array, "*M m m"]  # true, or to start from; the strongest mode at the power of all
    start_object: Complex[Array, "H W"]
    noise: float  # eta of d = eta * Poisson(|F psi|^2 / eta), intensity of a photon; 0 means noiseless
    probe_known: bool = True
    subpixel_shifts_px: Float[np.ndarray, "N 2"] | None = None  # what whole pixels leave over; None: nothing
    detector_mask: Float[Array, "m m"] | None = None  # 1 for good pixels, 0 for bad ones
    reference: Reference | None = None
    probe_modes: Complex[Array, "M m m"] | None = None  # all that is known of them; ``probe`` is the first
    variation: ProbeVariation | None = None  # None: every pattern has the same probe
    fitted_pixels: Bool[Array, "N m m"] | None = None  # False where a pixel is held out of the fit
    valid_pixels: Bool[Array, "N m m"] | None = None  # False where a pixel is bad in one pattern alone

    @property
    def n_positions(self) -> int:
        return len(self.scan_positions_px)

    @property
    def positions_px(self) -> Float[np.ndarray, "N 2"]:
        """Positions with their fractions."""
        if self.subpixel_shifts_px is None:
            return self.scan_positions_px.astype(np.float64)
        return self.scan_positions_px + self.subpixel_shifts_px

    @property
    def positions_are_true(self) -> bool:
        """Whether these positions are the true ones; as far as is known, where no truth is."""
        if self.reference is None:
            return True
        return bool(np.abs(self.positions_px - self.reference.scan_positions_px).max() <= WHOLE_PX)

    @property
    def probe_size(self) -> int:
        return int(self.probe.shape[-1])

    def has_modes(self, n_modes: int) -> bool:
        """Whether there are so many modes to begin from; the probe is one."""
        return n_modes == 1 or (self.probe_modes is not None and len(self.probe_modes) >= n_modes)

    @property
    def fitted_count(self) -> int:
        """Detector pixels of all patterns that are neither masked nor held out of the fit."""
        mask, chosen = self.detector_mask, self._chosen(slice(None))
        if chosen is not None:
            return int((chosen if mask is None else chosen & (mask > 0)).sum())
        return self.n_positions * (self.probe_size**2 if mask is None else int(mask.sum()))

    @property
    def mask_varies(self) -> bool:
        """Whether patterns differ in the detector pixels that are fitted."""
        return self.fitted_pixels is not None or self.valid_pixels is not None

    @property
    def common_mask(self) -> Float[Array, "m m"] | None:
        """1 for the detector pixels that are good in all patterns, for who can have one mask only."""
        return self.detector_mask if self.valid_pixels is None else self._real(self.valid_pixels.all(0))

    def mask(self, which: int | slice | Int[np.ndarray, " n"]) -> Float[Array, "*#n m m"] | None:
        """1 for the detector pixels of some patterns that are fitted, 0 for bad and held out ones.

        None where all are fitted; one image where it is the same for all patterns.
        """
        chosen = self._chosen(which)
        return self.detector_mask if chosen is None else self._real(chosen)

    def held_out(self, which: int | slice | Int[np.ndarray, " n"]) -> Float[Array, "*n m m"] | None:
        """1 for good detector pixels of some patterns that are held out of the fit; None where none is."""
        if self.fitted_pixels is None:
            return None
        unseen = ~self.fitted_pixels[which]
        return self._real(unseen if self.valid_pixels is None else unseen & self.valid_pixels[which])

    def _chosen(self, which: int | slice | Int[np.ndarray, " n"]) -> Bool[Array, "*n m m"] | None:
        """Where pixels of some patterns are fitted, but for those that are bad in all; None: everywhere."""
        chosen = [pixels[which] for pixels in (self.fitted_pixels, self.valid_pixels) if pixels is not None]
        return None if not chosen else chosen[0] if len(chosen) == 1 else chosen[0] & chosen[1]

    def _real(self, which: Bool[Array, "*n m m"]) -> Float[Array, "*n m m"]:
        """1 where ``which`` and the pixel is good."""
        chosen = namespace(self.probe).astype(which, self.probe.real.dtype)
        return chosen if self.detector_mask is None else chosen * self.detector_mask

    @property
    def photon_scale(self) -> float:
        """Intensity of one count: eta, or 1 where the data are noiseless."""
        return self.noise or 1.0

    def part(self, which: slice | Int[np.ndarray, " n"]) -> Problem:
        """The same problem with some of its scan positions, a slice or their numbers."""
        shifts, patterns = self.subpixel_shifts_px, self.diffraction_amplitude
        fitted, valid = self.fitted_pixels, self.valid_pixels
        return replace(
            self,
            diffraction_amplitude=patterns.part(which) if isinstance(patterns, Patterns) else patterns[which],
            scan_positions_px=self.scan_positions_px[which],
            subpixel_shifts_px=None if shifts is None else shifts[which],
            variation=None if self.variation is None else self.variation.part(which),
            fitted_pixels=None if fitted is None else fitted[which],
            valid_pixels=None if valid is None else valid[which],
        )

    def at(self, positions_px: Float[np.ndarray, "N 2"]) -> Problem:
        """The same problem with its patterns elsewhere, also between pixels; patches stay in the object."""
        last = np.asarray(self.start_object.shape) - self.probe_size
        whole = np.clip(np.rint(positions_px), 0, last).astype(np.int64)
        return replace(self, scan_positions_px=whole, subpixel_shifts_px=positions_px - whole)


@dataclass(frozen=True)
class Found:
    """Where the patterns lie and how the probe varies, as far as a solver has found it; None: as is given.

    A state that has any has it as ``found``.
    """

    positions_px: Float[np.ndarray, "N 2"] | None = None  # on the host
    variation: ProbeVariation | None = None

    @classmethod
    def by(cls, state: Any) -> Found:
        """What the solver of ``state`` has found."""
        return getattr(state, "found", None) or cls()

    def applied_to(self, problem: Problem) -> Problem:
        """``problem`` as the solver sees it."""
        if self.positions_px is not None:
            problem = problem.at(self.positions_px)
        return problem if self.variation is None else replace(problem, variation=self.variation)


def split_positions(
    positions_px: Real[np.ndarray, "N 2"],
) -> tuple[Int[np.ndarray, "N 2"], Float[np.ndarray, "N 2"] | None]:
    """Positions as nearest whole pixels and what is left over.

    None where nothing is, at no position, but what the arithmetic of units leaves (:data:`WHOLE_PX`): whole
    pixels need no shift of the probe, which takes three times as long. Other fractions stay as they are.
    """
    whole = np.rint(positions_px).astype(np.int64)
    fraction = positions_px - whole
    return whole, fraction if np.any(np.abs(fraction) > WHOLE_PX) else None
