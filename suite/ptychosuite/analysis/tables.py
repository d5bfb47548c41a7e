"""The runs of a store as a table, and whose times may be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.core.runs import Lane, Status
from ptychosuite.core.stages import IMPORTED
from ptychosuite.errors import StoreError
from ptychosuite.metrics.metric import Metric, know_metrics
from ptychosuite.store.compact import readable
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory

NOT_COMPARABLE = " (throughput lane: not comparable)"


def timed(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The runs of the timing lane, and what to add to the name of a time.

    Results that were computed elsewhere are left out: nobody here has timed them. Where there are no runs of
    the timing lane, all runs, and the name says that their times are not comparable. Runs that know of no
    lane are older than the lanes and had their cores to themselves.
    """
    ours = table[~are_imported(table)]
    alone = ours[~in_throughput(ours)]
    ours.attrs = alone.attrs = table.attrs
    was_timed = alone["status"] != MISSING
    return (alone, "") if was_timed.any() or ours.empty else (ours, NOT_COMPARABLE)


def compared_by(table: pd.DataFrame, metric: Metric) -> tuple[pd.DataFrame, str]:
    """The runs of ``table`` that may be compared by ``metric``, and what to add to its name.

    Of what was computed elsewhere nobody knows what a loop counts. A run that never meets its tolerance needs
    no clock to be infinitely long: it is compared in either lane.
    """
    ours = table[~are_imported(table)] if metric.needs == "the loop" else table
    if not metric.is_time:
        return ours, ""
    alone, note = timed(ours)
    if metric.count_name and not note:
        never = ours[metric.name].isna() | (ours["status"] != Status.COMPLETED)
        alone = ours[ours.index.isin(alone.index) | never]
        alone.attrs = table.attrs
    return alone, note


def have_tolerance(table: pd.DataFrame) -> pd.Series:
    """Whether each row has a tolerance to meet, where a study says so of some of its runs alone.

    ``attrs["tolerances"]`` then names the columns that say it.
    """
    columns = table.attrs.get("tolerances", [])
    return table[columns].notna().any(axis=1) if columns else pd.Series(True, index=table.index)


def are_imported(table: pd.DataFrame) -> pd.Series:
    """Whether each row is a result that was computed elsewhere."""
    if "lane" not in table:
        return pd.Series(False, index=table.index)
    return table["lane"].astype(object) == IMPORTED


def in_throughput(table: pd.DataFrame) -> pd.Series:
    """Whether each row was computed in the throughput lane."""
    if "lane" not in table:
        return pd.Series(False, index=table.index)
    return table["lane"] == Lane.THROUGHPUT


def open_dataset(store: Store, study: Mapping[str, Any] | None = None) -> xr.Dataset:
    """The runs of a study as one dataset; curves are loaded when they are used. Nothing is written.

    ``study`` says which, in the words of a session; the latest session of ``store`` where it is None.

    Raises
    ------
    StoreError
        The store has no runs, or cannot be read.
    """
    with store.dataset.refusals(reading=True):
        dataset = xr.open_zarr(readable(store, study), chunks=None)
    if dataset.sizes.get("run", 0) == 0:
        raise none_of(store)
    know_metrics(dataset.attrs["metrics"].split())
    return dataset


def none_of(store: Store) -> StoreError:
    """What is said where ``store`` has no run of a study."""
    held = inventory(store)
    number = len(held.files)
    if not number and held.damaged:
        return StoreError(
            f"{store.root} has no run that can be read, but damaged files; see them with: ptychosuite doctor "
            f"{store.root}"
        )
    if not number:
        return StoreError(f"{store.root} has no runs yet; run the study first")
    other = (
        "1 other, by other code or of another version"
        if number == 1
        else (f"{number} others, by other code or of other versions")
    )
    return StoreError(
        f"{store.root} has none of the runs of this study yet, but {other} of it; "
        f"run it first with: ptychosuite run STUDY, or name the folder for what its latest session planned"
    )


def columns_of(dataset: xr.Dataset) -> dict[str, tuple[str, bool]]:
    """Dotted path of a factor -> its column, and whether that holds numbers."""
    return {
        path: (name, is_number) for path, (name, is_number) in json.loads(dataset.attrs["columns"]).items()
    }


def table_of(dataset: xr.Dataset, spec_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a run, with factors and metrics as columns; ``attrs["factors"]`` names the factors.

    With ``spec_ids`` only those runs, in that order. A dataset of an earlier version may have several of one
    specification; then the one that began last. The column ``row`` is the position in the dataset.
    """
    flat = [name for name, variable in dataset.variables.items() if variable.dims == ("run",)]
    table = pd.DataFrame({str(name): _values(dataset[name].values) for name in flat})
    table["row"] = np.arange(len(table))
    names = {path: name for path, (name, _) in columns_of(dataset).items()}
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
        name for path, name in names.items() if path.startswith("solver.") and path != "solver.name"
    ]
    return table


def _values(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind == "f" else array.astype(object)
