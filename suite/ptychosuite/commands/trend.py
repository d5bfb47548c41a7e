"""``ptychosuite trend``: the history of a study's checks."""

from __future__ import annotations

from pathlib import Path

import click

from ptychosuite.commands.options import results_option, study_argument
from ptychosuite.commands.sources import stored_results
from ptychosuite.commands.terminal import status


@click.command()
@study_argument
@results_option
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
    help="Folder that gets the page, STUDY-trend.html.",
)  # fmt: skip
def trend(study: Path, results: str, out: Path) -> None:
    """Draw the history of the checks of STUDY (a study file or a results folder) as a page.

    It shows the latest verdict, how each figure has moved over the checks, and where a level has changed the
    commits to look at.
    """
    from ptychosuite.analysis.verdict import verdicts
    from ptychosuite.reporting.trend_page import write_trend

    with stored_results(study, results) as store, status("drawing"):
        page = write_trend(verdicts(store), out)
    click.echo(f"trend: {page}")
