"""``ptychosuite reproduce``: run again and compare with what is stored."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptychosuite.commands.options import (
    cluster_option,
    json_option,
    results_option,
    study_argument,
    workers_option,
)
from ptychosuite.commands.repeating import Stored, newest_runs, repeat
from ptychosuite.commands.sources import stored_results
from ptychosuite.commands.sweeping import check_terms
from ptychosuite.commands.terminal import count_runs, print_table
from ptychosuite.errors import StoreError

if TYPE_CHECKING:
    from ptychosuite.analysis.repetition import Comparison, Difference


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
def reproduce(
    study: Path,
    sample: int | None,
    draw: int,
    results: str,
    cluster: str,
    workers: int | None,
    backend: str | None,
    data: Path | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Run what is stored of STUDY again, and say run by run whether the same comes out.

    STUDY is a study file, a results folder or a bundle. The specifications are those that are stored with the
    runs: the study file may have changed. Results are never touched. A run is identical (bit for bit, but for
    times and memory), within the tolerance that rounding needs, or different.

    Leaves with 0 where all are reproduced, 1 where some differ, 3 where some could not be run again.
    """
    from ptychosuite.analysis.repetition import Comparison, Likeness, exit_code, worst_first
    from ptychosuite.cluster.cluster_file import cluster_settings
    from ptychosuite.cluster.work import Terms
    from ptychosuite.store.layout import place
    from ptychosuite.study.estimate import footprint

    kind, terms = cluster_settings(cluster, workers), Terms(footprint=footprint)
    check_terms(terms, kind)
    if backend is not None:
        _check_backend(backend, kind.on_this_machine)
    with stored_results(study, results) as store:
        name = store.root.name
        runs, unreadable = newest_runs(store)
        if not runs and not unreadable:
            raise StoreError(f"{store.root} has no runs yet; run the study first: ptychosuite run STUDY")
        chosen = _sampled(runs, sample, draw) if sample else runs
        click.echo(f"{name}: {len(chosen)} of {count_runs(runs)} to carry out again", err=as_json)
        beside = place(results) / f".{name}"
        found = list(repeat(chosen, kind, terms, backend=backend, data=data, beside=beside, quiet=as_json))
    found += [Comparison(run_id, "", Likeness.UNDECIDED, message=why) for run_id, why in unreadable.items()]
    found = worst_first(found)
    if as_json:
        click.echo(json.dumps(_content(name, found, chosen), indent=1))
    else:
        _print(found, chosen, show_all)
    sys.exit(exit_code(found))


def _check_backend(name: str, here: bool) -> None:
    from ptychosuite.backends.arrays import BACKENDS, backend

    if here or name not in BACKENDS:
        backend(name)


def _sampled(runs: Sequence[Stored], count: int, seed: int) -> list[Stored]:
    from ptychosuite.analysis.repetition import balanced_sample

    places = balanced_sample([run.record.spec for run in runs], count, seed)
    return [runs[place] for place in places]


def _counts(found: Sequence[Comparison]) -> dict[str, int]:
    from ptychosuite.analysis.repetition import WORST_FIRST

    counted = Counter(comparison.likeness for comparison in found)
    return {str(likeness): counted[likeness] for likeness in WORST_FIRST if counted[likeness]}


def _content(name: str, found: Sequence[Comparison], runs: Sequence[Stored]) -> dict[str, Any]:
    specs = {run.record.run_id: run.record.spec.to_dict() for run in runs}
    listed = [{**comparison.to_dict(), "spec": specs.get(comparison.run_id)} for comparison in found]
    return {"study": name, "counts": _counts(found), "runs": listed}


def _print(found: Sequence[Comparison], runs: Sequence[Stored], show_all: bool) -> None:
    from ptychosuite.analysis.repetition import Likeness, varying_paths
    from ptychosuite.core.factors import factor_names, factor_value, fast_forward_as_one

    names = factor_names(varying_paths([run.record.spec for run in runs]))
    leaves = {run.record.run_id: fast_forward_as_one(run.record.spec.leaves()) for run in runs}
    rows = []
    for comparison in found:
        if comparison.likeness is Likeness.IDENTICAL and not show_all:
            continue
        run = leaves.get(comparison.run_id, {})
        values = [factor_value(run, path) for path in names]
        factors = ["" if value is None else str(value) for value in values]
        rows.append([comparison.run_id[:8], *factors, str(comparison.likeness), _in_words(comparison)])
    if rows:
        print_table(["run", *names.values(), "again", ""], rows)
        click.echo()
    _print_changes(found)
    counts = ", ".join(f"{count} {likeness}" for likeness, count in _counts(found).items())
    click.echo(f"{count_runs(found)}: {counts}")


def _in_words(comparison: Comparison) -> str:
    """What there is to say of one run, in a line."""
    said = [comparison.message] if comparison.message else []
    if comparison.largest is not None:
        said.append(_difference_in_words(comparison.largest))
    if comparison.first_beyond is not None:
        said.append(f"beyond it from iteration {comparison.first_beyond} on")
    return "; ".join(said)


def _difference_in_words(difference: Difference) -> str:
    where = "" if difference.iteration is None else f" after {difference.iteration}"
    far = f"off by {difference.relative:.1e}" if difference.relative < float("inf") else "cannot be compared"
    return f"{difference.quantity}{where} {far}, tolerance {difference.tolerance:.1e}"


def _print_changes(found: Sequence[Comparison]) -> None:
    """What has changed since the runs were computed, each change once."""
    changes = Counter((what, *values) for c in found for what, values in c.changed.items())
    if not changes:
        return
    click.echo("changed since then:")
    for (what, then, now), count in changes.items():
        runs = "" if count == len(found) else f" ({count_runs(range(count))})"
        click.echo(f"  {what}: {then or 'none'} -> {now or 'none'}{runs}")
    click.echo()
