"""``ptychosuite schema``, ``solvers`` and ``doctor``: what there is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

import ptychosuite
from ptychosuite.api.display import tree_text
from ptychosuite.commands.options import json_option


@click.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    click.echo(json.dumps(ptychosuite.schema(), indent=1))


@click.command()
@json_option
def solvers(as_json: bool) -> None:
    """List the solvers with their settings and defaults."""
    listing = ptychosuite.available("solvers")
    faults = ptychosuite.faults()
    if as_json:
        click.echo(json.dumps({**listing, "faults": faults}, indent=1, default=str))
        return
    for name, entry in listing.items():
        given = ", ".join(f"{key}: {value}" for key, value in entry["settings"].items())
        click.echo(f"{name:8} {entry['summary']}\n{'':8} {{name: {name}{', ' + given if given else ''}}}")
    _print_faults(faults)


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine and this installation can do, and what is wrong with its plug-ins."""
    content = ptychosuite.doctor()
    if as_json:
        click.echo(json.dumps(content, indent=1))
        return
    faults = content.pop("faults")
    nouns = {
        group: ", ".join(f"{name} ({package})" if package else name for name, package in found.items())
        for group, found in content["nouns"].items()
    }
    click.echo(tree_text({**content, "nouns": nouns}))
    _print_faults(faults)


def _print_faults(faults: Sequence[Mapping[str, Any]]) -> None:
    """What is wrong with plug-ins; they disturb nothing else."""
    for fault in faults:
        click.echo(f"fault of {fault['package']}: {fault['group']}, '{fault['name']}': {fault['message']}")
