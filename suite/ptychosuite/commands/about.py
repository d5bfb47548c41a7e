"""``ptychosuite schema``, ``solvers`` and ``doctor``: what there is."""

from __future__ import annotations

import json
from typing import Any

import click

from ptychosuite.commands.options import json_option
from ptychosuite.commands.terminal import print_tree


@click.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    from ptychosuite.study.json_schema import study_schema

    click.echo(json.dumps(study_schema(), indent=1))


@click.command()
@json_option
def solvers(as_json: bool) -> None:
    """List the solvers with their settings and defaults."""
    import dataclasses
    import inspect

    from ptychosuite.registry import lookup as registry

    listing: dict[str, dict[str, Any]] = {}
    for name in registry.names("solvers"):
        cls = registry.class_of("solvers", name)
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        summary = (inspect.getdoc(cls) or "").split("\n")[0]
        listing[name] = {"summary": summary, "settings": fields}
    if as_json:
        click.echo(json.dumps(listing, indent=1))
        return
    for name, entry in listing.items():
        given = ", ".join(f"{key}: {value}" for key, value in entry["settings"].items())
        click.echo(f"{name:8} {entry['summary']}\n{'':8} {{name: {name}{', ' + given if given else ''}}}")


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine and this installation can do."""
    from ptychosuite.backends.arrays import BACKENDS, backend
    from ptychosuite.errors import BackendError
    from ptychosuite.execute.provenance import environment

    backends = {}
    for name in BACKENDS:
        try:
            found = backend(name)
            backends[name] = found.device_description().get("gpu_model", "available")
        except BackendError as error:
            backends[name] = f"not available: {error}"
    content = {"backends": backends, "environment": environment()}
    if as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        print_tree(content)
