"""``ptychosuite baseline``: what later checks compare with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ptychosuite.commands.options import baselines_option, json_option, study_options
from ptychosuite.commands.planning import planned_study
from ptychosuite.commands.terminal import count_runs, print_table


@click.group()
def baseline() -> None:
    """Save and list baselines: the quality figures of a study's runs, for 'check' to compare with."""


@baseline.command()
@click.argument("name")
@study_options
@baselines_option
@click.option("--force", is_flag=True, help="Replace a baseline of this name.")
def save(
    name: str,
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    baselines: Path,
    force: bool,
) -> None:
    """Save the figures of STUDY's runs, all of them done with the present code, as the baseline NAME.

    The file is small, one block of lines a run, and meant to be committed.
    """
    from ptychosuite.analysis.baseline import baseline_file, make_baseline, present_runs, write_baseline
    from ptychosuite.execute.provenance import now
    from ptychosuite.store.layout import results_of

    baseline_file(baselines, name)
    planned = planned_study(study, settings, override_file)
    present = present_runs(planned, results_of(results, planned.name))
    made = make_baseline(name, planned, present, now())
    file = write_baseline(baselines, made, force)
    click.echo(f"baseline: {file}, {count_runs(made.runs)}")
    if made.environment.get("git_dirty"):
        click.echo(
            "its code differs from the commit that it names: commit first to be able to go back", err=True
        )


@baseline.command(name="list")
@baselines_option
@json_option
def list_baselines(baselines: Path, as_json: bool) -> None:
    """List the baselines with study, date, commit and number of runs."""
    from ptychosuite.analysis.baseline import baselines as all_baselines

    found = [
        {
            "name": each.name,
            "study": each.study,
            "when": each.when,
            "commit": each.environment.get("git_commit", ""),
            "runs": len(each.runs),
        }
        for each in all_baselines(baselines)
    ]
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif found:
        rows = [
            [each["name"], each["study"], each["when"][:16], each["commit"][:10], each["runs"]]
            for each in found
        ]
        print_table(["baseline", "study", "saved", "commit", "runs"], rows)
    else:
        click.echo(f"no baselines in {baselines}; save one with: ptychosuite baseline save NAME STUDY")
