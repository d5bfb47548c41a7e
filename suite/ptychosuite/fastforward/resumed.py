"""Where a solver goes from states that a network has moved, differentiable, for the loss of training.

A jump is worth what the solver makes of it. The sweeps are the solver's own, of several states side by side
(``solvers.stack``), in torch, through which the gradient of the loss flows back to the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ptychosuite.core.problem import Problem
from ptychosuite.fastforward.features import from_pupil, pupil
from ptychosuite.fastforward.pairs import Resumable
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.stack import RunStack, merged


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

    mask = problem.detector_mask
    return replace(
        problem,
        diffraction_amplitude=there(problem.diffraction_amplitude[:]),
        probe=there(problem.probe),
        start_object=there(problem.start_object),
        detector_mask=None if mask is None else there(mask),
    )


def _complex(parts: torch.Tensor) -> torch.Tensor:
    return torch.complex(parts[:, 0], parts[:, 1])


def _parts(field: torch.Tensor) -> torch.Tensor:
    return torch.stack([field.real, field.imag], dim=1)
