"""One pass over the scan: the sweep that the PIE family shares.

What an algorithm makes of a patch is in the functions it passes in (:class:`Rules`); this module cuts the
scan into batches and puts the results of a batch together.

A batch of one is the stochastic sweep. The patches of a colour group do not overlap, so that the object is
updated exactly as one after the other; the probe, which they share, takes the weighted mean of what they
propose. In a minibatch the patches overlap too, and both are weighted means: an approximation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from suite.core.arrays import Array, copy, divide, namespace, squared_modulus
from suite.core.problem import Problem
from suite.physics.forward import illuminate
from suite.physics.likelihood import exit_wave_correction, object_gradient
from suite.physics.patches import accumulate_patches, window
from suite.physics.shift import fourier_unshift
from suite.solvers.protocol import SolverSettings, SweepState

Sweep = Literal["sequential", "colour-groups", "minibatch"]
Step = Callable[[Array], Array]
"""Maps the gradient of patches to their change, both (..., m, m) complex."""


@dataclass(frozen=True)
class Rules:
    """What an algorithm does with the patches of a batch.

    ``object_step`` makes, of the probe on the patches, the step for their gradients conj(Q) * (R - psi);
    ``probe_step`` makes, of the object patches, the step for the probe's gradients conj(z_k) * (R - psi).
    ``accept`` maps the current and the proposed value to the new one.
    """

    object_step: Callable[[Array], Step]
    probe_step: Callable[[Array], Step] | None = None  # None: the probe stays
    accept: Callable[[Array, Array], Array] | None = None  # None: the proposed value it is


@dataclass(frozen=True, kw_only=True)
class Sweeping(SolverSettings):
    """Base of the solvers that sweep over the scan with a known probe.

    Parameters
    ----------
    sweep
        "sequential" (one position at a time), "colour-groups" (positions whose patches do not overlap) or
        "minibatch" (an approximation).
    batch
        The most positions of a batch.
    """

    sweep: Sweep = "sequential"
    batch: Annotated[int, Ge(1)] = 16

    def rules(self, problem: Problem, state: SweepState) -> Rules:
        raise NotImplementedError

    def init(self, problem: Problem) -> SweepState:
        return SweepState(problem.start_object, problem.probe)

    def step(self, problem: Problem, state: SweepState, rng: np.random.Generator) -> SweepState:
        batches = cut_into_batches(self.sweep, problem.scan_positions_px, problem.probe_size, self.batch, rng)
        obj, probe = sweep(problem, state.object, state.probe, batches, self.rules(problem, state))
        return SweepState(obj, probe, state.data_passes + 1)


@dataclass(frozen=True, kw_only=True)
class JointSweeping(Sweeping):
    """Base of the solvers that can update the probe as well.

    Parameters
    ----------
    update_probe
        Whether the probe is updated; by default (null) where the problem does not know it.
    probe_start
        Iterations before the first update of the probe.
    """

    update_probe: bool | None = None
    probe_start: Annotated[int, Ge(0)] = 0

    def moves_probe(self, problem: Problem, state: SweepState) -> bool:
        """Whether the next iteration updates the probe."""
        wanted = not problem.probe_known if self.update_probe is None else self.update_probe
        return wanted and state.data_passes >= self.probe_start


def sweep(
    problem: Problem, obj: Array, probe: Array, batches: Iterable[np.ndarray], rules: Rules
) -> tuple[Array, Array]:
    """Object (H, W) and probe (m, m) after one pass over ``batches`` of position indices."""
    obj = copy(obj)
    in_place = rules.probe_step is None and rules.accept is None and problem.subpixel_shifts_px is None
    if not in_place:
        for batch in batches:
            probe = _update_batch(problem, obj, probe, batch, rules)
        return obj, probe
    step = rules.object_step(probe)  # the same for every patch
    for batch in batches:
        if len(batch) == 1:
            _update_patch(problem, obj, probe, int(batch[0]), step)
        else:
            _update_batch(problem, obj, probe, batch, rules)
    return obj, probe


def _update_patch(problem: Problem, obj: Array, probe: Array, k: int, step: Step) -> None:
    """The fast path: add one position's change to ``obj``, which the caller owns."""
    size = problem.probe_size
    row, column = problem.scan_positions_px[k].tolist()
    patch = obj[row : row + size, column : column + size]
    patch += step(object_gradient(probe, patch, problem.diffraction_amplitude[k], problem.detector_mask))


def _update_batch(problem: Problem, obj: Array, probe: Array, batch: np.ndarray, rules: Rules) -> Array:
    """Update ``obj``, which the caller owns, by one batch; the new probe is returned."""
    xp = namespace(obj)
    lit = illuminate(problem, obj, probe, batch)
    amplitude = problem.diffraction_amplitude[batch]
    correction = exit_wave_correction(lit.exit_waves, amplitude, problem.detector_mask)
    proposed = lit.patches + rules.object_step(lit.probes)(xp.conj(lit.probes) * correction)
    if rules.accept is not None:
        proposed = rules.accept(lit.patches, proposed)
    put_patches(obj, proposed, lit.probes, lit.positions)
    if rules.probe_step is None:
        return probe
    proposed_probes = lit.probes + rules.probe_step(lit.patches)(xp.conj(lit.patches) * correction)
    if rules.accept is not None:
        proposed_probes = rules.accept(lit.probes, proposed_probes)
    if lit.phases is not None:
        proposed_probes = fourier_unshift(proposed_probes, lit.phases)
    return _mean_probe(probe, proposed_probes, lit.patches)


def put_patches(obj: Array, patches: Array, illumination: Array, positions: np.ndarray) -> None:
    """Write patches (n, m, m) into ``obj``, which the caller owns.

    Where patches overlap, their mean is taken with the weights |illumination|^2; where all of them are dark,
    the object stays as it is.
    """
    xp = namespace(obj)
    size = patches.shape[-1]
    if not _overlap(positions, size):
        for patch, (row, column) in zip(patches, positions.tolist(), strict=True):
            obj[row : row + size, column : column + size] = patch
        return
    weights = xp.broadcast_to(squared_modulus(illumination), patches.shape)
    part, local = window(obj, positions, size)
    total = accumulate_patches(xp.zeros_like(part), weights * patches, local)
    norm = accumulate_patches(xp.zeros_like(part.real), weights, local)
    part[...] = xp.where(norm > 0, divide(total, norm), part)


def _mean_probe(probe: Array, proposals: Array, patches: Array) -> Array:
    """Mean of the proposed probes (n, m, m), weighted with |z_k|^2 where there are several."""
    if len(proposals) == 1:
        return proposals[0]
    xp = namespace(probe)
    weights = squared_modulus(patches)
    norm = xp.sum(weights, axis=0)
    return xp.where(norm > 0, divide(xp.sum(weights * proposals, axis=0), norm), probe)


def cut_into_batches(
    kind: Sweep, positions: np.ndarray, probe_size: int, batch: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Index arrays that cover the scan once, in random order."""
    order = rng.permutation(len(positions))
    if kind == "colour-groups":
        groups = colour_groups(positions, probe_size, order)
        pieces = [group[i : i + batch] for group in groups for i in range(0, len(group), batch)]
        yield from (pieces[i] for i in rng.permutation(len(pieces)))
    else:
        step = 1 if kind == "sequential" else batch
        yield from (order[i : i + step] for i in range(0, len(order), step))


def colour_groups(positions: np.ndarray, probe_size: int, order: np.ndarray) -> list[np.ndarray]:
    """Greedy colouring of the overlap graph in the given order: groups of patches that do not overlap."""
    colours: list[list[int]] = []
    for k in order.tolist():
        for members in colours:
            if (np.abs(positions[members] - positions[k]).max(axis=1) >= probe_size).all():
                members.append(k)
                break
        else:
            colours.append([k])
    return [np.asarray(members) for members in colours]


def _overlap(positions: np.ndarray, size: int) -> bool:
    """Whether any two patches at ``positions`` share a pixel."""
    if len(positions) == 1:
        return False
    distances = np.abs(positions[:, None, :] - positions[None, :, :]).max(axis=2)
    np.fill_diagonal(distances, size)
    return bool((distances < size).any())
