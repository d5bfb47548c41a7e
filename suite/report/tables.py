"""Results as tables for other programs: CSV, Parquet, netCDF."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import xarray as xr

from suite.analysis.selection import Selection
from suite.errors import StoreError, UserError


def write_table(selection: Selection, form: str, out: Path) -> Path:
    """Write the runs of ``selection`` to ``out``: "csv", "parquet" (one row a run), "netcdf" (with curves).

    Raises
    ------
    UserError
        The library for the format is missing.
    StoreError
        The file cannot be written; one that was there stays as it was.
    """
    unfinished = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "netcdf":
            _to_netcdf(selection.dataset.isel(run=selection.table["row"].to_numpy()), unfinished)
        else:
            _to_table(selection.table.drop(columns="row"), form, unfinished)
        os.replace(unfinished, out)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return out


def _to_table(table: pd.DataFrame, form: str, out: Path) -> None:
    if form == "csv":
        table.to_csv(out, index=False)
        return
    table.attrs = {}
    try:
        table.to_parquet(out, index=False, engine="pyarrow")
    except ImportError as error:
        raise UserError(
            "--to parquet needs the package pyarrow; pip install 'ptychosuite[parquet]'"
        ) from error


def _to_netcdf(dataset: xr.Dataset, out: Path) -> None:
    columns = dataset.attrs.pop("columns")
    dataset = dataset.load().assign_attrs(factors=[name for name, _ in columns.values()])
    try:
        dataset.to_netcdf(out, engine="h5netcdf")
    except ValueError as error:
        if "h5netcdf" not in str(error):
            raise
        raise UserError(
            "--to netcdf needs the package h5netcdf; pip install 'ptychosuite[netcdf]'"
        ) from error
