"""How much a study's figures may change. Settings only; ``suite.analysis.quality`` compares.

A study expanded into its runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge

from ptychosuite.core.runs import RunSpec

Dtype = Literal["complex64", "complex128"]
Change = Annotated[float, Ge(0)]
Relative = Change | Mapping[Dtype, Change] | None


@dataclass(frozen=True)
class Tolerances:
    """The section ``check.tolerance`` of a study: relative changes about which nothing is said.

    Each is a number, or one for each dtype, ``{complex64: 1e-3, complex128: 1e-6}``. Null, the default, is
    the tolerance that rounding was measured to need.

    Parameters
    ----------
    first_iterations
        Of residual, error and likelihood after one and two iterations, in either direction: beyond it, the
        run is another computation than the baseline's.
    """

    first_iterations: Relative = None
    residual: Relative = None
    error: Relative = None
    poisson_nll: Relative = None
    poisson_deviance: Relative = None
    phase_rmse_rad: Relative = None
    nmse: Relative = None
    frc_resolution_px: Relative = None
    half_frc_resolution_px: Relative = None
    iterations_to_tol: Relative = None
    data_passes: Relative = None
    peak_host_bytes: Relative = None
    peak_device_bytes: Relative = None

    def of(self, name: str, dtype: str) -> float | None:
        """What the study says of the quantity ``name`` in runs of ``dtype``; None where it says nothing."""
        wanted: Relative = getattr(self, name)
        if isinstance(wanted, Mapping):
            return {str(key): change for key, change in wanted.items()}.get(dtype)
        return wanted


@dataclass(frozen=True)
class Plan:
    """A study expanded."""

    name: str
    title: str
    runs: tuple[RunSpec, ...]
    run_ids: tuple[str, ...]  # of the runs, under the present code
    factors: Mapping[str, bool]  # dotted path of what varies, in the study's order -> is it a number?
    constants: Mapping[str, Any]  # dotted path -> value of all that does not
    figures: tuple[Mapping[str, Any], ...]  # each its kind and all its settings, as plain data
    tolerances: Tolerances  # of a check
    text: str
    overrides: tuple[str, ...]

    def remaining(self, done: Iterable[str]) -> tuple[RunSpec, ...]:
        """The runs whose ids are not in ``done``, in order."""
        known = set(done)
        return tuple(run for run, run_id in zip(self.runs, self.run_ids, strict=True) if run_id not in known)
