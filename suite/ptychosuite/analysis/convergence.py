"""Curves of runs: one median line and a band a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.tables import timed
from ptychosuite.metrics.metric import known_metrics


@dataclass(frozen=True)
class Band:
    """Median and range of one quantity over the runs of a group, against x."""

    x: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: int
    hit: float  # x at which the tolerance is met, median over the runs; NaN if half of them never meet it

    def at_hit(self) -> float:
        """The median where the tolerance is met."""
        return float(np.interp(np.log(self.hit), np.log(self.x), self.median))


def band(dataset: xr.Dataset, runs: pd.DataFrame, metric: str, x: str) -> Band:
    """Band of ``metric`` over ``runs`` against "iteration", "seconds" or "data_passes".

    Iterations are counted from 1, the starting point, so that they can stand on a logarithmic axis. Where a
    run has ended, the others go on without it.
    """
    rows = runs["row"].to_numpy()
    curves = dataset[f"{metric}_curve"].values[rows]
    if x == "iteration":
        xs = np.broadcast_to(np.arange(1.0, curves.shape[1] + 1), curves.shape)
    else:
        xs = dataset[f"{x}_curve"].values[rows]
    known = np.isfinite(curves).any(axis=0) & (np.nanmax(xs, axis=0, initial=0) > 0)
    curves, xs = curves[:, known], np.where(np.isfinite(curves), xs, np.nan)[:, known]
    return Band(
        x=np.nanmedian(xs, axis=0),
        median=np.nanmedian(curves, axis=0),
        low=np.nanmin(curves, axis=0),
        high=np.nanmax(curves, axis=0),
        runs=len(rows),
        hit=_hit(dataset, runs, x),
    )


def _hit(dataset: xr.Dataset, runs: pd.DataFrame, x: str) -> float:
    if "iterations_to_tol" not in runs:
        return float("nan")
    hits = runs["iterations_to_tol"].to_numpy()
    if np.isnan(hits).sum() * 2 > len(hits):
        return float("nan")
    if x == "iteration":
        return float(np.nanmedian(hits)) + 1
    met = ~np.isnan(hits)
    values = dataset[f"{x}_curve"].values[runs["row"].to_numpy()[met], hits[met].astype(int)]
    return float(np.median(values))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each combination of factors, over its seeds: medians, and how many met the tolerance.

    Times are those of the timing lane; where there are none, their columns say so.
    """
    comparable, note = timed(table)
    metrics = [metric for metric in known_metrics() if metric.in_summary and metric.name in table]
    times = [metric.name for metric in metrics if metric.is_time]
    table = table.assign(**{name: table[name].where(table.index.isin(comparable.index)) for name in times})
    factors = [
        name for name in table.attrs["factors"] if name != "seed" and table[name].nunique(dropna=False) > 1
    ] or ["solver"]
    groups = table.groupby(factors, dropna=False, sort=False)
    result = groups.size().rename("runs").to_frame()
    for name in (metric.name for metric in metrics if not metric.count_name):
        if table[name].notna().any():
            result[name + (note if name in times else "")] = groups[name].median()
    for metric in (metric for metric in metrics if metric.count_name):
        result[metric.count_name] = groups[metric.name].count()
        # a run that never gets there counts as infinitely long: it is censored, not dropped
        result[metric.name] = groups[metric.name].apply(lambda v: v.fillna(np.inf).median())
    return result.reset_index()
