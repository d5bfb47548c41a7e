"""How much a study's figures may change. Settings only; ``suite.analysis.quality`` compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge

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
