"""``ptychosuite train``: the fast-forward operator."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptychosuite.commands.options import cluster_option, study_options, workers_option
from ptychosuite.commands.planning import planned_study
from ptychosuite.commands.sweeping import INTERRUPTED, interrupt, sweep_with_progress
from ptychosuite.commands.terminal import count_runs, status
from ptychosuite.errors import UserError

if TYPE_CHECKING:
    from ptychosuite.core.plan import Plan


@click.command()
@study_options
@cluster_option
@workers_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="Copy the checkpoint to this .safetensors file as well.",
)  # fmt: skip
def train(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    cluster: str,
    workers: int | None,
    out: Path | None,
) -> None:
    """Train the fast-forward operator on the runs of STUDY, as its section 'train' says.

    Runs that are not done yet are carried out first. A training that was stopped goes on where it stopped.
    """
    from ptychosuite.cluster.cluster_file import cluster_settings
    from ptychosuite.cluster.sweep import to_do
    from ptychosuite.cluster.work import Terms
    from ptychosuite.store.layout import Store, results_of
    from ptychosuite.study.sections import training_settings
    from ptychosuite.study.study_file import load_study

    if "://" in results:
        raise UserError(f"training reads and keeps files on this machine; {results} is no folder here")
    kind = cluster_settings(cluster, workers)
    written = load_study(study)
    chosen = training_settings(written)
    start = _start(chosen.start, written.base)
    planned = planned_study(study, settings, override_file)
    store = Store.create(results_of(results, planned.name))
    specs = to_do(planned, store, retry_failed=False)
    click.echo(f"{planned.title}: {count_runs(planned.runs)}, {len(specs)} to do")
    if specs:
        sweep_with_progress(planned, store, specs, kind, Terms(), quiet=False)
    checkpoint = _train(planned, store, chosen, start, Path(results) / planned.name / "training")
    if out:
        from ptychosuite.fastforward.network import write_atomically

        write_atomically(out, checkpoint.read_bytes())
    click.echo(f"checkpoint: {out or checkpoint}")


def _start(name: str, base: Path) -> Path | None:
    """The file of the checkpoint that training starts from, read so that a bad one is found at once."""
    from ptychosuite.fastforward.network import Checkpoint, Trained

    if not name:
        return None
    path = Trained.bundled_files.get(name, base / name)
    Checkpoint.read(path)
    return path


def _train(planned: Plan, store: Any, chosen: Any, start: Path | None, folder: Path) -> Path:
    """Train on the runs that the store holds; the checkpoint's path."""
    from ptychosuite.core.runs import digest
    from ptychosuite.execute.provenance import environment
    from ptychosuite.fastforward.pairs import pairs_of
    from ptychosuite.fastforward.train import train
    from ptychosuite.report.training_figure import draw_training
    from ptychosuite.store.read import inventory, read_run

    done = inventory(store).done
    runs = [run_id for run_id in planned.run_ids if run_id in done]
    with status("reading pairs"):
        pairs = pairs_of((read_run(done[run_id]) for run_id in runs), chosen.resumed_sweeps > 0)
    card = {"study": planned.text, "overrides": list(planned.overrides), "runs": digest(runs)}
    code = {key: environment().get(key) for key in ("ptychosuite", "sources", "git_commit")}

    def update(figures: Mapping[str, float]) -> None:
        click.echo(
            f"epoch {figures['epoch']:.0f} of {chosen.epochs}: loss {figures['train_loss']:.4f}, validation "
            f"{figures['validation_loss']:.4f}; removed of the squared distance: object "
            f"{figures['object_removed']:.1%}, probe {figures['probe_removed']:.1%}"
        )

    signal.signal(signal.SIGTERM, interrupt)
    try:
        checkpoint = train(pairs, chosen, {**card, **code}, folder, update, start)
    except KeyboardInterrupt:
        click.echo("\nstopped; the same command goes on after the last epoch that was finished.", err=True)
        sys.exit(INTERRUPTED)
    draw_training(folder / "metrics.json")
    return checkpoint
