"""How far figures may move when nothing but rounding has changed: measured by ``benchmarks/drift.py``.

The same code on the same machine with the same packages repeats bit for bit. Another FFT library, another
backend or sums in another order differ in the last digit. rPIE and MAGPIE (with a small alpha) and solvers of
an unknown probe multiply that difference tenfold and more an iteration, up to a tenth of the residual. Hence
three tolerances: a sharp one for the first iterations, an almost exact one for the rest of runs that begin
identically to the last digit, and a wide one for the rest of those whose rounding differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from suite.core.check import Tolerances
from suite.core.run import RunSpec

ARITHMETIC = ("numpy", "scipy", "numba", "ducc0", "torch", "cupy-cuda13x", "ptychi", "cdtools-py")
"""Packages whose numbers differ in the last digit from one version to the next."""

FIRST_SAME = {  # (dtype, probe known) -> largest relative change; measured: 1e-5, 7e-4, 1e-13, 3e-14
    ("complex64", True): 3e-5,
    ("complex64", False): 1e-3,
    ("complex128", True): 1e-9,
    ("complex128", False): 1e-9,
}
FIRST_OTHER = {  # where packages or processor differ; measured: 4e-3, 5e-2, 5e-12, 4e-2
    ("complex64", True): 1e-2,
    ("complex64", False): 0.1,
    ("complex128", True): 1e-9,
    ("complex128", False): 0.1,
}
EXACT = 1e-6  # relative, of whatever follows a beginning that is the same to the last digit


@dataclass(frozen=True)
class Tolerance:
    """A change that rounding explains: ``relative`` of the baseline's value, and ``absolute``."""

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
ROUNDED = {  # measured, after up to 50 iterations: 0.2, 0.06, 0.1, 0.2, 0.07, 0.1, 0.3; 4 iterations of 39
    "residual": Tolerance(0.3),
    "error": Tolerance(0.15),
    "poisson_nll": Tolerance(0.3),
    "poisson_deviance": Tolerance(0.3),
    "phase_rmse_rad": Tolerance(0.2),
    "nmse": Tolerance(0.3),
    "frc_resolution_px": Tolerance(0.5),
    "half_frc_resolution_px": Tolerance(0.5),
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
    table = FIRST_SAME if same_arithmetic else FIRST_OTHER
    relative = wanted.of("first_iterations", spec.dtype)
    return Tolerance(table[spec.dtype, _probe_known(spec)] if relative is None else relative)


def later_tolerance(
    name: str, spec: RunSpec, identical_start: bool, wanted: Tolerances, scale: float = 1.0
) -> Tolerance:
    """Of the quantity ``name`` after the first iterations, and at the end.

    ``scale`` is its value at the start, where that is known.
    """
    tolerance = MEMORY.get(name) or (Tolerance(EXACT) if identical_start else ROUNDED[name])
    floor = FLOORS[spec.dtype].get(name)
    if floor is not None:
        tolerance = replace(tolerance, absolute=floor * scale)
    relative = wanted.of(name, spec.dtype)
    return tolerance if relative is None else replace(tolerance, relative=relative)


def arithmetic_changes(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, tuple[str | None, str | None]]:
    """What rounds in two environments and differs: package, processor or GPU -> before and now."""
    old, new = map(_what_rounds, (before, now))
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


def _what_rounds(environment: Mapping[str, Any]) -> dict[str, str | None]:
    packages = environment.get("packages", {})
    return {
        **{name: packages.get(name) for name in ARITHMETIC},
        **{name: environment.get(name) for name in ("cpu", "gpu_model")},
    }


def _probe_known(spec: RunSpec) -> bool:
    return spec.problem["kind"] == "simulated" and spec.problem.get("start_probe") is None
