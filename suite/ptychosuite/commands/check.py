"""``ptychosuite check``: is it as good as it was?"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ptychosuite.commands.options import baselines_option, json_option, study_options
from ptychosuite.commands.planning import planned_study
from ptychosuite.commands.sweeping import INTERRUPTED, interrupt
from ptychosuite.commands.terminal import print_table, stages, status
from ptychosuite.errors import UserError

if TYPE_CHECKING:
    from ptychosuite.analysis.verdict import Finding, Verdict
    from ptychosuite.core.plan import Plan
    from ptychosuite.store.layout import Store
    from ptychosuite.timing.compare import Timing

SHOWN_FINDINGS = 40


@click.command()
@study_options
@click.option("--baseline", metavar="NAME", help="Compare the quality of every run with this baseline.")
@baselines_option
@click.option(
    "--time-against", metavar="REV",
    help="Time every solver of the study side by side with this revision, with a release "
    "(ptychosuite==VERSION) or with the package of the interpreter at this path. Takes seconds a case.",
)  # fmt: skip
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
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    baseline: str | None,
    baselines: Path,
    time_against: str | None,
    show_all: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
    out: Path | None,
) -> None:
    """Say whether the runs of STUDY are as good as they were; runs nothing that is missing.

    The verdict is kept in results/STUDY/checks. Under GitHub Actions, annotations and the step's summary are
    written as well.

    \b
    Exit codes: 0 good, or better; 1 regression; 2 wrong usage; 3 could not judge.
    """
    from ptychosuite.analysis.verdict import Verdict, keep_verdict
    from ptychosuite.execute.provenance import environment, now
    from ptychosuite.store.layout import Store, results_of

    if baseline is None and time_against is None:
        raise UserError(
            "nothing to compare with; name a baseline, as in --baseline nightly (ptychosuite baseline list), "
            "or a revision, as in --time-against HEAD~1"
        )
    planned = planned_study(study, settings, override_file)
    root = results_of(results, planned.name)
    against: dict[str, object] = {}
    findings: list[Finding] = []
    if baseline is not None:
        against, findings = _quality(planned, root, baselines, baseline)
    if time_against is not None:
        timing = _times(planned, time_against)
        against |= {"revision": time_against, "time": timing.against}
        findings += timing.findings
    verdict = Verdict(planned.name, now(), against, environment(), tuple(findings))
    kept = keep_verdict(Store.create(root), verdict)
    _write_reports(verdict, junit, markdown)
    _tell_github(verdict, quiet=as_json)
    if as_json:
        click.echo(json.dumps(verdict.to_dict() | {"file": str(kept)}, indent=1))
    else:
        _print(verdict, show_all)
        click.echo(f"verdict: {kept}")
    if out is not None:
        _draw_trend(Store.open(root), out, quiet=as_json)
    sys.exit(verdict.judgement.exit_code)


def _quality(planned: Plan, root: str, folder: Path, name: str) -> tuple[dict[str, object], list[Finding]]:
    """What the runs are compared with, and what was found."""
    from ptychosuite.analysis.baseline import present_runs, read_baseline
    from ptychosuite.analysis.quality import quality_findings
    from ptychosuite.analysis.rounding import changes, rounding_changes

    baseline = read_baseline(folder, name)
    present = present_runs(planned, root)
    found = changes(baseline.environment, present.environment) if present.figures else {}
    against = {
        "baseline": name,
        "commit": baseline.environment.get("git_commit"),
        "when": baseline.when,
        "changed": rounding_changes(found),
    }
    return against, quality_findings(baseline, planned, present)


def _times(planned: Plan, against: str) -> Timing:
    """The study's solvers beside those of ``against``; stopped by Ctrl-C or SIGTERM, it leaves no process."""
    from ptychosuite.timing.compare import compare_times

    signal.signal(signal.SIGTERM, interrupt)
    try:
        with stages("cases timed") as tell:
            return compare_times(planned, against, tell)
    except KeyboardInterrupt:
        click.echo("\nstopped; nothing has been judged", err=True)
        sys.exit(INTERRUPTED)


def _write_reports(verdict: Verdict, junit: Path | None, markdown: Path | None) -> None:
    if junit is None and markdown is None:
        return
    from ptychosuite.reporting import verdict_text as ci

    for file, form in ((junit, ci.junit), (markdown, ci.markdown)):
        if file is not None:
            with _writing(file):
                file.write_text(form(verdict), encoding="utf-8")


def _tell_github(verdict: Verdict, quiet: bool) -> None:
    """Annotations and the summary of the step, where GitHub Actions runs this."""
    from ptychosuite.reporting import verdict_text as ci

    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in ci.workflow_commands(verdict):
            click.echo(line, err=quiet)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with _writing(summary), open(summary, "a", encoding="utf-8") as file:
            file.write(ci.markdown(verdict))


@contextmanager
def _writing(file: str | Path) -> Iterator[None]:
    """Say readably that ``file`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from error


def _draw_trend(store: Store, out: Path, quiet: bool) -> None:
    from ptychosuite.analysis.verdict import verdicts
    from ptychosuite.reporting.trend_page import write_trend

    with status("drawing"):
        page = write_trend(verdicts(store), out)
    click.echo(f"trend: {page}", err=quiet)


def _print(verdict: Verdict, show_all: bool) -> None:
    from ptychosuite.analysis.verdict import Judgement
    from ptychosuite.reporting.verdict_text import HEADER, row, sentence

    shown = [f for f in verdict.worst_first if show_all or f.judgement is not Judgement.GOOD]
    limit = None if show_all else SHOWN_FINDINGS
    if shown:
        print_table(HEADER, [row(finding) for finding in shown[:limit]])
        if limit is not None and len(shown) > limit:
            click.echo(f"... and {len(shown) - limit} more (--all lists them)")
        click.echo()
    click.echo(sentence(verdict))
