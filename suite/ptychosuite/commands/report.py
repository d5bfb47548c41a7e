"""``ptychosuite report``: figures and page."""

from __future__ import annotations

from pathlib import Path

import click

from ptychosuite.commands.options import study_options
from ptychosuite.commands.sources import selected_runs
from ptychosuite.commands.terminal import status
from ptychosuite.errors import UserError


@click.command()
@study_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
    help="Folder that gets a report folder for each study.",
)  # fmt: skip
def report(
    study: Path, settings: tuple[str, ...], override_file: Path | None, results: str, out: Path
) -> None:
    """Draw the figures of STUDY and write its report.

    STUDY is a study file, a results folder or a bundle; from a results folder the latest session is reported,
    and no study file is needed. A bundle is checked and drawn from what it holds.
    """
    from ptychosuite.analysis.selection import selection_of
    from ptychosuite.reporting.bundle import is_bundle, opened_bundle
    from ptychosuite.reporting.page import write_report

    if is_bundle(study):
        if settings or override_file:
            raise UserError("--set and --override go with a study file, not with a bundle")
        with opened_bundle(study) as bundle, status("drawing"):
            page = write_report(selection_of(bundle.store, bundle.study), out, f"the bundle {bundle.name}")
    else:
        selection, _ = selected_runs(study, settings, override_file, results)
        with status("drawing"):
            page = write_report(selection, out)
    click.echo(f"report: {page}")
