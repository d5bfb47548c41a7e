"""``ptychosuite train``: the fast-forward operator."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from suite.commands.options import cluster_option, study_options, workers_option
from suite.commands.planning import planned_study
from suite.commands.sweeping import INTERRUPTED, interrupt, sweep_with_progress
from suite.errors import UserError
from suite.terminal import count_runs, status

if TYPE_CHECKING:
    from suite.core.plan import Plan


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
    from suite.cluster.settings import cluster_settings
    from suite.cluster.sweep import to_do
    from suite.cluster.work import Terms
    from suite.store.layout import Store, results_of
    from suite.study.load import load_study
    from suite.study.training import training_settings

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
        from suite.fastforward.checkpoint import write_atomically

        write_atomically(out, checkpoint.read_bytes())
    click.echo(f"checkpoint: {out or checkpoint}")


def _start(name: str, base: Path) -> Path | None:
    """The file of the checkpoint that training starts from, read so that a bad one is found at once."""
    from suite.fastforward.checkpoint import Checkpoint
    from suite.fastforward.trained import Trained

    if not name:
        return None
    path = Trained.bundled_files.get(name, base / name)
    Checkpoint.read(path)
    return path


def _train(planned: Plan, store: Any, chosen: Any, start: Path | None, folder: Path) -> Path:
    """Train on the runs that the store holds; the checkpoint's path."""
    from suite.core.run import digest
    from suite.execute.provenance import environment
    from suite.fastforward.pairs import pairs_of
    from suite.fastforward.train import train
    from suite.report.training import draw_training
    from suite.store.read import inventory, read_run

    done = inventory(store).done
    runs = [run_id for run_id in planned.run_ids if run_id in done]
    with status("reading pairs"):
        pairs = pairs_of((read_run(done[run_id]) for run_id in runs), chosen.resumed_sweeps > 0)
    card = {"study": planned.text, "overrides": list(planned.overrides), "runs": digest(runs)}
    code = {key: environment().get(key) for key in ("ptychosuite", "code", "git_commit")}

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
