"""``ptychosuite clean`` and ``merge``: results folders put in order."""

from __future__ import annotations

import sys
from typing import Any

import click

import ptychosuite
from ptychosuite.commands.followups import answer, command_line, echo
from ptychosuite.commands.options import json_option, study_options


@click.command()
@study_options
@click.option(
    "--only", multiple=True, metavar="KIND",
    help="Only this, as in --only failed: failed, superseded, foreign, damaged, orphaned, leftovers. "
    "Repeatable.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it: move the files into removed/ of the results folder.")
@click.option("--delete", is_flag=True, help="With --yes: delete the files instead.")
@json_option
def clean(yes: bool, delete: bool, as_json: bool, **asked: Any) -> None:
    """Say what the results of STUDY need not keep, and with --yes set it aside.

    STUDY is a study file, or a results folder, whose latest session then says which runs are the study's.
    Found are failed tries, results of other code that those of the present one have replaced, runs that the
    study does not have, files that cannot be read or do not belong there, truths that no run is compared
    with, and what sweeps have left half done.

    \b
        ptychosuite clean studies/quickstart.yaml --only failed --only superseded
        ptychosuite clean results/quickstart --yes
    """
    if delete and not yes:
        raise click.UsageError("--delete goes with --yes; without it nothing is touched")
    cleaning = ptychosuite.clean(**asked)
    if not as_json:
        echo(str(cleaning))
    moved = cleaning.carry_out(delete) if yes and len(cleaning) else None
    if as_json:
        where = {"moved_to": None if moved is None else str(moved)}
        answer(cleaning.to_dict() | {"done": yes} | where)
    elif moved is not None:
        echo(f"moved to {moved}")
    elif yes and len(cleaning):
        echo("deleted")
    elif len(cleaning):
        echo(f"nothing has been touched; do it with: {command_line('clean', '--yes')}")


@click.command()
@click.argument("into", metavar="INTO")
@click.argument("sources", nargs=-1, required=True, metavar="FROM...")
@json_option
def merge(into: str, sources: tuple[str, ...], as_json: bool) -> None:
    """Copy results of other folders into one, INTO.

    All are results folders of one study, or their s3:// addresses. INTO gets the runs and sessions that it
    lacks; what it has stays, and the others are only read. Leaves with 1 where a file of theirs is damaged.

    \b
        ptychosuite merge results/quickstart elsewhere/results/quickstart
    """
    merged = ptychosuite.merge(into, *sources)
    answer(merged.to_dict() if as_json else str(merged))
    for file in merged.damaged:
        echo(f"damaged, and left: {file}", err=True)
    if merged.damaged:
        sys.exit(1)
