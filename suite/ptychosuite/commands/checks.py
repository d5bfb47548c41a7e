"""``ptychosuite check``, ``baseline`` and ``reproduce``: is it as good as it was, is it the same again?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import ptychosuite
from ptychosuite.api.display import count_runs, text_table
from ptychosuite.commands.followups import answer, echo
from ptychosuite.commands.options import (
    baselines_option,
    cluster_option,
    followed,
    json_option,
    results_option,
    stoppable,
    study_argument,
    study_options,
    workers_option,
)
from ptychosuite.errors import UserError


@click.command()
@study_options
@click.option("--baseline", metavar="NAME", help="Compare the quality of every run with this baseline.")
@baselines_option
@click.option(
    "--time-against", metavar="REV",
    help="Time every solver of the study side by side with this revision, with a release "
    "(ptychosuite==VERSION) or with the package of the interpreter at this path. Takes seconds a case.",
)  # fmt: skip
@click.option(
    "--published", is_flag=True, help="Compare with the study's published values, each within its tolerance."
)
@click.option("--all", "show_all", is_flag=True, help="List every figure, those as before too.")
@json_option
@click.option(
    "--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the verdict as JUnit XML."
)
@click.option(
    "--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write the verdict as Markdown."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="Draw the history of the study's checks into this folder, as 'trend' does.",
)  # fmt: skip
def check(
    show_all: bool, as_json: bool, junit: Path | None, markdown: Path | None, out: Path | None, **asked: Any
) -> None:
    """Say whether the runs of STUDY are as good as they were; runs nothing that is missing.

    The verdict is kept in results/STUDY/checks, where that can be written. Under GitHub Actions, annotations
    and the step's summary are written as well.

    \b
    Exit codes: 0 good, or better; 1 regression; 2 wrong usage; 3 could not judge.

    \b
        ptychosuite check studies/nightly.yaml --baseline nightly --time-against HEAD~1
    """
    with stoppable("nothing has been judged"):
        verdict = ptychosuite.check(**asked, progress=followed())
    if verdict.not_kept:
        echo(f"verdict not kept: {verdict.not_kept}", err=True)
    for file, form in ((junit, verdict.junit), (markdown, verdict.markdown)):
        if file is not None:
            with _writing(file):
                file.write_text(form(), encoding="utf-8")
    _tell_github(verdict, quiet=as_json)
    if as_json:
        answer(verdict.to_dict())
    else:
        echo(verdict.text(show_all, " (--all lists them)"))
        if verdict.file:
            echo(f"verdict: {verdict.file}")
    if out is not None:
        besides = [] if verdict.file else [verdict]
        study, results = asked["study"], asked["results"]
        page = ptychosuite.trend(study, results=results, out=out, besides=besides, progress=followed())
        echo(f"trend: {page}", err=as_json)
    sys.exit(verdict.judgement.exit_code)


def _tell_github(verdict: ptychosuite.CheckVerdict, quiet: bool) -> None:
    """Annotations and the summary of the step, where GitHub Actions runs this."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in verdict.workflow_commands():
            echo(line, err=quiet)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with _writing(summary), open(summary, "a", encoding="utf-8") as file:
            file.write(verdict.markdown())


@contextmanager
def _writing(file: str | Path) -> Iterator[None]:
    """Say readably that ``file`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from error


@click.group()
def baseline() -> None:
    """Save and list baselines: the quality figures of a study's runs, for 'check' to compare with."""


@baseline.command()
@click.argument("name")
@study_options
@baselines_option
@click.option("--force", is_flag=True, help="Replace a baseline of this name.")
def save(**asked: Any) -> None:
    """Save the figures of STUDY's runs, all of them done with the present code, as the baseline NAME.

    The file is small, one block of lines a run, and meant to be committed.

    \b
        ptychosuite baseline save mine studies/quickstart.yaml
    """
    file, made = ptychosuite.save_baseline(**asked)
    echo(f"baseline: {file}, {count_runs(len(made.runs))}")
    if made.environment.get("git_dirty"):
        echo("its code differs from the commit that it names: commit first to be able to go back", err=True)


@baseline.command(name="list")
@baselines_option
@json_option
def list_baselines(baselines: Path, as_json: bool) -> None:
    """List the baselines with study, date, commit and number of runs.

    \b
        ptychosuite baseline list --json
    """
    found = [
        {
            "name": each.name,
            "study": each.study,
            "when": each.when,
            "commit": each.environment.get("git_commit", ""),
            "runs": len(each.runs),
        }
        for each in ptychosuite.list_baselines(baselines)
    ]
    if as_json:
        answer(found)
    elif found:
        rows = [
            [each["name"], each["study"], each["when"][:16], each["commit"][:10], each["runs"]]
            for each in found
        ]
        echo(text_table(["baseline", "study", "saved", "commit", "runs"], rows))
    else:
        echo(f"no baselines in {baselines}; save one with: ptychosuite baseline save NAME STUDY")


@click.command()
@study_argument
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="K",
    help="Only K runs, drawn so that solvers and factors come up evenly.",
)  # fmt: skip
@click.option("--draw", default=0, show_default=True, metavar="SEED", help="Which sample to draw.")
@results_option
@cluster_option
@workers_option
@click.option("--backend", metavar="BACKEND", help="Carry the runs out on another backend than their own.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Folder with data files that are no longer where they were.",
)  # fmt: skip
@click.option("--all", "show_all", is_flag=True, help="List every run, the identical ones too.")
@json_option
def reproduce(show_all: bool, as_json: bool, **asked: Any) -> None:
    """Run what is stored of STUDY again, and say run by run whether the same comes out.

    STUDY is a study file, a results folder or a bundle. The specifications are those that are stored with the
    runs: the study file may have changed. Results are never touched. A run is identical (bit for bit, but for
    times and memory), within the tolerance that rounding needs, or different.

    Leaves with 0 where all are reproduced, 1 where some differ, 3 where some could not be run again.

    \b
        ptychosuite reproduce studies/quickstart.yaml --sample 10
    """
    with stoppable("nothing is kept of what was run again, and the results are as they were."):
        found = ptychosuite.reproduce(**asked, progress=followed(quiet=as_json))
    answer(found.to_dict() if as_json else found.text(show_all))
    sys.exit(found.exit_code)
