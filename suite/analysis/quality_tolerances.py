"""How far the figures of a check may move: what :mod:`suite.analysis.rounding` allows, memory, floors.

Runs that begin identically to the last digit repeat almost exactly. Otherwise the first iterations, before
rounding has grown, tell sharply whether it is the same computation, and what follows has the room that
rounding needs by then. A study may ask for other tolerances in its section ``check``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from suite.analysis.rounding import AFTER, Drift
from suite.core.check import Tolerances
from suite.core.run import RunSpec

EXACT = 1e-6  # relative, of whatever follows a beginning that is the same to the last digit


@dataclass(frozen=True)
class Tolerance:
    """A change that is not spoken of: ``relative`` of the baseline's value, and ``absolute``."""

    relative: float
    absolute: float = 0.0

    def excess(self, before: float, now: float) -> float:
        """The change over what is allowed; above 1 it is too large."""
        change = abs(now - before)
        allowed = self.relative * abs(before) + self.absolute
        return change / allowed if allowed else float("inf") if change else 0.0


MEMORY = {
    # a process computes many runs: what earlier ones have loaded (torch: 0.24 GB measured) is in it
    "peak_host_bytes": Tolerance(0.25, 300e6),
    "peak_device_bytes": Tolerance(0.1, 50e6),
}
COUNTS = {  # where the beginnings differ; measured: 4 iterations of 39
    "iterations_to_tol": Tolerance(0.1, 4.0),
    "data_passes": Tolerance(0.1, 4.0),
}
FLOORS = {  # rounding is left where a run without noise has converged; of residual and error: of their starts
    "complex64": {
        "residual": 1e-10, "error": 1e-5, "poisson_deviance": 1e-8, "phase_rmse_rad": 1e-5, "nmse": 1e-10
    },
    "complex128": {
        "residual": 1e-26, "error": 1e-13, "poisson_deviance": 1e-24, "phase_rmse_rad": 1e-13, "nmse": 1e-15
    },
}  # fmt: skip


def first_tolerance(spec: RunSpec, same_arithmetic: bool, wanted: Tolerances) -> Tolerance:
    """Of residual, error and likelihood in the first iterations.

    ``same_arithmetic`` says whether baseline and run had the same packages and processor.
    """
    relative = wanted.of("first_iterations", spec.dtype)
    return Tolerance(_rounding(spec, same_arithmetic, "residual", AFTER[0]) if relative is None else relative)


def later_tolerance(
    name: str,
    spec: RunSpec,
    iterations: float,
    wanted: Tolerances,
    *,
    same_arithmetic: bool,
    identical_start: bool,
    scale: float = 1.0,
) -> Tolerance:
    """Of the quantity ``name`` after more than the first iterations, and at the end.

    ``scale`` is its value at the start, where that is known.
    """
    if name in MEMORY:
        tolerance = MEMORY[name]
    elif identical_start:
        tolerance = Tolerance(EXACT)
    elif name in COUNTS:
        tolerance = COUNTS[name]
    else:
        tolerance = Tolerance(max(EXACT, _rounding(spec, same_arithmetic, name, iterations)))
    floor = FLOORS[spec.dtype].get(name)
    if floor is not None:
        tolerance = replace(tolerance, absolute=floor * scale)
    relative = wanted.of(name, spec.dtype)
    return tolerance if relative is None else replace(tolerance, relative=relative)


def _rounding(spec: RunSpec, same_arithmetic: bool, name: str, iterations: float) -> float:
    return float(Drift.of(spec, same_arithmetic).tolerance(name, np.asarray(iterations)))
