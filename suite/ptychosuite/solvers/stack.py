"""Runs of equal shape side by side on one device, and one run's patches that do not overlap.

Two patches that share no pixel commute: a whole batch of them can be updated at once, and the result is that
of one after the other. Such patches are found in one object (a colour group), and in the objects of runs that
differ in seed, noise or step sizes alone: those are advanced together, each in its own random order, as one
batch of R patches.

All that the device has to know of a sweep - which pattern, where in which object - is uploaded before it
begins. Nothing in a sweep waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import array_api_compat
import numpy as np

from ptychosuite.backends.arrays import Array, copy, namespace
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.physics.shift import axis_phases, fourier_shift
from ptychosuite.solvers.rules import Rules, Step, fixed_step, mean_probe
from ptychosuite.solvers.solver import Solver


@dataclass(frozen=True)
class RunStack:
    """The data of R runs of equal shape; runs that share a problem share its data."""

    problems: tuple[Problem, ...]  # one a run
    amplitude: Array | Patterns  # (P, m, m) real, the patterns of all different problems
    first_pattern: np.ndarray  # (R,) where a run's patterns begin
    detector_mask: Array | None  # (R, m, m) or (1, m, m) real

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> RunStack:
        different = list({id(problem): problem for problem in problems}.values())
        xp = namespace(different[0].probe)
        starts = np.cumsum([0, *(problem.n_positions for problem in different)])
        first = {id(problem): start for problem, start in zip(different, starts, strict=False)}
        amplitudes = [problem.diffraction_amplitude for problem in different]
        masks = [problem.detector_mask for problem in problems]
        return cls(
            tuple(problems),
            amplitudes[0] if len(amplitudes) == 1 else xp.concat([each[:] for each in amplitudes]),
            np.array([first[id(problem)] for problem in problems]),
            None if masks[0] is None else xp.stack(masks),
        )

    def __len__(self) -> int:
        return len(self.problems)

    def part(self, runs: Sequence[int]) -> RunStack:
        """Some of the runs, on the same patterns."""
        mask = self.detector_mask
        return RunStack(
            tuple(self.problems[run] for run in runs),
            self.amplitude,
            self.first_pattern[list(runs)],
            None if mask is None else mask[list(runs)],
        )


@dataclass(frozen=True)
class Visits:
    """Where a sweep goes, on the device: T visits, cut into batches."""

    run: Array  # (T,) int64
    corner: Array  # (T, 2) int64, (row, column)
    pattern: Array  # (T,) int64
    row_phases: Array | None  # (T, m) complex: the probe's sub-pixel shift; None where there is none
    column_phases: Array | None  # (T, m) complex
    cuts: tuple[tuple[int, int], ...]  # first visit and end of each batch

    @classmethod
    def of(cls, stack: RunStack, batches: Sequence[np.ndarray], like: Array) -> Visits:
        """``batches``: of a single run, positions (n,) of any number; of several, (R,) one position each."""
        xp, device = namespace(like), array_api_compat.device(like)
        runs = [np.arange(len(stack)) if len(stack) > 1 else np.zeros(len(b), int) for b in batches]
        run, position = np.concatenate(runs), np.concatenate(list(batches))
        corners = np.stack([problem.scan_positions_px for problem in stack.problems])[run, position]
        ends = np.cumsum([len(batch) for batch in batches]).tolist()
        row_phases = column_phases = None
        if stack.problems[0].subpixel_shifts_px is not None:
            all_shifts = [np.asarray(problem.subpixel_shifts_px) for problem in stack.problems]
            shifts = np.stack(all_shifts)[run, position]
            row_phases, column_phases = (
                xp.asarray(axis_phases(like.shape[-1], along), dtype=like.dtype, device=device)
                for along in shifts.T
            )
        return cls(
            run=xp.asarray(run, device=device),
            corner=xp.asarray(corners, device=device),
            pattern=xp.asarray(stack.first_pattern[run] + position, device=device),
            row_phases=row_phases,
            column_phases=column_phases,
            cuts=tuple(zip([0, *ends[:-1]], ends, strict=True)),
        )


def sweep_stack(
    stack: RunStack, objects: Array, probes: Array, batches: Sequence[np.ndarray], rules: Rules
) -> tuple[Array, Array]:
    """Objects (R, H, W) and probes (R, m, m) after one pass.

    Parameters
    ----------
    batches
        Position indices. Of a single run, groups whose patches do not overlap; of several, (R,) arrays with
        one position of each.
    """
    objects = copy(objects)
    visits = Visits.of(stack, batches, like=probes)
    fixed = fixed_step(stack.problems[0], probes, rules)
    for first, end in visits.cuts:
        probes = _update(stack, visits, objects, probes, slice(first, end), rules, fixed)
    return objects, probes


def _update(
    stack: RunStack,
    visits: Visits,
    objects: Array,
    probes: Array,
    batch: slice,
    rules: Rules,
    fixed: Step | None,
) -> Array:
    """Update ``objects``, which the caller owns, by one batch; the new probes are returned."""
    xp = namespace(objects)
    pixels = xp.arange(probes.shape[-1], device=array_api_compat.device(objects))
    corners = visits.corner[batch]
    where = (
        visits.run[batch][:, None, None],
        (corners[:, 0, None] + pixels)[:, :, None],
        (corners[:, 1, None] + pixels)[:, None, :],
    )
    patches = objects[where]
    lit_probes, phases = probes, None
    if visits.row_phases is not None and visits.column_phases is not None:
        phases = visits.row_phases[batch][:, :, None] * visits.column_phases[batch][:, None, :]
        lit_probes = fourier_shift(probes, phases)
    amplitude = stack.amplitude[visits.pattern[batch]]
    correction = exit_wave_correction(lit_probes * patches, amplitude, stack.detector_mask)
    step = fixed or rules.object_step(lit_probes)
    objects[where] = rules.new_patches(step, lit_probes, patches, correction)
    if rules.probe_step is None:
        return probes
    proposals = rules.new_probes(lit_probes, patches, correction, phases)
    return proposals if len(stack) > 1 else mean_probe(probes[0], proposals, patches)[None]


def can_stack(one: Solver, other: Solver) -> bool:
    """Whether two runs of these solvers can be advanced together: alike but for step sizes.

    Only sweeps of one position at a time are: colour groups and minibatches differ in length from run to run.
    """
    if type(one) is not type(other) or not one.stackable:
        return False
    a, b = ({k: v for k, v in vars(s).items() if not isinstance(v, float)} for s in (one, other))
    return a == b


def merged(solvers: Sequence[Any], like: Array) -> Any:
    """One solver for all runs of a stack; step sizes that differ become arrays (R, 1, 1)."""
    xp, device = namespace(like), array_api_compat.device(like)
    different = {}
    for name, value in vars(solvers[0]).items():
        values = [getattr(solver, name) for solver in solvers]
        if any(other != value for other in values):
            column = np.array(values)[:, None, None]
            different[name] = xp.asarray(column, dtype=like.real.dtype, device=device)
    return replace(solvers[0], **different)
