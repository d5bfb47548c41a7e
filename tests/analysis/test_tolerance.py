"""Tolerances by precision, solver and iteration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from suite.analysis.tolerance import AFTER, Drift
from suite.core.run import RunSpec

SPEC = RunSpec(problem={"kind": "simulated"}, solver={"name": "rpie"}, stop={})
BLIND = {"kind": "simulated", "start_probe": {"kind": "gaussian"}}


@pytest.mark.parametrize("quantity", ["residual", "object"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("same", [True, False])
def test_tolerance_grows_with_the_iterations(dtype, quantity, same):
    """Never less later on, beyond what was measured too; the start is held to the first."""
    tolerance = Drift.of(replace(SPEC, dtype=dtype), same).tolerance(quantity, np.arange(400))
    assert (np.diff(tolerance) >= 0).all()
    assert tolerance[0] == tolerance[1]
    assert tolerance[300] > tolerance[AFTER[-1]]


def test_what_is_held_to_what():
    """Double precision to more than single, a known probe to more than an unknown or an unknown solver."""
    at = np.array([5])

    def tolerance(same: bool = False, **changes: object) -> float:
        return float(Drift.of(replace(SPEC, **changes), same).tolerance("residual", at)[0])

    assert (
        tolerance(dtype="complex128") < 1e-10 < tolerance(same=True) < tolerance() < tolerance(problem=BLIND)
    )
    assert tolerance(problem=BLIND) == tolerance(problem={"kind": "file"}) == tolerance(solver={"name": "x"})
    assert tolerance(problem=BLIND, solver={"name": "lsqml"}) == tolerance()
