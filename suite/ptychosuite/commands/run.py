"""``ptychosuite run``: compute it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptychosuite.commands.options import (
    Duration,
    StackSize,
    cluster_option,
    json_option,
    study_options,
    workers_option,
)
from ptychosuite.commands.planning import planned_study
from ptychosuite.commands.sweeping import check_backends, check_memory, check_terms, sweep_with_progress
from ptychosuite.commands.terminal import count_runs

if TYPE_CHECKING:
    from ptychosuite.cluster.sweep import Tally
    from ptychosuite.core.plan import Plan


@click.command()
@study_options
@cluster_option
@workers_option
@click.option(
    "--lane", type=click.Choice(["timing", "throughput"]), default="timing", show_default=True,
    help="timing: each run alone on its core or device. throughput: as many as fit; times mean nothing.",
)  # fmt: skip
@click.option(
    "--stack", type=StackSize(), default="auto", show_default=True, metavar="N",
    help="Throughput lane: runs of equal shape to advance side by side on a device. auto: 32 on a GPU or 1.",
)  # fmt: skip
@click.option("--timeout", type=Duration(), help="Stop a run after this time: 90, 30s, 10m, 2h.")
@click.option(
    "--retries", type=click.IntRange(min=0), default=1, show_default=True,
    help="Times to try a run again whose worker died under it.",
)  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Try failed runs again.")
@click.option("--dry-run", is_flag=True, help="Say what would run, with a batch system's job script; stop.")
@json_option
def run(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    cluster: str,
    workers: int | None,
    lane: str,
    stack: int | None,
    timeout: float | None,
    retries: int,
    retry_failed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry out the runs of STUDY that are not done yet."""
    from ptychosuite.cluster.cluster_file import cluster_settings
    from ptychosuite.cluster.sweep import Tally, to_do
    from ptychosuite.cluster.work import Terms
    from ptychosuite.core.runs import Lane
    from ptychosuite.store.layout import Store, results_of
    from ptychosuite.study.estimate import footprint

    kind = cluster_settings(cluster, workers)
    terms = Terms(Lane(lane), timeout, retries, footprint, stack)
    check_terms(terms, kind)
    if not dry_run:
        kind.prepare()
    planned = planned_study(study, settings, override_file)
    if kind.on_this_machine:
        check_backends(planned)
        check_memory(planned, kind)
    root = results_of(results, planned.name)
    if dry_run:
        begun = Store.find(root)
        specs = to_do(planned, begun, retry_failed) if begun else planned.runs
        _print_dry_run(planned, specs, root, kind.job_script(), as_json)
        return
    store = Store.create(root)
    specs = to_do(planned, store, retry_failed)
    done = len(planned.runs) - len(specs)
    click.echo(f"{planned.title}: {count_runs(planned.runs)}, {done} done, {len(specs)} to do", err=as_json)
    tally = Tally(total=0, done_before=done)
    if specs:
        tally = sweep_with_progress(planned, store, specs, kind, terms, quiet=as_json)
    else:
        from ptychosuite.store.compact import compact

        compact(store)
    failures = _failed_runs(planned, store)
    if as_json:
        counts = {"done_before": done, "failed": len(failures), **tally.counts}
        click.echo(json.dumps({"study": planned.name, "results": root, "counts": counts}))
    else:
        _print_outcome(planned, tally, root, failures, study)
    if failures:
        sys.exit(1)


def _failed_runs(planned: Plan, store: Any) -> list[str]:
    from ptychosuite.store.read import inventory

    failed = inventory(store).failed
    return [run_id for run_id in planned.run_ids if run_id in failed]


def _print_dry_run(planned: Plan, specs: Sequence[Any], root: str, job_script: str, as_json: bool) -> None:
    done = len(planned.runs) - len(specs)
    if as_json:
        content = {"study": planned.name, "results": root, "done": done}
        script = {"job_script": job_script} if job_script else {}
        click.echo(json.dumps(content | {"to_do": [spec.spec_id for spec in specs]} | script))
    else:
        click.echo(f"{planned.title}: {count_runs(planned.runs)}, {done} done, {len(specs)} to do in {root}")
        if job_script:
            click.echo(f"\n{job_script}")


def _print_outcome(planned: Plan, tally: Tally, root: str, failures: Sequence[str], study: Path) -> None:
    counts = ", ".join(f"{count} {status}" for status, count in sorted(tally.counts.items()))
    click.echo(f"{counts or 'nothing to do'}; results: {root}/study.zarr")
    if failures:
        click.echo(
            f"{len(failures)} of {count_runs(planned.runs)} failed; see why with: ptychosuite show {study} "
            f"{failures[0]}\ntry them again with: ptychosuite run {study} --retry-failed",
            err=True,
        )
