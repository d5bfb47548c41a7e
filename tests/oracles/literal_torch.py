"""The forward model and its misfits written out in torch, one pattern at a time, for torch's autograd.

Nothing of ``ptychosuite.physics`` is used. The gradient of a complex tensor is that to its real and imaginary
parts as one complex number, as ours is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import Problem

FLOOR = 1e-2  # counts, under the Poisson likelihood


@dataclass
class Unknowns:
    """What an experiment depends on, each a leaf of the graph."""

    object: torch.Tensor  # (H, W)
    probe: torch.Tensor  # (m, m), or (M, m, m)
    positions: torch.Tensor  # (N, 2), with fractions
    intensity: torch.Tensor | None = None  # (N,)
    variations: torch.Tensor | None = None  # (J, m, m)
    weights: torch.Tensor | None = None  # (N, J)

    @classmethod
    def of(cls, problem: Problem, obj: Any, probe: Any, **more: Any) -> Unknowns:
        def leaf(x: Any) -> torch.Tensor:
            return torch.tensor(to_numpy(x), requires_grad=True)

        return cls(
            leaf(obj), leaf(probe), leaf(problem.positions_px), **{k: leaf(v) for k, v in more.items()}
        )


def moved(image: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """The periodic ``image`` moved by ``shift`` (rows, columns)."""
    cycles = torch.tensor(np.fft.fftfreq(image.shape[-1]))
    angle = 2 * np.pi * (shift[0] * cycles[:, None] + shift[1] * cycles[None, :])
    phase = torch.complex(torch.cos(angle), -torch.sin(angle)).to(image.dtype)
    return torch.fft.ifft2(torch.fft.fft2(image) * phase)


def exit_waves(x: Unknowns, k: int) -> list[torch.Tensor]:
    """psi of each mode of pattern ``k``."""
    modes = list(x.probe) if x.probe.ndim == 3 else [x.probe]
    if x.variations is not None:
        modes[0] = modes[0] + sum(w * u for w, u in zip(x.weights[k], x.variations, strict=True))
    if x.intensity is not None:
        modes = [torch.sqrt(x.intensity[k]) * mode for mode in modes]
    m = x.probe.shape[-1]
    corner = torch.round(x.positions[k].detach())
    row, column = (int(c) for c in corner)
    patch = x.object[row : row + m, column : column + m]
    return [moved(mode, x.positions[k] - corner) * patch for mode in modes]


def misfit(problem: Problem, x: Unknowns, batch: Any, likelihood: str) -> torch.Tensor:
    """phi of :mod:`ptychosuite.solvers.gradients`."""
    total = torch.zeros((), dtype=torch.float64)
    for k in batch:
        amplitude = torch.tensor(to_numpy(problem.diffraction_amplitude[int(k)]))
        intensity = sum(wave.real**2 + wave.imag**2 for wave in map(torch.fft.fft2, exit_waves(x, int(k))))
        if likelihood == "amplitude":
            each = (torch.sqrt(intensity) - amplitude) ** 2
        else:
            floor = FLOOR * problem.photon_scale
            each = intensity + floor - (amplitude**2 + floor) * torch.log(intensity + floor)
        if problem.detector_mask is not None:
            each = each * torch.tensor(to_numpy(problem.detector_mask))
        total = total + each.sum() / (2 * problem.probe_size**2)
    return total
