"""From the light on the detector to the patterns that a problem has."""

from __future__ import annotations

import numpy as np

from ptychosuite.core.patterns import Patterns, Recorder, narrowest
from ptychosuite.core.problem import Reference
from ptychosuite.errors import HopelessRun
from ptychosuite.problems.detector import Detector
from ptychosuite.problems.exposure import Exposure
from ptychosuite.problems.problem_kind import Rng

MOST_PHOTONS = 1e18  # in a pixel: as many as 64 bits can count


def measure(
    truth: Reference, exposure: Exposure, detector: Detector, noise: float, rng: Rng, dtype: str
) -> tuple[Patterns, np.ndarray | None]:
    """Diffraction d = eta * Poisson(|F psi|^2 / eta), kept as counts; intensities as they are for eta = 0.

    Parameters
    ----------
    noise
        eta, the intensity of one photon; 0 is noiseless.
    rng
        Random generator for the purposes "data" and "detector".
    dtype
        Real type of the amplitudes that are handed out.

    Returns
    -------
    The patterns, and the mask (m, m), 1 for good pixels and 0 for those that record nothing; None where there
    are none of these.

    Raises
    ------
    HopelessRun
        More photons in a pixel than can be counted, or none in all patterns.
    """
    n_patterns, size = len(truth.scan_positions_px), truth.probe.shape[-1]
    chance, of_detector = rng("data"), rng("detector")
    good = detector.good_pixels(size, of_detector)
    recorder, brightest = Recorder(n_patterns), 0.0
    for light in exposure.intensities(truth):
        photons = light / noise if noise > 0 else light
        brightest = max(brightest, float(photons.max()))
        if detector.dark:
            photons = photons + detector.dark
        if noise > 0:
            if brightest > MOST_PHOTONS:
                raise HopelessRun(
                    f"{brightest:.3g} photons are expected in the brightest pixel, more than can be counted "
                    f"({MOST_PHOTONS:g}); raise problem.noise, or say 0 for data without noise"
                )
            photons = chance.poisson(photons)
        values = detector.recorded(photons, noise > 0, of_detector)
        recorder.append(narrowest(values) if noise > 0 else values.astype(dtype))
    values = recorder.values
    if not values.any():
        raise HopelessRun(
            "no photon is in any pattern, there is nothing to reconstruct from: the brightest pixel expects "
            f"{brightest:.2g} of them; lower problem.noise or raise problem.photons"
        )
    if detector.saturation and detector.mask_saturated:
        unsaturated = values.max(axis=0) < detector.saturation
        good = unsaturated if good is None else good & unsaturated
    if good is not None:
        values *= good.astype(values.dtype)
    return Patterns(
        values, (noise or 1.0) / (detector.gain or 1.0), dtype
    ), None if good is None else good.astype(float)
