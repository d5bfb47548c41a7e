"""How far two runs may drift apart by rounding alone, and what makes two environments round differently.

The same code on the same machine with the same packages repeats bit for bit. Where anything is summed in
another order the last digit differs, and runs drift apart with the iterations until they are merely alike.
``benchmarks/rounding.py`` measured it: the largest relative drift between forms of a run that are equal in
exact arithmetic. Tolerances are :data:`MARGIN` times that, at the iteration in question. It depends on the
precision, on whether packages, processor and backend are the same, so that only our code can round otherwise,
and on the kind of run:

- steady: the probe is known and rPIE's alpha at least :data:`MILD`, or the solver divides by nothing small.
- growing: a smaller alpha multiplies what differs tenfold an iteration. So does an unknown probe that is held
  at first (``probe_start``), in double precision.
- restless: ePIE, rPIE and eMAGPIE with an unknown probe. From a flat object the first update of the probe is
  a full step, which meets the first pattern exactly; the phase of its dark pixels is rounding from then on.
  Solvers that were not measured count as restless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ptychosuite.core.runs import RunSpec
from ptychosuite.metrics.metric import metric_of
from ptychosuite.problems.problem_kind import knows_probe

ARITHMETIC = ("numpy", "scipy", "numba", "ducc0", "torch", "cupy-cuda13x", "ptychi", "cdtools-py", "ptylab")
"""Packages whose numbers differ in the last digit from one version to the next."""

ORIGIN = {
    "ptychosuite": "ptychosuite", "code": "code", "git_commit": "git commit",
    "git_dirty": "uncommitted changes", "python": "python", "platform": "platform", "cpu": "cpu",
    "instructions": "instructions",
    "gpu_model": "gpu", "gpu_driver": "gpu driver", "cuda_version": "cuda", "backend": "backend",
    "stack": "runs side by side",
}  # fmt: skip
MACHINE = ("cpu", "instructions", "gpu")
ROUNDS = (
    *MACHINE, "gpu driver", "cuda", "backend", "runs side by side",
    *(f"package {name}" for name in ARITHMETIC),
)  # fmt: skip

Changes = Mapping[str, tuple[str, str]]
"""What differs -> then and now; empty text where it was or is not there."""


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Changes:
    """What differs between two origins: code, packages, hardware, threads, backend.

    A thread pool counts where both processes had loaded its library, instructions where both were noted.
    """
    before, after = _flat(then), _flat(now)
    found = {name: (before.get(name, ""), after.get(name, "")) for name in dict.fromkeys([*before, *after])}
    return {
        name: (old, new)
        for name, (old, new) in found.items()
        if old != new and not (name.startswith(("threads ", "instructions")) and "" in (old, new))
    }


def rounding_changes(found: Changes) -> Changes:
    """Those with which results differ in the last digit."""
    return {name: found[name] for name in found if name in ROUNDS}


def _flat(origin: Mapping[str, Any]) -> dict[str, str]:
    parts = [("package", origin.get("packages", {})), ("threads", origin.get("threads", {}))]
    found = {label: str(origin.get(key, "")) for key, label in ORIGIN.items()}
    return found | {f"{part} {name}": str(value) for part, values in parts for name, value in values.items()}


class Kind(StrEnum):
    """What becomes of a difference in the last digit."""

    STEADY = "steady"
    GROWING = "growing"
    RESTLESS = "restless"


MARGIN = 5.0
MOST_NUDGED = 12  # runs: where more have changed it is no matter of rounding, and each costs its time again
NUDGES = 3  # of each, begun a rounding error aside
ROUNDING = "beyond the usual tolerance, and within what rounding alone does to this run here"
MILD = 0.05  # alpha
ALIKE = {"curves": 0.75, "images": 1.5}  # no more than that: 1.5 times what was measured
NEGLIGIBLE = 1e-9  # no fault of interest is smaller
AFTER = (2, 5, 10, 25, 50, 100)  # iterations
MEASURED_WITH_KNOWN_PROBE = ("epie", "rpie", "mpie", "magpie", "emagpie", "lsqml", "lbfgs")
STEADY_WITH_UNKNOWN_PROBE = ("lsqml",)
HOLD_THE_PROBE = ("epie", "rpie")
STORED_IMAGES = ("object", "probe")
STORED_PRECISION = float(np.finfo(np.complex64).eps)  # of images, whatever the run's

Measured = Mapping[str, tuple[float, ...]]  # "curves", "images" -> drift after each of AFTER
OWN_CODE: Mapping[tuple[Kind, str], Measured] = {
    (Kind.STEADY, "complex64"): {
        "curves": (9e-7, 7e-5, 3e-4, 9e-3, 1e-2, 5e-2),
        "images": (1e-5, 3e-4, 1e-3, 1e-2, 3e-2, 3e-2),
    },
    (Kind.STEADY, "complex128"): {
        "curves": (2e-15, 2e-14, 7e-13, 2e-10, 3e-8, 2e-7),
        "images": (1e-14, 1e-13, 2e-12, 3e-10, 4e-8, 6e-8),
    },
    (Kind.GROWING, "complex64"): {
        "curves": (1e-5, 6e-3, 1e-1, 4e-1, 4e-1, 4e-1),
        "images": (3e-4, 7e-2, 2e-1, 5e-1, 8e-1, 8e-1),
    },
    (Kind.GROWING, "complex128"): {
        "curves": (8e-14, 1e-9, 2e-6, 7e-2, 3e-1, 3e-1),
        "images": (4e-13, 5e-9, 3e-5, 5e-1, 7e-1, 7e-1),
    },
}
OTHER_LIBRARIES: Mapping[tuple[Kind, str], Measured] = {
    (Kind.STEADY, "complex64"): {
        "curves": (3e-4, 2e-3, 4e-3, 1e-2, 5e-2, 9e-2),
        "images": (1e-3, 7e-3, 1e-2, 2e-2, 8e-2, 1e-1),
    },
    (Kind.STEADY, "complex128"): {
        "curves": (1e-12, 3e-12, 2e-10, 4e-8, 6e-6, 4e-5),
        "images": (3e-12, 1e-11, 5e-10, 6e-8, 8e-6, 2e-5),
    },
    (Kind.GROWING, "complex64"): {
        "curves": (5e-3, 5e-2, 2e-1, 5e-1, 5e-1, 5e-1),
        "images": (3e-2, 1e-1, 2e-1, 5e-1, 8e-1, 8e-1),
    },
    (Kind.GROWING, "complex128"): {
        "curves": (4e-11, 3e-7, 3e-4, 2e-1, 3e-1, 3e-1),
        "images": (1e-9, 1e-6, 5e-3, 7e-1, 9e-1, 9e-1),
    },
}
RESTLESS: Measured = {
    "curves": (4e-2, 2e-1, 3e-1, 4e-1, 4e-1, 4e-1),
    "images": (6e-1, 6e-1, 9e-1, 1.0, 1.0, 1.0),
}


@dataclass(frozen=True)
class Drift:
    """What rounding was seen to do to runs of one kind: relative drift after each of ``AFTER`` iterations."""

    measured: Measured

    @classmethod
    def of(cls, spec: RunSpec, same_arithmetic: bool) -> Drift:
        """The drift of runs like ``spec``, with the same packages, processor and backend or with others."""
        kind = kind_of(spec)
        if kind is Kind.RESTLESS:
            return cls(RESTLESS)
        return cls((OWN_CODE if same_arithmetic else OTHER_LIBRARIES)[kind, spec.dtype])

    def tolerance(self, quantity: str, iterations: np.ndarray, here: float | np.ndarray = 0.0) -> np.ndarray:
        """Relative tolerance of a quantity after each of ``iterations`` (any shape, from 0 on).

        ``here`` is the drift of the run itself, where it was measured: the larger one counts.
        Between the measured iterations it is a straight line in the logarithms, beyond the last one with the
        mean slope, before the first constant.
        """
        group = drifts_like(quantity)
        x, y = np.log(AFTER), np.log(self.measured[group])
        at = np.log(np.maximum(iterations, AFTER[0]))
        slope = (y[-1] - y[0]) / (x[-1] - x[0])
        line = np.where(at > x[-1], y[-1] + slope * (at - x[-1]), np.interp(at, x, y))
        least = max(NEGLIGIBLE, MARGIN * STORED_PRECISION if quantity in STORED_IMAGES else 0.0)
        return np.clip(MARGIN * np.maximum(np.exp(line), here), least, ALIKE[group])


def drifts_like(quantity: str) -> str:
    """ "images" or "curves": which drift is that of a metric, a curve, a stored image or its rings."""
    if quantity in STORED_IMAGES or quantity.startswith("rings"):
        return "images"
    metric = metric_of(quantity)
    return metric.tolerance.like if metric and metric.tolerance else "curves"


def kind_of(spec: RunSpec) -> Kind:
    """How runs like ``spec`` answer to rounding."""
    name = spec.solver["name"]
    if name in STEADY_WITH_UNKNOWN_PROBE:
        return Kind.STEADY
    if name not in MEASURED_WITH_KNOWN_PROBE:
        return Kind.RESTLESS
    if knows_probe(spec.problem):
        return Kind.STEADY if spec.solver.get("alpha", 1.0) >= MILD else Kind.GROWING
    held = name in HOLD_THE_PROBE and spec.solver.get("probe_start", 0) > 0
    return Kind.GROWING if held and spec.dtype == "complex128" else Kind.RESTLESS
