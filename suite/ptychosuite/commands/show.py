"""``ptychosuite show``: how runs ended, and what a data file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ptychosuite.commands.options import json_option, results_option, study_argument
from ptychosuite.commands.sources import stored_results
from ptychosuite.commands.terminal import cell, count_runs, print_table, print_tree
from ptychosuite.errors import UserError


@click.command()
@study_argument
@click.argument("run_id", required=False)
@results_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PNG",
    help="Of a data file: draw scan and mean pattern into this picture.",
)  # fmt: skip
@json_option
def show(study: Path, run_id: str | None, results: str, out: Path | None, as_json: bool) -> None:
    """Show how the runs of STUDY (a study file, a results folder, a bundle) ended, or all about one run.

    RUN_ID may be shortened to its first digits. Where STUDY is a data file (CXI, NeXus, ptyd, HDF5, NPZ,
    MAT), say what it holds.
    """
    if study.is_file() and study.suffix not in (".yaml", ".yml", ".zip"):
        _show_data_file(study, out, as_json)
        return
    with stored_results(study, results) as store:
        if run_id is None:
            _show_store(store, as_json)
        else:
            _show_run(store, study, run_id, as_json)


def _show_run(store: Any, study: Path, run_id: str, as_json: bool) -> None:
    from ptychosuite.store.read import inventory, read_run

    held = inventory(store)
    files = {**held.failed, **held.done}
    matches = [name for name in files if name.startswith(run_id)]
    if len(matches) != 1:
        raise UserError(
            f"{len(matches)} runs of {store.root} have an id that begins with '{run_id}'; "
            f"list them with: ptychosuite show {study}"
        )
    record = read_run(files[matches[0]], images=False)
    content = {
        "run_id": record.run_id,
        "status": str(record.status),
        "message": record.message,
        "file": str(files[matches[0]]),
        "metrics": {name: _finite(value) for name, value in record.metrics.items()},
        "spec": record.spec.to_dict(),
        "provenance": record.provenance,
    }
    if as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        print_tree(content)


def _show_data_file(file: Path, out: Path | None, as_json: bool) -> None:
    from ptychosuite.problems.measured import MeasuredFile, describe

    measurement = MeasuredFile(path=str(file.resolve())).read()
    content = describe(measurement)
    if as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        print_tree(dict(content))
    if out:
        from ptychosuite.reporting.measurement import draw_measurement

        mean = measurement.diffraction_intensity.mean(axis=0, dtype="float64")
        draw_measurement(file.name, measurement.scan_positions_px, mean, measurement.probe, out)
        click.echo(f"picture: {out}", err=as_json)


def _show_store(store: Any, as_json: bool) -> None:
    from ptychosuite.analysis.tables import run_table

    table = run_table(store)
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
        return
    columns = [name for name in ("residual", "error", "iterations", "seconds") if name in table]
    factors = [str(name) for name in table.attrs["factors"] if table[name].nunique(dropna=False) > 1]
    shown = table[["run_id", "status", *factors, *columns]]
    rows = [[str(run_id)[:8], *map(cell, rest)] for run_id, *rest in shown.itertuples(index=False)]
    print_table(["run", *map(str, shown.columns[1:])], rows)
    counts = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
    click.echo(f"\n{count_runs(table)} in {store.root}: {counts}")


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
