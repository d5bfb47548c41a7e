"""The course of several runs in one metric: their median, its interval, and who was still running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.statistics import median_interval
from ptychosuite.core.runs import Status

Axis = Literal["iteration", "seconds", "data_passes"]
AXES: tuple[Axis, ...] = ("iteration", "seconds", "data_passes")
MOST_POINTS = 400


@dataclass(frozen=True)
class Band:
    """Median of one quantity over the completed runs of a group, against x."""

    x: np.ndarray  # positive, increasing
    median: np.ndarray
    low: np.ndarray  # of the median's interval, or of a few runs the least; NaN where there are too few
    high: np.ndarray
    alive: np.ndarray  # runs that had not yet stopped; the others keep their last value
    runs: int  # that the median is over
    hit: float  # x at which half of the runs have met the tolerance; NaN where fewer ever do

    @property
    def at_hit(self) -> float:
        """The median where the tolerance is met."""
        return float(np.interp(self.hit, self.x, self.median))


def band(dataset: xr.Dataset, runs: pd.DataFrame, metric: str, axis: Axis, most: int = MOST_POINTS) -> Band:
    """Band of ``metric`` over those of ``runs`` that completed.

    A run that has stopped keeps its last value, so that the median is over the same runs everywhere. Between
    two measurements a curve is a straight line. Iterations are counted from 1, the starting point, so that
    they can stand on a logarithmic axis.

    Parameters
    ----------
    runs
        Rows of the table of runs; those that diverged or failed have no part in it.
    most
        Points of the band, spread logarithmically over those that were measured.
    """
    completed = runs[runs["status"] == Status.COMPLETED]
    curves = [_curve(dataset, int(row), metric, axis) for row in completed["row"]]
    measured = [len(x) > 0 for x, _ in curves]
    curves = [curve for curve, is_measured in zip(curves, measured, strict=True) if is_measured]
    hit = _hit(dataset, completed[measured], axis)
    grid = _grid([x for x, _ in curves], hit, most)
    values = np.array([np.interp(grid, x, y) for x, y in curves]).reshape(len(curves), len(grid))
    ends = np.array([x[-1] for x, _ in curves])
    low, high = median_interval(values)
    return Band(
        x=grid,
        median=np.median(values, axis=0) if curves else np.empty(0),
        low=low,
        high=high,
        alive=(ends[:, None] >= grid).sum(axis=0),
        runs=len(curves),
        hit=hit,
    )


def _curve(dataset: xr.Dataset, row: int, metric: str, axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """x and value where ``metric`` was measured."""
    curve = dataset.variables[f"{metric}_curve"].values[row]
    is_counted = axis == "iteration"
    x = np.arange(1.0, len(curve) + 1) if is_counted else dataset.variables[f"{axis}_curve"].values[row]
    known = np.isfinite(curve) & np.isfinite(x)
    return x[known], curve[known]


def _grid(xs: list[np.ndarray], hit: float, most: int) -> np.ndarray:
    """Where something was measured, thinned out, with the place of the tolerance."""
    if not xs:
        return np.empty(0)
    every = np.unique(np.concatenate(xs))
    every = every[every > 0]
    if len(every) > most:
        wanted = np.geomspace(every[0], every[-1], most)
        every = every[np.unique(np.searchsorted(every, wanted * (1 - 1e-12)))]
    return every if np.isnan(hit) or hit <= 0 else np.union1d(every, hit)


def _hit(dataset: xr.Dataset, runs: pd.DataFrame, axis: Axis) -> float:
    """Where half of the runs have met the tolerance; NaN where fewer ever do."""
    if "iterations_to_tol" not in runs or runs.empty:
        return float("nan")
    hits = runs["iterations_to_tol"].to_numpy(dtype=float)
    met = np.isfinite(hits)
    places = np.full(len(runs), np.inf)
    places[met] = hits[met] + 1
    if axis != "iteration":
        rows = runs["row"].to_numpy(dtype=int)[met]
        places[met] = dataset.variables[f"{axis}_curve"].values[rows, hits[met].astype(int)]
    middle = float(np.sort(places)[(len(places) - 1) // 2])
    return middle if np.isfinite(middle) else float("nan")
