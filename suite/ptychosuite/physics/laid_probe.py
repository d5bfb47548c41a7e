"""A known probe as it lies on the patterns of a scan between pixels: made once, and kept.

A probe that stays lies on a pattern alike in every iteration, and to move it there is a third of all
transforms. What is made is kept as long as the positions are that it was made for. Stacks make none: a
probe is one of theirs there.
"""

from __future__ import annotations

import math
import weakref

import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, namespace
from ptychosuite.core.problem import Problem, batches
from ptychosuite.physics.shift import fourier_shift, shift_phases

MOST_BYTES = 2**27  # of what is kept for one scan: 1,024 patterns of 128 x 128 pixels

_of_shifts: dict[int, tuple[Array, Array]] = {}
"""A probe and what was made of it, by the identity of the shifts, with which they go."""


def laid_probe(problem: Problem, probe: Complex[Array, "*M m m"]) -> Complex[Array, "N *M m m"] | None:
    """``probe`` on every pattern of ``problem``; not to be written to.

    None where it is not kept: on whole pixels, where ``probe`` is not the one that is known, and where it
    would take more than :data:`MOST_BYTES`. That is up to the problem alone, and so are the digits, as all is
    made at once: what was computed before changes no result.
    """
    shifts_px = problem.subpixel_shifts_px
    if shifts_px is None or not problem.probe_known or probe is not problem.probe:
        return None
    if len(shifts_px) * math.prod(probe.shape) * probe.dtype.itemsize > MOST_BYTES:
        return None
    key = id(shifts_px)
    if key not in _of_shifts:
        weakref.finalize(shifts_px, _of_shifts.pop, key, None)
    if key not in _of_shifts or _of_shifts[key][0] is not probe:
        _of_shifts[key] = probe, _laid(probe, shifts_px)
    return _of_shifts[key][1]


def _laid(probe: Complex[Array, "*M m m"], shifts_px: Float[np.ndarray, "N 2"]) -> Complex[Array, "N *M m m"]:
    size, one_for_all_modes = probe.shape[-1], (slice(None), *[None] * (probe.ndim - 2))
    return namespace(probe).concat(
        [
            fourier_shift(probe, shift_phases(size, shifts_px[batch], probe)[one_for_all_modes])
            for batch in batches(len(shifts_px), size, like=probe)
        ]
    )
