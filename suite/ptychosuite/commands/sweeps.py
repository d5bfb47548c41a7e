"""``ptychosuite plan``, ``run`` and ``train``: what a study would compute, and computing it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

import ptychosuite
from ptychosuite.api.display import count_runs
from ptychosuite.api.workers_ahead import start_ahead
from ptychosuite.commands.followups import answer, command_line, echo
from ptychosuite.commands.options import (
    Duration,
    StackSize,
    choice_options,
    cluster_option,
    followed,
    json_option,
    stoppable,
    study_options,
    wait_option,
    workers_option,
)

SHOWN_RUNS = 40
KEPT = "finished runs are kept. The same command goes on where this one stopped."


@click.command()
@study_options
@choice_options
@click.option("--all", "show_all", is_flag=True, help="List every run.")
@click.option(
    "--why", is_flag=True, help="Say why runs are to do: what is new, which settings and files have changed."
)
@json_option
def plan(show_all: bool, why: bool, as_json: bool, **asked: Any) -> None:
    """Check STUDY and show its runs, what is done and what the rest will cost. Runs nothing.

    \b
        ptychosuite plan studies/quickstart.yaml --where 'noise < 0.1 and solver == magpie'
    """
    planned = ptychosuite.plan(**asked)
    if as_json:
        answer(planned.to_dict(why))
        return
    echo(planned.text(None if show_all else SHOWN_RUNS, " (--all lists them)"))
    if planned.standing.failed:
        echo(f"try the failed runs again with: {command_line('run', '--retry-failed')}")
    if why and planned.reasons:
        echo(planned.reasons)


@click.command()
@study_options
@choice_options
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
@click.option("--timeout", "timeout_s", type=Duration(), help="Stop a run after this time: 90, 30s, 10m, 2h.")
@click.option(
    "--retries", type=click.IntRange(min=0), default=1, show_default=True,
    help="Times to try a run again whose worker died under it.",
)  # fmt: skip
@click.option(
    "--retry-failed", is_flag=True, help="Try failed runs again, those that the time limit has ended too."
)
@click.option("--retry-diverged", is_flag=True, help="Try diverged runs again; their results are set aside.")
@click.option(
    "--force", multiple=True, metavar="RUN_ID",
    help="Compute this run again and no other; its result is set aside in removed/. As in --force 3f2a91c0. "
    "Repeatable.",
)  # fmt: skip
@click.option(
    "--fail-fast", type=click.IntRange(min=1), metavar="N",
    help="Begin no further run once N have failed, as in --fail-fast 3; those under way are waited for.",
)  # fmt: skip
@click.option(
    "--extend", is_flag=True,
    help="Go on from stored runs that stopped sooner, with fewer stop.iterations or a higher tolerance, "
    "where their solver allows it: the results are those of runs from the start.",
)  # fmt: skip
@wait_option
@click.option("--dry-run", is_flag=True, help="Say what would run, with a batch system's job script; stop.")
@json_option
def run(study: Path, dry_run: bool, as_json: bool, **asked: Any) -> None:
    """Carry out the runs of STUDY that are not done yet.

    Several calls on one results folder, here or on other machines, share the work: a run that another call is
    at is left to it. Leaves with 0 where all runs have ended, 1 where some have failed.

    \b
        ptychosuite run studies/quickstart.yaml --where 'noise < 0.1' --sample 4 --fail-fast 2
    """
    with stoppable(KEPT):
        if not dry_run:
            start_ahead(asked["cluster"], asked["workers"])
        if dry_run:
            _print_dry_run(ptychosuite.prepare(study, **asked), as_json)
            return
        for sweep in ptychosuite.parts(study, **asked):
            echo(str(sweep), err=as_json)
            outcome = sweep.carry_out(followed(quiet=as_json))
    if as_json:
        counts = {**outcome.counts, "done_before": outcome.done_before, "failed": len(outcome.failed)}
        counts |= {"failed_before": outcome.before.failed} if outcome.before.failed else {}
        counts |= {"not_begun": outcome.not_begun} if outcome.not_begun else {}
        content: dict[str, Any] = {"study": sweep.plan.name, "results": sweep.results, "counts": counts}
        content |= {"failures": dict(outcome.failures)} if outcome.failed else {}
        answer(content, indent=None)
    else:
        echo(str(outcome))
        if outcome.failed:
            echo(
                f"{len(outcome.failed)} of {count_runs(len(sweep.chosen.runs))} failed; see why with: "
                f"{shlex.join(['ptychosuite', 'show', outcome.results, outcome.failed[0]])}\n"
                f"try them again with: {command_line('run', '--retry-failed')}",
                err=True,
            )
    if outcome.failed:
        sys.exit(1)


def _print_dry_run(sweep: ptychosuite.Sweep, as_json: bool) -> None:
    script = sweep.job_script
    if as_json:
        content: dict[str, Any] = {"study": sweep.plan.name, "results": sweep.results, "done": sweep.done}
        content |= {"counts": sweep.standing.to_dict()}
        content |= {"chosen_by": sweep.choice.options} if sweep.choice else {}
        spec_ids = [spec.spec_id for spec in sweep.specs]
        chosen = zip(sweep.chosen.runs, sweep.chosen.run_ids, strict=True)
        run_ids = {spec.spec_id: run_id for spec, run_id in chosen}
        content |= {"to_do": spec_ids, "run_ids": [run_ids[spec_id] for spec_id in spec_ids]}
        answer(content | ({"job_script": script} if script else {}), indent=None)
    else:
        echo(f"{sweep} in {sweep.results}")
        if script:
            echo(f"\n{script}")


@click.command()
@study_options
@cluster_option
@workers_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="Copy the checkpoint to this .safetensors file as well.",
)  # fmt: skip
def train(**asked: Any) -> None:
    """Train the fast-forward operator on the runs of STUDY, as its section 'train' says.

    Runs that are not done yet are carried out first. A training that was stopped goes on where it stopped.

    \b
        ptychosuite train studies/fast-forward/train.yaml --out mine.safetensors
    """
    with stoppable("the same command goes on after the last run or epoch that was finished."):
        checkpoint = ptychosuite.train(**asked, progress=followed())
    echo(f"checkpoint: {checkpoint}")
