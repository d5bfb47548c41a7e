"""Records of runs that nobody carried out, and stores that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.store.layout import Store
from ptychosuite.store.write import write_session

NUMBERS = {"seed": True, "problem.noise": True}


def record(
    seed: int = 0,
    status: str = "completed",
    *,
    solver: Mapping[str, Any] | None = None,
    noise: float = 0.1,
    iterations: int = 3,
    metrics: Mapping[str, float] | None = None,
    **fields: Any,
) -> RunRecord:
    """A record with curves of ``iterations`` + 1 points and an image, different for every seed."""
    spec = RunSpec(
        problem={"object": {"kind": "texture", "size": 8}, "noise": noise},
        solver=solver or {"name": "rpie", "alpha": 0.01},
        stop={"iterations": iterations},
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    if status == "failed":
        return RunRecord(spec.run_id("code"), spec, Status(status), message="why it failed", **fields)
    curve = 1.0 / (1 + seed + np.arange(iterations + 1))
    return RunRecord(
        run_id=spec.run_id("code"),
        spec=spec,
        status=Status(status),
        metrics={"residual": float(curve[-1]), "error": 0.5 + seed, **(metrics or {})},
        curves={"residual": curve, "error": 10 * curve},
        object=(rng.standard_normal((8, 8)) + 1j).astype(np.complex64),
        probe=np.full((4, 4), 1 - 1j, dtype=np.complex64),
        provenance={"start": f"2030-01-01T00:00:{seed:02d}", "host": "here"},
        **fields,
    )


def reference(value: float = 1.0) -> Reference:
    """A truth of a few pixels."""
    return Reference(np.full((8, 8), value + 0j), np.ones((4, 4), complex), np.array([[0, 0], [2, 4]]))


def store_at(path: Path, factors: Mapping[str, bool] | None = None, **constants: Any) -> Store:
    """A new store with one session."""
    store = Store.create(path)
    session(store, "2030-01-01", NUMBERS if factors is None else factors, **constants)
    return store


def session(store: Store, name: str, factors: Mapping[str, bool], **constants: Any) -> None:
    """Note a session that varied ``factors``."""
    write_session(store, name, session_content(factors, constants))


def session_content(factors: Mapping[str, bool], constants: Mapping[str, Any]) -> dict[str, Any]:
    """What a session's file holds at its begin."""
    return {
        "study": "tiny",
        "title": "tiny",
        "text": "study: tiny",
        "overrides": [],
        "factors": dict(factors),
        "constants": dict(constants),
        "figures": [{"kind": "convergence"}],
        "spec_ids": [],
        "command": ["test"],
        "cluster": "none",
        "start": "2030-01-01T00:00:00+0000",
        "environment": {},
    }
