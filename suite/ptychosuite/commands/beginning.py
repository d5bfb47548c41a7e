"""``ptychosuite studies`` and ``new``: what to begin from."""

from __future__ import annotations

from pathlib import Path

import click

import ptychosuite
from ptychosuite.commands.followups import answer, echo
from ptychosuite.commands.options import json_option


@click.command()
@click.argument("name", required=False)
@json_option
def studies(name: str | None, as_json: bool) -> None:
    """List the studies that come with ptychosuite, or print one.

    Their names stand wherever a study file is taken; a file or folder of the same name here goes before them.

    \b
        ptychosuite studies
        ptychosuite run quickstart
        ptychosuite studies paper/levels > levels.yaml
    """
    found = ptychosuite.studies()
    if name is None:
        answer(found.to_dict() if as_json else str(found))
    elif as_json:
        answer(found.named(name).to_dict())
    else:
        click.echo(str(found.named(name)), nl=False)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write a first study with comments into FILE, to be changed.

    \b
        ptychosuite new mine.yaml
        ptychosuite run mine.yaml --cluster none
        ptychosuite report mine.yaml
    """
    written = ptychosuite.new_study(file)
    echo(f"study: {written}\nnext: ptychosuite plan {written}")
