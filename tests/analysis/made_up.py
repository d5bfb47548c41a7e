"""Tables and curves of studies that nobody carried out, for what compares lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

PATHS = {"solver": "solver.name", "iterations": "stop.iterations"}


def run(
    solver: str,
    curve: Sequence[float],
    seed: int = 0,
    step: float = 1.0,
    status: str = "completed",
    **columns: Any,
) -> dict[str, Any]:
    """A run whose residual is ``curve``, ``step`` seconds an iteration; ``columns`` of the table."""
    return {
        "solver": solver, "seed": seed, "status": status, "curve": curve, "step": step,
        "lane": "" if status == "missing" else "timing", **columns,
    }  # fmt: skip


def made_up(
    runs: Sequence[Mapping[str, Any]], metric: str = "residual", settings: Sequence[str] = ()
) -> tuple[pd.DataFrame, xr.Dataset]:
    """The table of the runs of :func:`run`, and the dataset with their curves."""
    length = max(len(each["curve"]) for each in runs)
    curves, seconds = np.full((2, len(runs), length), np.nan)
    for row, each in enumerate(runs):
        steps = len(each["curve"])
        curves[row, :steps] = each["curve"]
        seconds[row, :steps] = each["step"] * np.arange(steps)
    rows = [{name: value for name, value in each.items() if name not in ("curve", "step")} for each in runs]
    table = pd.DataFrame(rows)
    table["row"] = np.where(table["status"] == "missing", -1, np.arange(len(table)))
    ended = table["status"].isin(["completed", "diverged"])
    last = [each["curve"][-1] if len(each["curve"]) else np.nan for each in runs]
    table[metric] = np.where(ended, last, np.nan)
    factors = [name for name in ("solver", *settings, "noise", "iterations", "seed") if name in table]
    table.attrs = {
        "paths": {PATHS.get(name, name): name for name in factors},
        "factors": factors,
        "solver_settings": list(settings),
    }
    names = {metric: curves, "seconds": seconds, "data_passes": 2 * seconds}
    dataset = xr.Dataset({f"{name}_curve": (("run", "iteration"), values) for name, values in names.items()})
    return table, dataset
