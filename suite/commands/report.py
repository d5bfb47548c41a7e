"""``ptychosuite report``: figures and page."""

from __future__ import annotations

from pathlib import Path

import click

from suite.commands.options import study_options
from suite.commands.planning import planned_study
from suite.errors import UserError
from suite.terminal import status


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

    STUDY is a study file or a results folder; from a results folder the latest session is reported, and no
    study file is needed.
    """
    from suite.analysis.selection import selection_of_plan, selection_of_store
    from suite.report.page import write_report

    if study.is_dir():
        if settings or override_file:
            raise UserError("--set and --override go with a study file, not with a results folder")
        selection = selection_of_store(study)
    else:
        selection = selection_of_plan(planned_study(study, settings, override_file), results)
    with status("drawing"):
        page = write_report(selection, out)
    click.echo(f"report: {page}")
