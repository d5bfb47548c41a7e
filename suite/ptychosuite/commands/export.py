"""``ptychosuite export``: results for other programs, and bundles to publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptychosuite.commands.options import study_options
from ptychosuite.commands.sources import selected_runs
from ptychosuite.commands.terminal import count_runs, status
from ptychosuite.errors import UserError

if TYPE_CHECKING:
    from ptychosuite.analysis.selection import Selection

FORMATS = {"crate": ".zip", "csv": ".csv", "parquet": ".parquet", "netcdf": ".nc"}


@click.command()
@study_options
@click.option(
    "--to", "form", type=click.Choice(list(FORMATS)), required=True,
    help="crate: an RO-Crate to publish. csv, parquet: one row a run. netcdf: the dataset with its curves.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="File to write, or for a crate a new folder.  [default: STUDY with the form's suffix]",
)  # fmt: skip
@click.option("--license", "licence", metavar="SPDX", help="Of a crate: its licence, as in CC-BY-4.0.")
@click.option(
    "--author", "authors", multiple=True, metavar="'NAME <ORCID>'",
    help="Of a crate: who is to be cited. Repeatable; the ORCID may be left out.",
)  # fmt: skip
@click.option("--partial", is_flag=True, help="Export a study that is not finished.")
def export(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    form: str,
    out: Path | None,
    licence: str | None,
    authors: tuple[str, ...],
    partial: bool,
) -> None:
    """Write the results of STUDY for others.

    STUDY is a study file or a results folder, of which the latest session counts. A crate holds study,
    results, figures, environment and provenance; the commands report, show and reproduce read it back.
    """
    from ptychosuite.reporting.export_tables import write_table

    if form != "crate" and (licence or authors):
        raise UserError(f"--license and --author go with --to crate, not with --to {form}")
    selection, content = selected_runs(study, settings, override_file, results)
    if not partial:
        _refuse_unfinished(selection)
    out = out or Path(f"{selection.name}{FORMATS[form]}")
    with status("writing"):
        if form == "crate":
            written = _write_crate(selection, content, out, licence, authors)
        else:
            written = write_table(selection, form, out)
    click.echo(f"{count_runs(selection.table)}: {written}")


def _refuse_unfinished(selection: Selection) -> None:
    left = selection.planned - len(selection.usable)
    if left:
        raise UserError(
            f"{left} of the {selection.planned} runs of {selection.name} are missing or have failed; "
            "finish them with 'ptychosuite run STUDY --retry-failed', or export what there is with --partial"
        )


def _write_crate(
    selection: Selection,
    content: Mapping[str, Any],
    out: Path,
    licence: str | None,
    authors: Sequence[str],
) -> Path:
    from ptychosuite.reporting.crate import write_bundle
    from ptychosuite.reporting.crate_metadata import author_of, checked_licence

    if licence is None:
        raise UserError(
            "--to crate needs a licence, without which nobody may use what you publish; say "
            "--license CC-BY-4.0, or another SPDX identifier"
        )
    return write_bundle(selection, content, out, checked_licence(licence), [author_of(a) for a in authors])
