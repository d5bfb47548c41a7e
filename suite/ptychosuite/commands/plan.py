"""``ptychosuite plan``: what a study would compute."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptychosuite.commands.options import json_option, study_options
from ptychosuite.commands.planning import planned_study
from ptychosuite.commands.terminal import count_runs, duration, print_table, size_text

if TYPE_CHECKING:
    from ptychosuite.core.plan import Plan

SHOWN_RUNS = 40


@click.command()
@study_options
@click.option("--all", "show_all", is_flag=True, help="List every run.")
@click.option("--why", is_flag=True, help="Say why runs are to do: what is new, which files have changed.")
@json_option
def plan(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    show_all: bool,
    why: bool,
    as_json: bool,
) -> None:
    """Check STUDY and show its runs, what is done and what the rest will cost. Runs nothing."""
    from ptychosuite.analysis.to_do import why_to_do
    from ptychosuite.store.layout import Store, results_of
    from ptychosuite.store.read import Inventory, inventory
    from ptychosuite.study.estimate import estimate

    planned = planned_study(study, settings, override_file)
    root = results_of(results, planned.name)
    store = Store.find(root)
    held = inventory(store) if store else Inventory({}, {})
    remaining = planned.remaining(held.done)
    cost = estimate(remaining)
    reasons = why_to_do(planned, store) if why else {}
    if as_json:
        runs = [
            {"run_id": run_id, "spec_id": spec.spec_id, "state": _state(run_id, held), "spec": spec.to_dict()}
            for spec, run_id in zip(planned.runs, planned.run_ids, strict=True)
        ]
        for run in runs if why else ():
            run["why"] = reasons.get(str(run["run_id"]), "")
        content = {
            "study": planned.name,
            "runs": runs,
            "remaining": len(remaining),
            "cpu_seconds_at_most": cost.cpu_seconds,
            "disk_bytes": cost.disk_bytes,
            "memory_bytes": cost.memory_bytes,
        }
        click.echo(json.dumps(content, indent=1))
        return
    _print_runs(planned, held, None if show_all else SHOWN_RUNS)
    done = len(planned.runs) - len(remaining)
    click.echo(f"\n{planned.title}: {count_runs(planned.runs)}, {done} done, {len(remaining)} to do")
    if remaining:
        click.echo(
            f"at most {duration(cost.cpu_seconds)} on one core of this machine, "
            f"about {size_text(cost.memory_bytes)} of memory a run, "
            f"{size_text(cost.disk_bytes)} on disk in {root}"
        )
    for reason, number in Counter(reasons.values()).items():
        click.echo(f"{number} to do: {reason}")


def _print_runs(planned: Plan, held: Any, limit: int | None) -> None:
    from ptychosuite.core.factors import factor_names, factor_value

    names = factor_names(planned.factors)
    rows = []
    pairs = list(zip(planned.runs, planned.run_ids, strict=True))
    for spec, run_id in pairs[:limit]:
        leaves = spec.leaves()
        values = [factor_value(leaves, path) for path in names]
        shown = [
            "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            for value in values
        ]
        rows.append([run_id[:8], *shown, str(spec.stop["iterations"]), _state(run_id, held)])
    print_table(["run", *names.values(), "iterations", "state"], rows)
    if limit is not None and len(pairs) > limit:
        click.echo(f"... and {len(pairs) - limit} more (--all lists them)")


def _state(run_id: str, held: Any) -> str:
    return "done" if run_id in held.done else "failed" if run_id in held.failed else "to do"
