"""The runs of a store as a table, their curves as bands, their summary; whose times may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.core.runs import Lane
from ptychosuite.errors import StoreError
from ptychosuite.metrics.metric import know_metrics, known_metrics
from ptychosuite.store.compact import readable
from ptychosuite.store.layout import Store

NOT_COMPARABLE = " (throughput lane: not comparable)"


def timed(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The runs of the timing lane, and what to add to the name of a time.

    Where there are none, all runs, and the name says that their times are not comparable. Runs that know of
    no lane are older than the lanes and had their cores to themselves.
    """
    alone = table[~in_throughput(table)]
    alone.attrs = table.attrs
    return (alone, "") if len(alone) else (table, NOT_COMPARABLE)


def in_throughput(table: pd.DataFrame) -> pd.Series:
    """Whether each row was computed in the throughput lane."""
    if "lane" not in table:
        return pd.Series(False, index=table.index)
    return table["lane"] == Lane.THROUGHPUT


def open_dataset(store: Store) -> xr.Dataset:
    """All runs of ``store`` as one dataset; curves are loaded when they are used. Nothing is written.

    Raises
    ------
    StoreError
        The store has no runs, or cannot be read.
    """
    with store.dataset.refusals(reading=True):
        dataset = xr.open_zarr(readable(store), chunks=None)
    if dataset.sizes.get("run", 0) == 0:
        raise StoreError(f"{store.root} has no runs yet; run the study first")
    know_metrics(dataset.attrs.get("metrics", ()))
    return dataset


def table_of(dataset: xr.Dataset, spec_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a run, with factors and metrics as columns; ``attrs["factors"]`` names the factors.

    With ``spec_ids`` only those runs, in that order, each as the latest code computed it. The column ``row``
    is the position in the dataset.
    """
    flat = [name for name, variable in dataset.variables.items() if variable.dims == ("run",)]
    table = pd.DataFrame({str(name): _values(dataset[name].values) for name in flat})
    table["row"] = np.arange(len(table))
    names = {path: name for path, (name, _) in dataset.attrs["columns"].items()}
    factors = list(names.values())
    if spec_ids is not None:
        latest = (
            table.sort_values("start")
            .drop_duplicates("spec_id", keep="last")
            .set_index("spec_id", drop=False)
        )
        table = latest.loc[[spec_id for spec_id in spec_ids if spec_id in latest.index]].reset_index(
            drop=True
        )
    table.attrs["paths"] = names
    table.attrs["factors"] = factors
    table.attrs["solver_settings"] = [
        name
        for path, (name, _) in dataset.attrs["columns"].items()
        if path.startswith("solver.") and path != "solver.name"
    ]
    return table


def _values(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind == "f" else array.astype(object)


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
