"""How much a study's figures may change. Settings only; ``suite.analysis.quality`` compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

Relative = Annotated[float, Ge(0)] | None


@dataclass(frozen=True)
class Tolerances:
    """The section ``check.tolerance`` of a study: relative changes about which nothing is said.

    Null, the default everywhere, is the tolerance that rounding was measured to need.

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
