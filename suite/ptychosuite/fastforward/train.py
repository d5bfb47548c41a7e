"""Training the fast-forward operator's networks on pairs; goes on where it was stopped."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptychosuite.core.runs import digest
from ptychosuite.errors import DataFileError
from ptychosuite.fastforward.features import CHANNELS
from ptychosuite.fastforward.loss import loss_of
from ptychosuite.fastforward.network import (
    Architecture,
    Checkpoint,
    Network,
    weights_sha256,
    write_atomically,
)
from ptychosuite.fastforward.pairs import Pairs
from ptychosuite.fastforward.training_file import Training
from ptychosuite.fastforward.unet import Pair
from ptychosuite.problems.files import file_sha256

Figures = dict[str, float]
NEW = "object.whole."  # what a network to start from may lack: at first it changes nothing


def architecture_of(settings: Training) -> Architecture:
    """How the networks of a training are built."""
    return Architecture(
        channels=CHANNELS,
        width=settings.width,
        whole_field=settings.whole_field,
        without_drift=settings.without_drift,
    )


@dataclass
class Course:
    """How far a training has come."""

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    history: list[Figures] = field(default_factory=list)


@dataclass
class _Networks:
    """Weights on their way, and the best so far."""

    pair: Pair
    optimiser: torch.optim.Optimizer
    best: dict[str, torch.Tensor]


def train(
    pairs: Pairs,
    settings: Training,
    card: Mapping[str, Any],
    folder: Path,
    progress: Callable[[Figures], None] = lambda figures: None,
    start: Path | None = None,
) -> Path:
    """Train on ``pairs`` and write a checkpoint, with ``metrics.json`` beside it.

    Parameters
    ----------
    pairs
        Split here into those to train on and those to validate with. Resumed sweeps need their states.
    card
        What the model card says beside what training adds to it.
    folder
        Where results go, and the state of a training that was interrupted.
    progress
        Called with the figures of each epoch.
    start
        The checkpoint that ``settings.start`` names.

    Returns
    -------
    The checkpoint's path: the weights with the lowest validation loss.

    Raises
    ------
    DataFileError
        ``start`` is missing, damaged, or of another architecture.
    """
    fit, validation = pairs.split(settings.validation_share, settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    networks, course = _start(settings, device, start)
    card = {**card, "start_sha256": file_sha256(str(start)) if start else None}
    key = digest([asdict(settings), card, len(fit), len(validation)])
    state = folder / "state.pt"
    _resume(state, key, networks, course)
    while course.epoch < settings.epochs and course.epoch - course.best_epoch < settings.patience:
        train_loss = _epoch(networks, fit, settings, course.epoch, device)
        course.epoch += 1
        figures = {"epoch": float(course.epoch), "train_loss": train_loss}
        figures |= evaluate(networks.pair, validation, settings, device)
        course.history.append(figures)
        if figures["validation_loss"] < course.best_loss:
            course.best_loss, course.best_epoch = figures["validation_loss"], course.epoch
            networks.best = {name: value.cpu().clone() for name, value in networks.pair.state_dict().items()}
        _save(state, key, networks, course)
        progress(figures)
    return _write(folder, settings, card, networks.best, course, len(fit), len(validation))


def evaluate(pair: Pair, pairs: Pairs, settings: Training, device: str) -> Figures:
    """Loss, and the share of the squared distance to the truth that ``pair`` removes, over ``pairs``."""
    totals: dict[str, float] = {"validation_loss": 0.0}
    pair.eval()
    left, distance = {"object": 0.0, "probe": 0.0}, {"object": 0.0, "probe": 0.0}
    with torch.inference_mode():
        for rows in _batches(pairs, settings.batch, np.random.default_rng(settings.seed)):
            batch = pairs.part(rows)
            total, terms = loss_of(pair, batch, settings, device, augment=None)
            totals["validation_loss"] += float(total) * len(rows) / len(pairs)
            for name, (error, whole) in terms.items():
                left[name] += float(error.sum())
                distance[name] += float(whole.sum())
    removed = {f"{name}_removed": 1 - left[name] / max(distance[name], 1e-30) for name in left}
    return totals | removed


def _epoch(networks: _Networks, pairs: Pairs, settings: Training, epoch: int, device: str) -> float:
    """One pass over ``pairs`` in random order; the mean loss is returned."""
    rng = np.random.default_rng([settings.seed, epoch])
    batches = list(_batches(pairs, settings.batch, rng))
    networks.pair.train()
    total = 0.0
    for step, rows in enumerate(batches):
        share = (epoch + step / len(batches)) / settings.epochs
        for group in networks.optimiser.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        networks.optimiser.zero_grad(set_to_none=True)
        loss, _ = loss_of(networks.pair, pairs.part(rows), settings, device, augment=rng)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(networks.pair.parameters(), 1.0)
        if torch.isfinite(norm):  # a pixel of the detector that is dark for once can ask for any step
            networks.optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / len(pairs)


def _batches(pairs: Pairs, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of ``pairs``, each once, in random order; in a batch they are alike."""
    alike, batches = pairs.alike, []
    for kind in np.unique(alike):
        rows = rng.permutation(np.flatnonzero(alike == kind))
        batches += np.array_split(rows, math.ceil(len(rows) / size))
    yield from (batches[number] for number in rng.permutation(len(batches)))


def _start(settings: Training, device: str, start: Path | None) -> tuple[_Networks, Course]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        pair = architecture_of(settings).build()
    if start:
        _take_weights(pair, start)
    pair.to(device)
    optimiser = torch.optim.AdamW(pair.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    return _Networks(pair, optimiser, dict(pair.state_dict())), Course()


def _take_weights(pair: Pair, start: Path) -> None:
    """Give ``pair`` the weights of a checkpoint; what that has not, and changes nothing at first, stays."""
    try:
        missing, unknown = pair.load_state_dict(Network.load(start).modules.state_dict(), strict=False)
        wrong = unknown or [name for name in missing if not name.startswith(NEW)]
    except RuntimeError:  # shapes
        wrong = ["width"]
    if wrong:
        raise DataFileError(
            f"{start} is built otherwise; set train.width and train.whole_field as it was trained"
        )


def _save(path: Path, key: str, networks: _Networks, course: Course) -> None:
    content = io.BytesIO()
    torch.save(
        {
            "key": key,
            "course": asdict(course),
            "pair": networks.pair.state_dict(),
            "optimiser": networks.optimiser.state_dict(),
            "best": networks.best,
        },
        content,
    )
    write_atomically(path, content.getvalue())


def _resume(path: Path, key: str, networks: _Networks, course: Course) -> None:
    """Take up the training whose state is at ``path``, where there is one with these settings and pairs."""
    if not path.exists():
        return
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["key"] != key:
        return
    networks.pair.load_state_dict(state["pair"])
    networks.optimiser.load_state_dict(state["optimiser"])
    networks.best = state["best"]
    for name, value in state["course"].items():
        setattr(course, name, value)


def _write(
    folder: Path,
    settings: Training,
    card: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    course: Course,
    fitted: int,
    validated: int,
) -> Path:
    full_card = {
        **card,
        "architecture": asdict(architecture_of(settings)),
        "training": asdict(settings),
        "pairs": {"fitted": fitted, "validated": validated},
        "result": course.history[course.best_epoch - 1],
    }
    arrays = {name: value.numpy() for name, value in weights.items()}
    full_card["weights_sha256"] = weights_sha256(arrays)
    path = folder / "checkpoint.safetensors"
    Checkpoint(arrays, full_card).write(path)
    metrics = {**full_card, "history": course.history}
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
    return path
