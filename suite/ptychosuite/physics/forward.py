"""Forward model: exit waves and the diffraction they give.

Symbols (MAGPIE, arXiv 2504.10118, section 2.1)::

    psi_k = Q * z_k            exit wave, probe Q on object patch z_k
    |F psi_k|^2                diffraction intensity, F the unnormalised DFT

Positions between pixels: the patch is cut at the nearest pixel, and the probe is shifted by the rest.

Partially coherent light (P. Thibault, A. Menzel, Nature 494, 68 (2013)): the probe is (M, m, m), its modes do
not interfere, and the detector sees sum_i |F(Q_i * z_k)|^2. Exit waves are then (n, M, m, m), and patches
(n, 1, m, m).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import array_api_compat
import numpy as np
from jaxtyping import Complex, Float, Inexact, Int

from ptychosuite.backends.arrays import (
    Array,
    asarray_like,
    copy,
    fft2,
    ifft2,
    namespace,
    squared_modulus,
)
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import ProbeVariation, Problem
from ptychosuite.physics.laid_probe import laid_probe
from ptychosuite.physics.shift import fourier_shift, fourier_unshift, shift_phases

MODES = 3  # axes of a probe that has several modes

Positions = Int[np.ndarray, "n 2"]
"""(row, column) of each patch's first corner, on the host."""

NOT_ON_THE_HOST: Positions = np.empty((0, 2), dtype=int)
"""Stands for positions that only the device knows."""


def extract_patches(
    obj: Inexact[Array, "H W"], scan_positions_px: Positions, size: int
) -> Inexact[Array, "n {size} {size}"]:
    """The patches of ``obj`` at ``scan_positions_px``, ``size`` pixels on a side."""
    xp = namespace(obj)
    return xp.stack([obj[r : r + size, c : c + size] for r, c in scan_positions_px.tolist()])


def add_patches(
    obj: Inexact[Array, "H W"], patches: Inexact[Array, "n m m"], scan_positions_px: Positions
) -> Inexact[Array, "H W"]:
    """``obj`` with every patch added at its position; with a zero ``obj``, the adjoint of extraction."""
    return accumulate_patches(copy(obj), patches, scan_positions_px)


def accumulate_patches(
    total: Inexact[Array, "H W"], patches: Inexact[Array, "n m m"], scan_positions_px: Positions
) -> Inexact[Array, "H W"]:
    """Add every patch to ``total``, which the caller owns; it is returned."""
    size = patches.shape[-1]
    for patch, (r, c) in zip(patches, scan_positions_px.tolist(), strict=True):
        total[r : r + size, c : c + size] += patch
    return total


def window(
    obj: Inexact[Array, "H W *d"], scan_positions_px: Positions, size: int
) -> tuple[Inexact[Array, "h w *d"], Positions]:
    """The smallest part of ``obj`` that holds the patches, as a view, and the positions within it."""
    first, end = scan_positions_px.min(axis=0), scan_positions_px.max(axis=0) + size
    return obj[int(first[0]) : int(end[0]), int(first[1]) : int(end[1])], scan_positions_px - first


def detector_waves(
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "m m"],
    scan_positions_px: Positions,
    phases: Complex[Array, "n m m"] | None = None,
) -> Complex[Array, "n m m"]:
    """F psi_k for each position. ``phases`` as from :func:`subpixel_phases`."""
    return fft2(local_probes(probe, phases) * extract_patches(obj, scan_positions_px, probe.shape[-1]))


def add_at(
    total: Complex[Array, "*D"], where: tuple[Int[Array, "*_"], ...], values: Complex[Array, "*_"]
) -> Complex[Array, "*D"]:
    """Add ``values`` to ``total``, which the caller owns, at indices that may come more than once.

    ``where`` has an array of numbers an axis of ``total``; they broadcast to the shape of ``values``.
    """
    if array_api_compat.is_torch_array(total):
        return total.index_put_(where, values, accumulate=True)
    if isinstance(total, np.ndarray):
        np.add.at(total, where, values)
        return total
    add = namespace(total).add
    add.at(total.real, where, values.real)
    add.at(total.imag, where, values.imag)
    return total


@dataclass(frozen=True)
class Illumination:
    """Probe and object as they meet at some positions of a problem; with modes, patches are (n, 1, m, m)."""

    positions: Int[np.ndarray, "_ 2"]  # as many as patches, or NOT_ON_THE_HOST
    make_phases: Callable[[], Complex[Array, "n *#M m m"] | None]  # called again it gives the same array
    probes: Complex[Array, "#n *M m m"]  # one where all are the same
    patches: Complex[Array, "n *#M m m"]
    intensity: Float[Array, "n *#M 1 1"] | None = None  # what each pattern has of the probe's; None: the same
    variation: Complex[Array, "n *M m m"] | None = None  # and what it has beside the common probe, unshifted

    @property
    def phases(self) -> Complex[Array, "n *#M m m"] | None:
        """As from :func:`subpixel_phases`; made where somebody asks, as not all do who have probes."""
        return self.make_phases()

    @property
    def exit_waves(self) -> Complex[Array, "n *M m m"]:
        """psi_k."""
        return self.probes * self.patches

    @property
    def has_modes(self) -> bool:
        return self.probes.ndim == MODES + 1

    def laid(self, probe: Complex[Array, "*M m m"]) -> Complex[Array, "#n *M m m"]:
        """``probe`` as it lies on the patches, shifted and with each pattern's factor; linear."""
        local = local_probes(probe, self.phases)
        return local if self.intensity is None else local * namespace(local).sqrt(self.intensity)

    def laid_adjoint(self, images: Complex[Array, "n *M m m"]) -> Complex[Array, "*M m m"]:
        """The adjoint of :meth:`laid`, of an image a patch."""
        if self.intensity is not None:
            images = images * namespace(images).sqrt(self.intensity)
        if self.phases is None:
            return namespace(images).sum(images, axis=0)
        return ifft2(
            sum_of_products(self.phases, fft2(images))
        )  # the transform of a sum is that of its terms

    def laid_adjoint_of_product(self, images: Complex[Array, "n *M m m"]) -> Complex[Array, "*M m m"]:
        """The adjoint of :meth:`laid`, of conj(z_k) times an image a patch."""
        if self.phases is None and self.intensity is None:
            return sum_of_products(self.patches, images)
        return self.laid_adjoint(namespace(images).conj(self.patches) * images)

    def own_probes(self, probes: Complex[Array, "n *M m m"]) -> Complex[Array, "n *M m m"]:
        """The common probe that each pattern's is made of: shift, factor and variation undone."""
        own = own_probes(probes, self.phases)
        if self.intensity is not None:
            own = own / namespace(own).sqrt(self.intensity)
        return own if self.variation is None else own - self.variation


@accelerated
def sum_of_products(
    z: Complex[Array, "n *#M m m"], images: Complex[Array, "n *M m m"]
) -> Complex[Array, "*M m m"]:
    """sum_k conj(z_k) * images_k."""
    xp = namespace(images)
    return xp.sum(xp.conj(z) * images, axis=0)


@accelerated
def sum_of_intensities(z: Complex[Array, "n *M m m"]) -> Float[Array, "*M m m"]:
    """sum_k |z_k|^2."""
    return namespace(z).sum(squared_modulus(z), axis=0)


def illuminate(
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    batch: slice | Int[np.ndarray, " n"],
) -> Illumination:
    """``probe`` on ``obj`` at the positions ``batch`` of ``problem``."""
    positions = problem.scan_positions_px[batch]
    patches = extract_patches(obj, positions, problem.probe_size)
    if probe.ndim == MODES:
        patches = patches[:, None]

    @cache
    def phases() -> Complex[Array, "n *#M m m"] | None:
        found = subpixel_phases(problem, batch)
        return found if found is None or probe.ndim < MODES else found[:, None]

    if problem.variation is None:
        laid = laid_probe(problem, probe)
        probes = local_probes(probe, phases()) if laid is None else laid[batch]
        return Illumination(positions, phases, probes, patches)
    intensity, variation = _variation(problem.variation, probe, batch)
    probes = namespace(probe).sqrt(intensity) * (probe if variation is None else probe + variation)
    shift = phases()
    probes = probes if shift is None else fourier_shift(probes, shift)
    return Illumination(positions, phases, probes, patches, intensity, variation)


def _variation(
    variation: ProbeVariation, probe: Complex[Array, "*M m m"], batch: slice | Int[np.ndarray, " n"]
) -> tuple[Float[Array, "n *#M 1 1"], Complex[Array, "n *M m m"] | None]:
    """Factors of intensity, and what each pattern has beside ``probe``: of several modes beside the first."""
    xp = namespace(probe)
    factors = asarray_like(variation.intensity[batch], probe.real)
    intensity = xp.reshape(factors, (-1, *[1] * probe.ndim))
    if variation.modes is None or variation.weights is None:
        return intensity, None
    weights = asarray_like(variation.weights[batch], probe.real)
    own = xp.sum(weights[:, :, None, None] * variation.modes, axis=1)
    if probe.ndim < MODES:
        return intensity, own
    others = xp.zeros_like(xp.broadcast_to(probe[1:], (len(own), *probe[1:].shape)))
    return intensity, xp.concat([own[:, None], others], axis=1)


def subpixel_phases(problem: Problem, batch: slice | Int[np.ndarray, " n"]) -> Complex[Array, "n m m"] | None:
    """Fourier multipliers of the probe's shifts; None where positions are whole pixels."""
    if problem.subpixel_shifts_px is None:
        return None
    return shift_phases(problem.probe_size, problem.subpixel_shifts_px[batch], problem.probe)


def local_probes(
    probe: Complex[Array, "*M m m"], phases: Complex[Array, "n *#M m m"] | None
) -> Complex[Array, "#n *M m m"]:
    """The probe as it lies on each patch; one where all are the same."""
    return probe[None] if phases is None else fourier_shift(probe, phases)


def own_probes(
    probes: Complex[Array, "n *M m m"], phases: Complex[Array, "n *#M m m"] | None
) -> Complex[Array, "n *M m m"]:
    """Back from :func:`local_probes`, and its adjoint image by image."""
    return probes if phases is None else fourier_unshift(probes, phases)


def first_mode(probe: Complex[Array, "*M m m"]) -> Complex[Array, "m m"]:
    """The strongest mode, or the probe itself."""
    return probe[0] if probe.ndim == MODES else probe


def total_amplitude(probes: Complex[Array, "n M m m"]) -> Complex[Array, "n 1 m m"]:
    """sqrt(sum_i |Q_i|^2) of several modes: what depends on their intensity alone takes it for a probe."""
    xp = namespace(probes)
    return xp.astype(xp.sqrt(intensity_of(probes)), probes.dtype)[:, None]


def intensity_of(waves: Complex[Array, "n *M m m"]) -> Float[Array, "n m m"]:
    """|F psi_k|^2, summed over modes where there are several."""
    squares = squared_modulus(waves)
    return namespace(waves).sum(squares, axis=1) if waves.ndim > MODES else squares


def diffraction_intensity(
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "m m"],
    scan_positions_px: Positions,
    phases: Complex[Array, "n m m"] | None = None,
) -> Float[Array, "n m m"]:
    """Noiseless intensities |F psi_k|^2."""
    return squared_modulus(detector_waves(obj, probe, scan_positions_px, phases))
