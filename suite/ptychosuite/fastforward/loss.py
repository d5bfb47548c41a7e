"""The loss of training: how far from the truth a change leaves a state, at once or after the solver's sweeps.

The loss of a pair is the share of the squared distance between state and truth that is left, pixel by pixel
and between neighbouring pixels, weighted with the illumination: hard and easy reconstructions count alike.
With resumed sweeps it is what is left after them, and a part of what is left at once: a jump is worth what
the solver makes of it. The sweeps are the solver's own, of several states side by side (``solvers.stack``),
in torch, through which the gradient of the loss flows back to the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from ptychosuite.core.problem import Problem
from ptychosuite.fastforward.features import LIT, from_pupil, pupil, trust
from ptychosuite.fastforward.pairs import Pairs, Resumable, Samples
from ptychosuite.fastforward.training_file import Training
from ptychosuite.fastforward.unet import COARSE, Pair
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.stack import RunStack, merged

SETTLED = 0.003  # squared distance, relative to the state's power, below which there is little left to learn
AT_ONCE = 0.3  # weight of the distance before the resumed sweeps, where there are any
IMAGINARY = (1, 3, 5)  # channels that change sign where object and probe are conjugated


def loss_of(
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
    with torch.autocast(device, dtype=torch.bfloat16, enabled=_in_bfloat16(settings, device)):
        predicted = dict(zip(sides, pair(inputs["object"], inputs["probe"]), strict=True))
    changes = {name: trust(_light(inputs[name])) * predicted[name].float() for name in sides}
    moves = torch.from_numpy(batch.moves).to(device, torch.float32)
    counted = {"object": torch.ones_like(moves), "probe": settings.probe_weight * moves}

    def left(reached: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        share = _share_left(reached[name], inputs[name], targets[name], settings)
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
    change: torch.Tensor, channels: torch.Tensor, target: torch.Tensor, settings: Training
) -> torch.Tensor:
    """Share (n,) of the distance to ``target`` that is left after ``change``, all in units of the network."""
    weight = _light(channels)
    left, whole = (
        _power(each, weight)
        + settings.gradient_weight * _roughness(each, weight)
        + settings.smooth_weight * _smooth_power(each, weight)
        for each in (change - target, target)
    )
    return left / (whole + SETTLED * _power(channels[:, :2], weight))


def _power(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (weight * x**2).sum(dim=(1, 2, 3))


def _smooth_power(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The power of the weighted means over squares: that of ``x`` where it is smooth."""
    total, light = F.avg_pool2d(weight * x, COARSE), F.avg_pool2d(weight, COARSE)
    return COARSE**2 * (total**2 / light.clamp(min=1e-12)).sum(dim=(1, 2, 3))


def _in_bfloat16(settings: Training, device: str) -> bool:
    if settings.mixed_precision is None:
        return device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return settings.mixed_precision


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


def resumed_changes(
    states: Sequence[Resumable],
    object_change: torch.Tensor,
    probe_change: torch.Tensor,
    sweeps: int,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far objects and pupils are from ``states``, ``sweeps`` iterations after they were moved.

    Parameters
    ----------
    states
        R of them, alike in the number of positions and in whether the probe is known.
    object_change, probe_change
        (R, 2, H, W) and (R, 2, m, m): real and imaginary part of what is added to object and pupil, in the
        units of the network.
    rng
        Of the scan orders.

    Returns
    -------
    The same for the states that are reached.
    """
    device = object_change.device

    def joined(arrays: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device, torch.complex64)

    objects, probes = (joined([getattr(state.now, name) for state in states]) for name in ("object", "probe"))
    pupils = pupil(probes)
    object_unit = joined([np.full((1, 1), state.object_unit) for state in states])
    probe_unit = joined([state.probe_unit for state in states])
    moved = SweepState(
        objects + object_unit * _complex(object_change),
        from_pupil(pupils + probe_unit * _complex(probe_change)),
    )
    here = {id(state.problem): _on(state.problem, device) for state in states}
    stack = RunStack.of([here[id(state.problem)] for state in states])
    solver = merged([state.solver for state in states], like=probes)
    for _ in range(sweeps):
        moved = solver.step_stack(stack, moved, [rng] * len(states))
    return _parts((moved.object - objects) / object_unit), _parts((pupil(moved.probe) - pupils) / probe_unit)


def _on(problem: Problem, device: torch.device) -> Problem:
    def there(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array)).to(device)

    mask, fitted, valid = problem.detector_mask, problem.fitted_pixels, problem.valid_pixels
    return replace(
        problem,
        diffraction_amplitude=there(problem.diffraction_amplitude[:]),
        probe=there(problem.probe),
        start_object=there(problem.start_object),
        detector_mask=None if mask is None else there(mask),
        fitted_pixels=None if fitted is None else there(fitted),
        valid_pixels=None if valid is None else there(valid),
    )


def _complex(parts: torch.Tensor) -> torch.Tensor:
    return torch.complex(parts[:, 0], parts[:, 1])


def _parts(field: torch.Tensor) -> torch.Tensor:
    return torch.stack([field.real, field.imag], dim=1)
