"""From the truth to the light on the detector: modes, an unstable beam, motion, and the point spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from scipy.fft import fft2

from ptychosuite.backends.arrays import squared_modulus
from ptychosuite.core.problem import Reference, batches, split_positions
from ptychosuite.physics.forward import diffraction_intensity, extract_patches
from ptychosuite.physics.shift import fourier_shift, shift_phases
from ptychosuite.problems.coherence import Coherence
from ptychosuite.problems.fly_scan import FlyScan


@dataclass(frozen=True)
class Exposure:
    """How the light of one pattern comes together.

    A coherent probe that is the same for all patterns, at rest, costs one transform a pattern; n modes at m
    places on a fly scan cost n m.
    """

    fly_scan: FlyScan = field(default_factory=FlyScan)
    coherence: Coherence = field(default_factory=Coherence)

    def intensities(self, truth: Reference) -> Iterator[np.ndarray]:
        """Expected intensity (n, m, m) of the patterns, batch by batch, zero frequency at [0, 0]."""
        positions, size = truth.scan_positions_px, truth.probe.shape[-1]
        offsets = self.fly_scan.offsets_px()
        for batch in batches(len(positions), size):
            light = reduce(np.add, (_light(truth, positions[batch] + offset, batch) for offset in offsets))
            light /= len(offsets)
            if truth.intensity is not None:
                light = truth.intensity[batch, None, None] * light
            yield self.coherence.blurred(light)

    def mean_power(self, truth: Reference) -> float:
        """Expected intensity of a pattern, summed over the detector, in the mean over the patterns."""
        power = sum(float(light.sum()) for light in self.intensities(truth))
        return power / len(truth.scan_positions_px)


def _light(truth: Reference, positions: np.ndarray, batch: slice) -> np.ndarray:
    """Intensity (n, m, m) of all modes at fixed positions (n, 2)."""
    whole, shifts = split_positions(positions)
    size = truth.probe.shape[-1]
    phases = None if shifts is None else shift_phases(size, shifts, truth.probe)
    if truth.probe_modes is None and truth.probe_variation is None:
        return diffraction_intensity(truth.object, truth.probe, whole, phases)
    patches = extract_patches(truth.object, whole, size)
    total = np.zeros(patches.shape)
    for probes in _probes(truth, batch):
        local = probes if phases is None else fourier_shift(probes, phases)
        total += squared_modulus(fft2(local * patches))
    return total


def _probes(truth: Reference, batch: slice) -> Iterator[np.ndarray]:
    """Each mode as it is in the patterns of a batch: (n, m, m), or (1, m, m) where it is the same in all."""
    first, *others = truth.probe[None] if truth.probe_modes is None else truth.probe_modes
    if truth.probe_variation is None or truth.variation_weights is None:
        yield first[None]
    else:
        yield first + np.tensordot(truth.variation_weights[batch], truth.probe_variation, axes=1)
    for mode in others:
        yield mode[None]
