"""Training the fast-forward operator's networks on pairs; goes on where it was stopped.

The loss of a pair is the share of the squared distance between state and truth that is left, pixel by pixel
and between neighbouring pixels, weighted with the illumination: hard and easy reconstructions count alike.
With resumed sweeps it is what is left after them, and a part of what is left at once.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptychosuite.core.runs import digest
from ptychosuite.errors import DataFileError
from ptychosuite.fastforward.checkpoint import Checkpoint, write_atomically
from ptychosuite.fastforward.features import CHANNELS, LIT, trust
from ptychosuite.fastforward.network import Network
from ptychosuite.fastforward.pairs import Pairs, Samples
from ptychosuite.fastforward.resumed import resumed_changes
from ptychosuite.fastforward.training import Training
from ptychosuite.fastforward.unet import Pair
from ptychosuite.problems.files import file_sha256

SETTLED = 0.003  # squared distance, relative to the state's power, below which there is little left to learn
AT_ONCE = 0.3  # weight of the distance before the resumed sweeps, where there are any
IMAGINARY = (1, 3, 5)  # channels that change sign where object and probe are conjugated

Figures = dict[str, float]


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
            total, terms = _loss(pair, batch, settings, device, augment=None)
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
        loss, _ = _loss(networks.pair, pairs.part(rows), settings, device, augment=rng)
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


def _loss(
    pair: Pair, batch: Pairs, settings: Training, device: str, augment: np.random.Generator | None
) -> tuple[torch.Tensor, dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Loss of a batch; of object and probe the weighted squared distances (n,) left and at first."""
    altered = None if settings.resumed_sweeps else augment  # a solver goes on with objects as they are
    if altered:
        batch = _cropped(batch, settings.crop, altered)
    turn = _symmetry(altered) if altered else _as_it_is
    sides: dict[str, Samples] = {"object": batch.object, "probe": batch.probe}
    inputs, targets = {}, {}
    for name, samples in sides.items():
        channels = torch.from_numpy(samples.channels).to(device, torch.float32)
        change = torch.from_numpy(samples.change).to(device, torch.float32)
        inputs[name] = turn(channels, IMAGINARY).contiguous(memory_format=torch.channels_last)
        targets[name] = turn(change, (1,))
    with torch.autocast(device, dtype=torch.bfloat16, enabled=settings.mixed_precision):
        predicted = dict(zip(sides, pair(inputs["object"], inputs["probe"]), strict=True))
    changes = {name: trust(_light(inputs[name])) * predicted[name].float() for name in sides}
    moves = torch.from_numpy(batch.moves).to(device, torch.float32)
    counted = {"object": torch.ones_like(moves), "probe": settings.probe_weight * moves}

    def left(reached: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        share = _share_left(reached[name], inputs[name], targets[name], settings.gradient_weight)
        return torch.sum(counted[name] * share) / len(moves)

    total = sum((left(changes, name) for name in sides), torch.zeros((), device=device))
    if settings.resumed_sweeps:
        changes["probe"] = changes["probe"] * moves[:, None, None, None]
        order = augment or np.random.default_rng(settings.seed)
        later = resumed_changes(
            batch.states, changes["object"], changes["probe"], settings.resumed_sweeps, order
        )
        reached = dict(zip(sides, later, strict=True))
        total = AT_ONCE * total + sum(left(reached, name) for name in sides)
    terms = {}
    for name in sides:
        weight = _light(inputs[name])
        error, at_first = _power(changes[name] - targets[name], weight), _power(targets[name], weight)
        terms[name] = (error * (counted[name] > 0), at_first * (counted[name] > 0))
    return total, terms


def _light(channels: torch.Tensor) -> torch.Tensor:
    """How well each pixel is lit, at most one: (n, 1, h, w)."""
    return channels[:, LIT : LIT + 1] ** 2


def _share_left(
    change: torch.Tensor, channels: torch.Tensor, target: torch.Tensor, gradient_weight: float
) -> torch.Tensor:
    """Share (n,) of the distance to ``target`` that is left after ``change``, all in units of the network."""
    weight = _light(channels)
    left, whole = (
        _power(each, weight) + gradient_weight * _roughness(each, weight)
        for each in (change - target, target)
    )
    return left / (whole + SETTLED * _power(channels[:, :2], weight))


def _power(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (weight * x**2).sum(dim=(1, 2, 3))


def _roughness(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Squared differences between neighbours along either axis."""
    down = _power(x[..., 1:, :] - x[..., :-1, :], weight[..., 1:, :])
    return down + _power(x[..., 1:] - x[..., :-1], weight[..., 1:])


def _cropped(batch: Pairs, size: int, rng: np.random.Generator) -> Pairs:
    """The same part of every object, at most ``size`` pixels on a side."""
    height, width = batch.object.channels.shape[-2:]
    top, left = (int(rng.integers(0, max(0, n - size) + 1)) for n in (height, width))
    window = (..., slice(top, top + size), slice(left, left + size))
    return replace(batch, object=Samples(batch.object.channels[window], batch.object.change[window]))


def _symmetry(rng: np.random.Generator) -> Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor]:
    """One of the sixteen symmetries of the problem: flips, the transpose, and conjugation."""
    flip_rows, flip_columns, transpose, conjugate = (rng.random(4) < 0.5).tolist()
    flipped = [axis for axis, wanted in ((2, flip_rows), (3, flip_columns)) if wanted]

    def apply(x: torch.Tensor, imaginary: tuple[int, ...]) -> torch.Tensor:
        x = x.flip(flipped).transpose(2, 3) if transpose else x.flip(flipped)
        if not conjugate:
            return x
        sign = torch.ones(x.shape[1], device=x.device)
        sign[list(imaginary)] = -1
        return x * sign[:, None, None]

    return apply


def _as_it_is(x: torch.Tensor, imaginary: tuple[int, ...]) -> torch.Tensor:
    return x


def _start(settings: Training, device: str, start: Path | None) -> tuple[_Networks, Course]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        pair = Pair(CHANNELS, settings.width)
    if start:
        try:
            pair.load_state_dict(Network.load(start).modules.state_dict())
        except RuntimeError as error:
            raise DataFileError(
                f"{start} has another width than {settings.width}; set train.width as it was trained"
            ) from error
    pair.to(device)
    optimiser = torch.optim.AdamW(pair.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    return _Networks(pair, optimiser, dict(pair.state_dict())), Course()


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
        "architecture": {"channels": CHANNELS, "width": settings.width},
        "training": asdict(settings),
        "pairs": {"fitted": fitted, "validated": validated},
        "result": course.history[course.best_epoch - 1],
    }
    arrays = {name: value.numpy() for name, value in weights.items()}
    full_card["weights_sha256"] = sha256(
        b"".join(arrays[name].tobytes() for name in sorted(arrays))
    ).hexdigest()
    path = folder / "checkpoint.safetensors"
    Checkpoint(arrays, full_card).write(path)
    metrics = {**full_card, "history": course.history}
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
    return path
