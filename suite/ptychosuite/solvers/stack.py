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
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import array_api_compat
import numpy as np
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, copy, namespace
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import Illumination
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.physics.shift import axis_phases, fourier_shift
from ptychosuite.solvers.solver import PatchSolver, Solver, mean_probe


@dataclass(frozen=True)
class RunStack:
    """The data of R runs of equal shape; runs that share a problem share its data."""

    problems: tuple[Problem, ...]  # one a run
    amplitude: Float[Array, "P m m"] | Patterns  # the patterns of all different problems
    first_pattern: Int[np.ndarray, " R"]  # where a run's patterns begin
    detector_mask: Float[Array, "R m m"] | None
    fitted: Float[Array, "P m m"] | None = None  # where pixels are held out of the fit: 1 for the others

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> RunStack:
        different = list({id(problem): problem for problem in problems}.values())
        xp = namespace(different[0].probe)
        starts = np.cumsum([0, *(problem.n_positions for problem in different)])
        first = {id(problem): start for problem, start in zip(different, starts, strict=False)}
        amplitudes = [problem.diffraction_amplitude for problem in different]
        masks = [problem.detector_mask for problem in problems]
        fitted = [problem.mask(slice(None)) for problem in different if problem.mask_varies]
        return cls(
            tuple(problems),
            amplitudes[0] if len(amplitudes) == 1 else xp.concat([each[:] for each in amplitudes]),
            np.array([first[id(problem)] for problem in problems]),
            None if masks[0] is None else xp.stack(masks),
            xp.concat(fitted) if fitted else None,
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
            self.fitted,
        )

    def mask(self, pattern: Int[Array, " n"], run: Int[Array, " n"]) -> Float[Array, "n m m"] | None:
        """1 for the detector pixels of some patterns of some runs that are fitted; None where all are."""
        if self.fitted is not None:
            return self.fitted[pattern]
        return None if self.detector_mask is None else self.detector_mask[run]


@dataclass(frozen=True)
class Visits:
    """Where a sweep goes, on the device: T visits, cut into batches."""

    positions: Int[np.ndarray, "T 2"]  # first corners (row, column), on the host
    run: Int[Array, " T"]
    corner: Int[Array, "T 2"]  # the same as ``positions``
    pattern: Int[Array, " T"]
    row_phases: Complex[Array, "T m"] | None  # the probe's sub-pixel shift; None where there is none
    column_phases: Complex[Array, "T m"] | None
    cuts: tuple[tuple[int, int], ...]  # first visit and end of each batch

    @classmethod
    def of(cls, stack: RunStack, batches: Sequence[np.ndarray], like: Array) -> Visits:
        """``batches``: of a single run, positions (n,) of any number; of several, (R,) one position each, or
        (R, n)."""
        xp, device = namespace(like), array_api_compat.device(like)
        runs = [np.repeat(np.arange(len(stack)), np.size(b) // len(stack)) for b in batches]
        run, position = np.concatenate(runs), np.concatenate([np.ravel(b) for b in batches])
        corners = np.stack([problem.scan_positions_px for problem in stack.problems])[run, position]
        ends = np.cumsum([np.size(batch) for batch in batches]).tolist()
        row_phases = column_phases = None
        if stack.problems[0].subpixel_shifts_px is not None:
            all_shifts = [np.asarray(problem.subpixel_shifts_px) for problem in stack.problems]
            shifts = np.stack(all_shifts)[run, position]
            row_phases, column_phases = (
                xp.asarray(axis_phases(like.shape[-1], along), dtype=like.dtype, device=device)
                for along in shifts.T
            )
        return cls(
            positions=corners,
            run=xp.asarray(run, device=device),
            corner=xp.asarray(corners, device=device),
            pattern=xp.asarray(stack.first_pattern[run] + position, device=device),
            row_phases=row_phases,
            column_phases=column_phases,
            cuts=tuple(zip([0, *ends[:-1]], ends, strict=True)),
        )

    def pixels(self, batch: slice, size: int) -> tuple[Int[Array, ...], ...]:
        """Run, row and column of every pixel of the patches of ``batch``."""
        axis = namespace(self.run).arange(size, device=array_api_compat.device(self.run))
        corners = self.corner[batch]
        return (
            self.run[batch][:, None, None],
            (corners[:, 0, None] + axis)[:, :, None],
            (corners[:, 1, None] + axis)[:, None, :],
        )

    def lit(
        self, batch: slice, probes: Complex[Array, "n m m"], patches: Complex[Array, "n m m"]
    ) -> Illumination:
        """``patches`` under ``probes``, which are shifted where positions lie between pixels."""
        if self.row_phases is None or self.column_phases is None:
            return Illumination(self.positions[batch], None, probes, patches)
        phases = self.row_phases[batch][:, :, None] * self.column_phases[batch][:, None, :]
        return Illumination(self.positions[batch], phases, fourier_shift(probes, phases), patches)


def sweep_stack(
    solver: PatchSolver,
    stack: RunStack,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    batches: Sequence[np.ndarray],
    moves_probe: bool = False,
) -> tuple[Complex[Array, "R H W"], Complex[Array, "R m m"]]:
    """Objects and probes after one pass, by the updates of ``solver``.

    Parameters
    ----------
    batches
        Position indices. Of a single run, groups whose patches do not overlap; of several, (R,) arrays with
        one position of each.
    """
    objects = copy(objects)
    visits = Visits.of(stack, batches, like=probes)
    weights = solver.fixed_weights(stack.problems[0], probes, moves_probe)
    for first, end in visits.cuts:
        batch = slice(first, end)
        probes = _update(solver, stack, visits, objects, probes, batch, weights, moves_probe)
    return objects, probes


def _update(
    solver: PatchSolver,
    stack: RunStack,
    visits: Visits,
    objects: Array,
    probes: Array,
    batch: slice,
    weights: Any,
    moves_probe: bool,
) -> Array:
    """Update ``objects``, which the caller owns, by one batch; the new probes are returned."""
    where = visits.pixels(batch, probes.shape[-1])
    lit = visits.lit(batch, probes, objects[where])
    pattern = visits.pattern[batch]
    mask = stack.mask(pattern, visits.run[batch])
    chi = exit_wave_correction(lit.exit_waves, stack.amplitude[pattern], mask)
    objects[where], proposals = solver.updated(lit, chi, weights, moves_probe)
    if proposals is None or len(stack) > 1:
        return probes if proposals is None else proposals
    return mean_probe(probes[0], proposals, lit.patches)[None]


def can_stack(one: Solver, other: Solver) -> bool:
    """Whether two runs of these solvers can be advanced together: alike but for step sizes.

    Only sweeps of one position at a time are: colour groups and minibatches differ in length from run to run.
    """
    a, b = ({k: v for k, v in vars(s).items() if not isinstance(v, float)} for s in (one, other))
    return one.stackable and type(one) is type(other) and a == b


def merged(solvers: Sequence[Any], like: Array) -> Any:
    """One solver for all runs of a stack; step sizes that differ become arrays (R, 1, 1)."""
    different = {}
    for name, value in vars(solvers[0]).items():
        values = [getattr(solver, name) for solver in solvers]
        if any(other != value for other in values):
            different[name] = _column(values, like)
    return replace(solvers[0], **different)


def joined(states: Sequence[Any]) -> Any:
    """The states of R runs as one: arrays with an axis for the runs in front, other numbers as (R, 1, 1).

    What is the same in all of them, such as a count, stays as it is.
    """
    return _joined(states, like=states[0].probe)


def _joined(states: Sequence[Any], like: Array) -> Any:
    whole: dict[str, Any] = {}
    for name, value in vars(states[0]).items():
        values = [getattr(state, name) for state in states]
        if array_api_compat.is_array_api_obj(value):
            whole[name] = namespace(value).stack(values)
        elif is_dataclass(value):
            whole[name] = _joined(values, like)
        elif any(other != value for other in values):
            whole[name] = _column(values, like)
    return replace(states[0], **whole)


def taken(state: Any, which: int | Sequence[int]) -> Any:
    """Of a state as from :func:`joined`, that of one run, or of some."""
    parts: dict[str, Any] = {}
    for name, value in vars(state).items():
        if array_api_compat.is_array_api_obj(value):
            parts[name] = value[which]
        elif is_dataclass(value):
            parts[name] = taken(value, which)
    return replace(state, **parts)


def _column(values: Sequence[float], like: Array) -> Float[Array, "R 1 1"]:
    column = np.array(values)[:, None, None]
    return namespace(like).asarray(column, dtype=like.real.dtype, device=array_api_compat.device(like))
