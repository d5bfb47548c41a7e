"""Results as tables for other programs: CSV, Parquet, netCDF."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pandas as pd
import xarray as xr

from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.tables import columns_of
from ptychosuite.errors import StoreError, UserError

LIBRARIES = {"parquet": "pyarrow", "netcdf": "h5netcdf"}


def write_table(selection: Selection, form: str, out: Path) -> Path:
    """Write the runs of ``selection`` to ``out``: "csv", "parquet" (one row a run), "netcdf" (with curves).

    Raises
    ------
    UserError
        The library for the format is missing.
    StoreError
        The file cannot be written; one that was there stays as it was.
    """
    _check_library(form)
    unfinished = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if form == "netcdf":
            _to_netcdf(selection.dataset.isel(run=selection.stored["row"].to_numpy()), unfinished)
        else:
            _to_table(selection.stored.drop(columns="row"), form, unfinished)
        os.replace(unfinished, out)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return out


def _check_library(form: str) -> None:
    library = LIBRARIES.get(form)
    if library is None:
        return
    try:
        import_module(library)
    except ImportError as error:
        raise UserError(
            f"--to {form} needs the package {library}, which cannot be imported ({error}); "
            f"pip install 'ptychosuite[{form}]'"
        ) from error


def _to_table(table: pd.DataFrame, form: str, out: Path) -> None:
    if form == "csv":
        table.to_csv(out, index=False)
    else:
        table.attrs = {}  # pyarrow would store them as JSON, which they are not
        table.to_parquet(out, index=False, engine="pyarrow")


def _to_netcdf(dataset: xr.Dataset, out: Path) -> None:
    import dask

    dataset = dataset.load()
    factors = [name for name, _ in columns_of(dataset).values()]
    with dask.config.set(scheduler="synchronous"):  # all is in memory: no cluster of the caller's is asked
        dataset.assign_attrs(factors=factors).to_netcdf(out, engine="h5netcdf")
