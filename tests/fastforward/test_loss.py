"""Resumed sweeps in torch: they are the solver's own, and gradients flow through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ptychosuite.fastforward.features import from_pupil, pupil
from ptychosuite.fastforward.loss import _power, _smooth_power, resumed_changes
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.fastforward.pairs import Resumable
from ptychosuite.solvers.pie import RPIE
from ptychosuite.solvers.solver import SweepState

from tests.conftest import small_problem


class InOrder:
    """A scan in the order of its positions."""

    def permutation(self, n: int) -> np.ndarray:
        return np.arange(n)


def resumable(seed: int, alpha: float, beta: float, known: bool = False) -> Resumable:
    """A state near the truth of a small problem, in units that are not 1."""
    problem = small_problem(dtype="complex64", noise=0.01, seed=seed, flat_start=False)
    rng = np.random.default_rng(seed)
    shift = 0.05 * rng.standard_normal(problem.start_object.shape).astype(np.float32)
    now = Snapshot((problem.start_object * (1 + shift)).astype(np.complex64), problem.probe, 10)
    unit = np.exp(1j * rng.uniform(-3, 3, problem.probe.shape)).astype(np.complex64) * 2
    return Resumable(replace(problem, probe_known=known), RPIE(alpha=alpha, beta=beta), now, 0.8 + 0.3j, unit)


def changes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    obj, probe = (0.02 * torch.randn(count, 2, size, size, generator=generator) for size in (40, 16))
    return obj, probe


@pytest.mark.parametrize("known", [False, True])
def test_sweeps_are_those_of_the_solver(known):
    """Two iterations of NumPy's rPIE from the moved state, in units of the network, side by side."""
    states = [resumable(1, 1.0, 1.0, known), resumable(2, 0.3, 0.7, known)]
    obj, probe = changes(2)
    found = resumed_changes(states, obj, probe * (not known), 2, InOrder())
    for number, state in enumerate(states):
        moved = state.now.object + state.object_unit * (obj[number, 0] + 1j * obj[number, 1]).numpy()
        seen = pupil(state.now.probe)
        added = state.probe_unit * (probe[number, 0] + 1j * probe[number, 1]).numpy() * (not known)
        at = SweepState(moved.astype(np.complex64), from_pupil(seen + added).astype(np.complex64))
        for _ in range(2):
            at = state.solver.step(state.problem, at, InOrder())
        for field, reached in (
            ((at.object - state.now.object) / state.object_unit, found[0][number]),
            ((pupil(at.probe) - seen) / state.probe_unit, found[1][number]),
        ):
            np.testing.assert_allclose(reached.numpy(), [field.real, field.imag], atol=2e-4)


def test_nothing_resumed_is_the_change_itself():
    """Without sweeps, what comes back is what went in."""
    obj, probe = changes(1)
    found = resumed_changes([resumable(1, 0.3, 1.0)], obj, probe, 0, InOrder())
    for reached, change in zip(found, (obj, probe), strict=True):
        np.testing.assert_allclose(reached.numpy(), change.numpy(), atol=1e-5)


def test_gradients_flow_through_the_sweeps():
    """A directional derivative of the distance that is left, against finite differences."""
    state = resumable(3, 0.3, 0.7)
    obj, probe = changes(1)
    towards = torch.randn(obj.shape, generator=torch.Generator().manual_seed(1))

    def left(step: float) -> torch.Tensor:
        reached, seen = resumed_changes([state], obj + step * towards, probe, 2, InOrder())
        return torch.sum(reached**2) + torch.sum(seen**2)

    obj.requires_grad_(True)
    left(0.0).backward()
    with torch.no_grad():
        by_difference = (left(1e-3) - left(-1e-3)) / 2e-3
        assert float(torch.sum(obj.grad * towards)) == pytest.approx(float(by_difference), rel=0.02)


def test_smooth_power_is_that_of_low_frequencies():
    """Of a constant it is the power, in any light; of a checkerboard in even light it is nothing."""
    light = torch.rand(2, 1, 24, 16) + 0.1
    flat = torch.full((2, 2, 24, 16), 0.7)
    torch.testing.assert_close(_smooth_power(flat, light), _power(flat, light))
    board = flat * (-1.0) ** (torch.arange(24)[:, None] + torch.arange(16))
    assert _smooth_power(board, torch.ones_like(light)).abs().max() < 1e-6 * float(_power(board, light).min())
