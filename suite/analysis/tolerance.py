"""How far two runs may drift apart by rounding alone.

Measured by ``benchmarks/rounding.py``: the largest relative drift between forms of a run that are equal in
exact arithmetic, over all our solvers, with known probe, without noise and with unknown probe. Rounding grows
with the iterations, about exponentially, until two runs are merely alike; tolerances are :data:`MARGIN` times
what was measured, at the iteration in question. There are three cases:

- the same packages, processor and backend, so that only our code can round otherwise (compiled and plain
  loops were compared; where ``benchmarks/drift.py`` saw more in the first iterations, its figure stands);
- another transform or array library (ducc0 and SciPy, NumPy and torch);
- ePIE, rPIE and eMAGPIE with an unknown probe, restless in either precision: from a flat object the first
  update of the probe is a full step, which meets the first pattern exactly, and the phase of its dark pixels
  is rounding from then on. (eMAGPIE was steady on simulated data; on a measured Siemens star it was not.)
  Solvers that were not measured count as restless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from suite.core.run import RunSpec

ARITHMETIC = ("numpy", "scipy", "numba", "ducc0", "torch", "cupy-cuda13x", "ptychi", "cdtools-py")
"""Packages whose numbers differ in the last digit from one version to the next."""

MARGIN = 5.0
AFTER = (1, 2, 5, 10, 25, 50, 100)  # iterations
STEADY_WITH_KNOWN_PROBE = ("epie", "rpie", "mpie", "magpie", "emagpie", "lsqml", "lbfgs")
STEADY_WITH_UNKNOWN_PROBE = ("lsqml",)
STORED_IMAGES = ("object", "probe")
LIKE_IMAGES = (*STORED_IMAGES, "rings", "phase_rmse_rad", "nmse", "frc", "half_frc")
STORED_PRECISION = float(np.finfo(np.complex64).eps)  # of images, whatever the run's

Measured = Mapping[str, tuple[float, ...]]  # "curves", "images" -> drift after each of AFTER
OWN_CODE: Mapping[str, Measured] = {
    "complex64": {
        "curves": (1e-5, 1e-5, 1e-5, 3e-5, 9e-4, 4e-3, 5e-2),
        "images": (1e-5, 1e-5, 1e-5, 9e-5, 4e-3, 2e-2, 9e-2),
    },
    "complex128": {
        "curves": (1e-13, 1e-13, 1e-13, 1e-13, 1e-12, 6e-12, 2e-7),
        "images": (1e-13, 1e-13, 1e-13, 3e-13, 1e-12, 2e-11, 6e-8),
    },
}
OTHER_LIBRARIES: Mapping[str, Measured] = {
    "complex64": {
        "curves": (4e-4, 4e-4, 2e-3, 4e-3, 2e-2, 5e-2, 9e-2),
        "images": (6e-4, 2e-3, 7e-3, 2e-2, 5e-2, 1e-1, 3e-1),
    },
    "complex128": {
        "curves": (8e-13, 1e-12, 2e-12, 9e-12, 5e-10, 3e-9, 4e-5),
        "images": (1e-12, 3e-12, 9e-12, 7e-11, 6e-10, 3e-9, 2e-5),
    },
}
RESTLESS: Measured = {
    "curves": (4e-2, 4e-2, 4e-2, 6e-2, 8e-2, 9e-2, 2e-1),
    "images": (7e-2, 8e-2, 1e-1, 2e-1, 2e-1, 3e-1, 5e-1),
}


@dataclass(frozen=True)
class Drift:
    """What rounding was seen to do to runs of one kind: relative drift after each of ``AFTER`` iterations."""

    measured: Measured

    @classmethod
    def of(cls, spec: RunSpec, same_arithmetic: bool) -> Drift:
        """The drift of runs like ``spec``, with the same packages, processor and backend or with others."""
        unknown = spec.problem.get("start_probe") is not None or spec.problem.get("kind") == "file"
        steady = STEADY_WITH_UNKNOWN_PROBE if unknown else STEADY_WITH_KNOWN_PROBE
        if spec.solver["name"] not in steady:
            return cls(RESTLESS)
        return cls((OWN_CODE if same_arithmetic else OTHER_LIBRARIES)[spec.dtype])

    def tolerance(self, quantity: str, iterations: np.ndarray) -> np.ndarray:
        """Relative tolerance of a quantity after each of ``iterations`` (any shape, from 0 on).

        Between the measured iterations, and beyond the last, it is a straight line in the logarithms.
        """
        measured = self.measured["images" if quantity.startswith(LIKE_IMAGES) else "curves"]
        x, y = np.log(AFTER), np.log(measured)
        at = np.log(np.maximum(iterations, AFTER[0]))
        slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
        line = np.where(at > x[-1], y[-1] + slope * (at - x[-1]), np.interp(at, x, y))
        return MARGIN * np.maximum(np.exp(line), STORED_PRECISION if quantity in STORED_IMAGES else 0.0)


def floor(spec: RunSpec, curve: np.ndarray) -> float:
    """What is small beside the largest value of ``curve``: differences are relative to no less than that."""
    largest = float(np.nanmax(np.abs(curve), initial=0.0))
    return max(float(np.finfo(spec.dtype).eps) * largest, float(np.finfo(float).tiny))
