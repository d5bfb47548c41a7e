"""Tolerances by precision, kind of run and iteration; what rounds differently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ptychosuite.analysis.rounding import (
    AFTER,
    ALIKE,
    MARGIN,
    Drift,
    Kind,
    changes,
    drifts_like,
    kind_of,
    rounding_changes,
)
from ptychosuite.core.runs import RunSpec

from tests.conftest import REPOSITORY

SPEC = RunSpec(problem={"kind": "simulated"}, solver={"name": "rpie", "alpha": 0.05}, stop={})
WEAK = {"name": "rpie", "alpha": 0.01}
BLIND = {"kind": "simulated", "start_probe": {"kind": "gaussian"}}
HELD = {"name": "epie", "probe_start": 2}


@pytest.mark.parametrize("solver", [SPEC.solver, WEAK])
@pytest.mark.parametrize("quantity", ["residual", "object"])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("same", [True, False])
def test_tolerance_grows_with_the_iterations(solver, dtype, quantity, same):
    """Never less later on, beyond what was measured too, until runs are merely alike."""
    drift = Drift.of(replace(SPEC, solver=solver, dtype=dtype), same)
    tolerance = drift.tolerance(quantity, np.arange(400))
    assert (np.diff(tolerance) >= 0).all()
    assert tolerance[0] == tolerance[AFTER[0]]
    assert tolerance[300] > tolerance[AFTER[-1]] or tolerance[300] in ALIKE.values()


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (Kind.STEADY, {}),
        (Kind.STEADY, {"solver": {"name": "lbfgs"}}),
        (Kind.STEADY, {"solver": {"name": "lsqml"}, "problem": BLIND}),
        (Kind.GROWING, {"solver": WEAK}),
        (Kind.GROWING, {"solver": HELD, "problem": BLIND, "dtype": "complex128"}),
        (Kind.RESTLESS, {"solver": HELD, "problem": BLIND}),
        (Kind.RESTLESS, {"problem": BLIND}),
        (Kind.RESTLESS, {"problem": {"kind": "file"}}),
        (Kind.RESTLESS, {"solver": {"name": "of-a-plug-in"}}),
    ],
)
def test_kinds(kind, changed):
    assert kind_of(replace(SPEC, **changed)) is kind


def test_what_is_held_to_what():
    """Double precision to more than single, steady runs to more than growing and restless ones."""

    def tolerance(same: bool = False, **changed: object) -> float:
        return float(Drift.of(replace(SPEC, **changed), same).tolerance("residual", np.array(5)))

    assert tolerance(dtype="complex128") < 1e-8 < tolerance(same=True) < tolerance()
    assert tolerance() < tolerance(solver=WEAK)
    assert tolerance(problem=BLIND) > 0.1


def measured() -> Iterator[tuple[RunSpec, bool, str, dict[int, float]]]:
    """What was measured: of which run, whether by our code alone, quantity, drift by iteration."""
    content = json.loads((REPOSITORY / "benchmarks/results/rounding.json").read_text())
    for row, forms in content["drift"].items():
        dtype, place, label = row.split()
        name, *settings = label.split("-")
        solver: dict[str, Any] = {"name": name}
        for setting in settings:
            solver |= {"probe_start": 2} if setting == "later" else {"alpha": float(setting)}
        problem = BLIND if "unknown" in place else SPEC.problem
        spec = replace(SPEC, problem=problem, solver=solver, dtype=dtype)
        for form, quantities in forms.items():
            for quantity, drifts in quantities.items():
                values = map(float, drifts.split())
                yield spec, form == "plain", quantity, dict(zip(content["after"], values, strict=False))


def test_tolerances_hold_all_that_was_measured():
    """With room to spare: the table is that of the figures beside the benchmark."""
    for spec, own_code, quantity, drifts in measured():
        tolerance = Drift.of(spec, own_code).tolerance(quantity, np.array(list(drifts)))
        alike = ALIKE[drifts_like(quantity)]
        enough = np.minimum(MARGIN / 2 * np.array(list(drifts.values())), alike)
        assert (tolerance >= enough).all(), (spec, own_code, quantity, drifts, tolerance)


def test_what_rounds_differently():
    """Packages that compute, processor and GPU count; packages that draw or store do not."""
    before = {"packages": {"numpy": "2.0", "matplotlib": "3.9"}, "cpu": "A", "host": "x"}
    now = {"packages": {"numpy": "2.1", "matplotlib": "3.10", "ducc0": "0.40"}, "cpu": "A", "host": "y"}
    assert changes(before, before) == {}
    assert rounding_changes(changes(before, now)) == {
        "package numpy": ("2.0", "2.1"), "package ducc0": ("", "0.40"),
    }  # fmt: skip


def test_another_machine():
    """Processors of one name differ in their instructions; what was not noted then does not count."""
    here = {"cpu": "Xeon", "instructions": "X86_V2 X86_V3 X86_V4"}
    other = {"cpu": "Xeon", "instructions": "X86_V2 X86_V3"}
    assert rounding_changes(changes(here, other)) == {
        "instructions": ("X86_V2 X86_V3 X86_V4", "X86_V2 X86_V3")
    }
    assert changes({"cpu": "Xeon"}, other) == {}
