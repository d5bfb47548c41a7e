"""Training the fast-forward operator on the runs of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ptychosuite.api.following import Progress
from ptychosuite.api.planning import File, Settings, Study, read_study
from ptychosuite.api.sweeping import parts
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import digest
from ptychosuite.errors import UserError
from ptychosuite.execute.provenance import environment
from ptychosuite.fastforward.network import Checkpoint, Trained, write_atomically
from ptychosuite.fastforward.pairs import pairs_of
from ptychosuite.fastforward.train import train as train_networks
from ptychosuite.fastforward.training_file import Training
from ptychosuite.reporting.pictures import draw_training
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run
from ptychosuite.study.study_file import training_settings


def train(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    cluster: str = "local",
    workers: int | None = None,
    out: File | None = None,
    progress: bool | Progress = True,
) -> Path:
    """Train the fast-forward operator on the runs of a study, as its section ``train`` says.

    Runs that are not done yet are carried out first; parameters are those of
    :func:`~ptychosuite.api.sweeping.run`.

    Parameters
    ----------
    out
        Copy the checkpoint to this .safetensors file as well.

    Returns
    -------
    The checkpoint's path.

    Raises
    ------
    UserError
        The study has no such section, or the runs hold no training pairs.
    KeyboardInterrupt
        On Ctrl-C; the same call goes on after the last epoch that was finished.
    """
    if "://" in str(results):
        raise UserError(f"training reads and keeps files on this machine; {results} is no folder here")
    shown = Progress.of(progress)
    written = read_study(study)
    chosen = training_settings(written)
    start = _start(chosen.start, written.base)
    for ready in parts(
        study, settings, override_file=override_file, results=results, cluster=cluster, workers=workers
    ):
        shown.say(str(ready))
        store = Store.create(ready.results)
        if ready.specs:
            ready.carry_out(shown)
    checkpoint = _train(ready.plan, store, chosen, start, Path(ready.results) / "training", shown)
    if out is None:
        return checkpoint
    write_atomically(Path(out), checkpoint.read_bytes())
    return Path(out)


def _start(name: str, base: Path) -> Path | None:
    """The file of the checkpoint that training starts from, read so that a bad one is found at once."""
    if not name:
        return None
    path = Trained.bundled_files.get(name, base / name)
    Checkpoint.read(path)
    return path


def _train(
    planned: Plan, store: Store, chosen: Training, start: Path | None, folder: Path, progress: Progress
) -> Path:
    """Train on the runs that the store holds; the checkpoint's path."""
    done = inventory(store).done
    runs = [run_id for run_id in planned.run_ids if run_id in done]
    with progress.status("reading pairs"):
        pairs = pairs_of(
            (read_run(done[run_id]) for run_id in runs), chosen.resumed_sweeps > 0, chosen.without_drift
        )
    card = {"study": planned.text, "overrides": list(planned.overrides), "runs": digest(runs)}
    code = {key: environment().get(key) for key in ("ptychosuite", "sources", "git_commit")}

    def update(figures: Mapping[str, float]) -> None:
        progress.say(
            f"epoch {figures['epoch']:.0f} of {chosen.epochs}: loss {figures['train_loss']:.4f}, validation "
            f"{figures['validation_loss']:.4f}; removed of the squared distance: object "
            f"{figures['object_removed']:.1%}, probe {figures['probe_removed']:.1%}"
        )

    checkpoint = train_networks(pairs, chosen, {**card, **code}, folder, update, start)
    draw_training(folder / "metrics.json")
    return checkpoint
