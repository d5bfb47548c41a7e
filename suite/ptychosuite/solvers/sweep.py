"""One pass over the scan: the sweep that the PIE family shares.

What an algorithm makes of a patch is its own (:class:`ptychosuite.solvers.solver.PatchSolver`); this module
cuts the scan into batches, and takes those of one position each. :mod:`ptychosuite.solvers.batches` takes the
others. On a GPU, where every small operation costs a launch, :mod:`ptychosuite.solvers.recorded_sweep` does
the same by index arrays.

Where positions lie between pixels, the probe is laid on a patch by its spectrum
(:mod:`ptychosuite.physics.shift`). An unknown probe stays a spectrum all through the sweep: to bring what a
patch makes of it back to where the probe lies, and from there to the next patch, are factors of modulus one.

A batch of one is the stochastic sweep. The patches of a colour group do not overlap, so that the object is
updated exactly as one after the other; the probe, which they share, takes the weighted mean of what they
propose. In a minibatch the patches overlap too, and both are weighted means: an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import array_api_compat
import numpy as np
from annotated_types import Ge
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, copy, fft2, ifft2, is_on_gpu, namespace
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Found, Problem
from ptychosuite.physics.forward import MODES
from ptychosuite.physics.laid_probe import laid_probe
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.physics.shift import axis_phases, times_phases
from ptychosuite.solvers.batches import update_batch
from ptychosuite.solvers.positions import CorrectsPositions, PositionShifts
from ptychosuite.solvers.probe_modes import orthogonalised, power_scale, start_modes
from ptychosuite.solvers.recorded_sweep import swept_alone, swept_stack
from ptychosuite.solvers.scan_geometry import any_overlap, colour_groups
from ptychosuite.solvers.solver import CountingSolver, PatchSolver, SweepState, direction
from ptychosuite.solvers.stack import RunStack

Sweep = Literal["sequential", "colour-groups", "minibatch"]


@dataclass(frozen=True, kw_only=True)
class Sweeping(CorrectsPositions, PatchSolver, CountingSolver):
    """Base of the solvers that sweep over the scan with a known probe; they can correct positions.

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

    @property
    def stackable(self) -> bool:
        """Whether runs of this solver can be advanced side by side."""
        return self.sweep == "sequential" and self.positions is None

    def moves_probe(self, problem: Problem, state: SweepState) -> bool:
        """Whether the next iteration updates the probe."""
        return False

    def init(self, problem: Problem) -> SweepState:
        return SweepState(problem.start_object, problem.probe)

    def narrowed(self, part: Problem, state: SweepState) -> tuple[SweepState, float] | None:
        """Object, probe and memory stay; what was found of single patterns is in ``part``."""
        return replace(state, found=None), 0

    def in_part(self, share: float) -> Sweeping:
        if self.sweep != "minibatch":
            return self
        return replace(self, batch=max(1, math.ceil(share * self.batch - 1e-9)))  # never one more step

    def step(self, problem: Problem, state: SweepState, rng: np.random.Generator) -> SweepState:
        seen = Found.by(state).applied_to(problem)
        batches = cut_into_batches(self.sweep, seen.scan_positions_px, problem.probe_size, self.batch, rng)
        shifts = None
        if self.positions is not None and state.data_passes >= self.positions_start:
            shifts = PositionShifts(problem, self.positions)
        after = self.swept(seen, state, batches, self.moves_probe(problem, state), shifts)
        if shifts is None:
            return after
        positions = self.corrected(problem.positions_px, seen.positions_px, shifts.shifts_px)
        return replace(after, found=replace(Found.by(after), positions_px=positions))

    def given_more(self, problem: Problem, state: SweepState) -> SweepState:
        """A state knows of no pattern."""
        return state

    def swept(
        self,
        problem: Problem,
        state: SweepState,
        batches: Iterable[Int[np.ndarray, " _"]],
        moves_probe: bool,
        shifts: PositionShifts | None,
    ) -> SweepState:
        """The state after one pass over ``batches`` of ``problem`` as ``state`` sees it."""
        obj, probe = sweep(self, problem, state.object, state.probe, batches, moves_probe, shifts)
        return replace(state, object=obj, probe=probe, data_passes=state.data_passes + 1)

    def step_stack(
        self, stack: RunStack, state: SweepState, rngs: Sequence[np.random.Generator]
    ) -> SweepState:
        """One iteration of runs side by side, each in the random order it would take alone.

        ``state`` holds objects (R, H, W) and probes (R, m, m); settings may be arrays (R, 1, 1).
        """
        first = stack.problems[0]
        orders = np.stack([rng.permutation(first.n_positions) for rng in rngs], axis=1)
        moves_probe = self.moves_probe(first, state)
        return self.swept_stack(stack, state, orders, moves_probe)

    def swept_stack(
        self, stack: RunStack, state: Any, orders: Int[np.ndarray, "N R"], moves_probe: bool
    ) -> SweepState:
        """The state after each run has been to its positions in its order."""
        objects, probes = swept_stack(self, stack, state.object, state.probe, list(orders), moves_probe)
        return SweepState(objects, probes, state.data_passes + 1)


@dataclass(frozen=True, kw_only=True)
class JointSweeping(Sweeping):
    """Base of the solvers that can update the probe as well.

    Parameters
    ----------
    update_probe
        Whether the probe is updated; by default (null) where the problem does not know it.
    probe_start
        Iterations before the first update of the probe.
    probe_modes
        Mutually incoherent modes of the probe. Where the problem does not know so many they are made from
        its probe, and by default updated. They are orthogonal, strongest first.
    hold_power
        Whether the probe's power is held where it is at the start, and the object scaled instead, after
        every iteration that updates the probe: the data know only their product. By default (null) it is.
    """

    update_probe: bool | None = None
    probe_start: Annotated[int, Ge(0)] = 0
    probe_modes: Annotated[int, Ge(1)] = 1
    hold_power: bool | None = None

    @property
    def stackable(self) -> bool:
        return super().stackable and self.probe_modes == 1

    def moves_probe(self, problem: Problem, state: SweepState) -> bool:
        known = problem.probe_known and problem.has_modes(self.probe_modes)
        wanted = not known if self.update_probe is None else self.update_probe
        return wanted and state.data_passes >= self.probe_start

    def init(self, problem: Problem) -> SweepState:
        return SweepState(problem.start_object, start_modes(problem, self.probe_modes))

    def step(self, problem: Problem, state: SweepState, rng: np.random.Generator) -> SweepState:
        after = super().step(problem, state, rng)
        if not self.moves_probe(problem, state):
            return after
        return self.settled(problem, after)

    def step_stack(
        self, stack: RunStack, state: SweepState, rngs: Sequence[np.random.Generator]
    ) -> SweepState:
        after = super().step_stack(stack, state, rngs)
        if self.hold_power is False or not self.moves_probe(stack.problems[0], state):
            return after
        xp = namespace(after.probe)
        starts = xp.stack([problem.probe for problem in stack.problems])
        scale = power_scale(after.probe, starts)
        return replace(after, object=after.object * (1 / scale), probe=after.probe * scale)

    def settled(self, problem: Problem, state: SweepState) -> SweepState:
        """The same intensities by orthogonal modes with the power of the start; the caller owns ``state``.

        Where the first mode varies from pattern to pattern modes stay as they are: mixed with the others it
        would take its variation to them.
        """
        obj, probe, found = state.object, state.probe, Found.by(state)
        variation = found.variation
        if self.probe_modes > 1 and (variation is None or variation.modes is None):
            probe = orthogonalised(probe)
        if self.hold_power is False:
            return replace(state, object=obj, probe=probe)
        scale = power_scale(probe, problem.probe)
        obj *= 1 / scale  # NumPy's division of complex numbers is fifteen times as slow
        after = replace(state, object=obj, probe=probe * scale)
        if variation is None or variation.modes is None:
            return after
        scaled = replace(variation, modes=variation.modes * scale)
        return replace(after, found=replace(found, variation=scaled))


def sweep(
    solver: PatchSolver,
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    batches: Iterable[Int[np.ndarray, " _"]],
    moves_probe: bool = False,
    shifts: PositionShifts | None = None,
) -> tuple[Complex[Array, "H W"], Complex[Array, "*M m m"]]:
    """Object and probe after one pass over ``batches`` of position indices, by the updates of ``solver``.

    ``shifts`` takes in what is found of the positions.
    """
    plain, batches = problem.variation is None and shifts is None, list(batches)
    if is_on_gpu(obj) and plain and probe.ndim < MODES:
        positions = [problem.scan_positions_px[batch] for batch in batches if len(batch) > 1]
        if not any(any_overlap(each, problem.probe_size) for each in positions):
            return swept_alone(solver, problem, obj, probe, batches, moves_probe)
    has_modes = probe.ndim == MODES
    if (
        plain
        and all(len(batch) == 1 for batch in batches)
        and not (has_modes and (moves_probe or problem.subpixel_shifts_px is not None))
    ):
        return _one_by_one(solver, problem, obj, probe, [int(batch[0]) for batch in batches], moves_probe)
    obj = copy(obj)
    weights = solver.fixed_weights(problem, probe, moves_probe, has_modes)
    for batch in batches:
        probe = update_batch(solver, problem, obj, probe, batch, weights, moves_probe, shifts)
    return obj, probe


def _one_by_one(
    solver: PatchSolver,
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    order: Sequence[int],
    moves_probe: bool,
) -> tuple[Complex[Array, "H W"], Complex[Array, "*M m m"]]:
    """Object and probe after the positions ``order``.

    Several modes have to stay, and on whole pixels.
    """
    obj = copy(obj)
    if problem.subpixel_shifts_px is not None:
        shifts = problem.subpixel_shifts_px
        return obj, _between_pixels(solver, problem, shifts, obj, probe, order, moves_probe)
    if moves_probe:
        for k in order:
            z, chi = _update_under(solver, problem, obj, probe, k)
            probe = solver.new_probes(probe, z, chi)
        return obj, probe
    weights = solver.fixed_weights(problem, probe, moves_probe, has_modes=probe.ndim == MODES)
    conjugate = namespace(probe).conj(probe)
    for k in order:
        _update_patch(solver, problem, obj, probe, conjugate, k, weights)
    return obj, probe


def _update_patch(
    solver: PatchSolver, problem: Problem, obj: Array, probe: Array, conjugate: Array, k: int, weights: Any
) -> None:
    """Update position ``k`` of ``obj``, which the caller owns, under a probe that stays."""
    patch, mask = _patch(problem, obj, k), problem.mask
    amplitude: Array | Patterns = problem.diffraction_amplitude
    if probe.ndim < MODES:
        chi = exit_wave_correction(probe * patch, amplitude[k], mask(k))
        patch[...] = solver.new_patches(patch, conjugate * chi, weights)
    else:
        chi = exit_wave_correction((probe * patch)[None], amplitude[k : k + 1], mask(slice(k, k + 1)))
        g = namespace(chi).sum(conjugate * chi, axis=1)
        patch[...] = solver.new_patches(patch[None, None], g[:, None], weights)[0, 0]


def _update_under(
    solver: PatchSolver, problem: Problem, obj: Array, probe: Array, k: int
) -> tuple[Complex[Array, "m m"], Complex[Array, "m m"]]:
    """Update position ``k`` of ``obj``, which the caller owns, under ``probe`` as it lies there.

    The patch as it was is returned, and the correction of its exit wave.
    """
    patch = _patch(problem, obj, k)
    z = copy(patch)  # its rows side by side in memory
    chi = exit_wave_correction(probe * z, problem.diffraction_amplitude[k], problem.mask(k))
    patch[...] = solver.new_patches(z, direction(probe, chi), solver.object_weights(probe))
    return z, chi


def _between_pixels(
    solver: PatchSolver,
    problem: Problem,
    shifts_px: Float[np.ndarray, "N 2"],
    obj: Array,
    probe: Array,
    order: Sequence[int],
    moves_probe: bool,
) -> Complex[Array, "m m"]:
    """Update ``obj``, which the caller owns; the probe after the sweep is returned."""
    laid = None if moves_probe else laid_probe(problem, probe)
    if laid is not None:
        for k in order:
            _update_under(solver, problem, obj, laid[k], k)
        return probe
    xp, spectrum = namespace(probe), fft2(probe)
    rows, columns = (
        xp.asarray(axis_phases(probe.shape[-1], d), dtype=probe.dtype, device=array_api_compat.device(probe))
        for d in shifts_px.T
    )
    back_rows, back_columns = xp.conj(rows), xp.conj(columns)
    for k in order:
        local = ifft2(times_phases(spectrum, rows[k], columns[k]))
        z, chi = _update_under(solver, problem, obj, local, k)
        if moves_probe:
            proposed = fft2(solver.new_probes(local, z, chi))
            spectrum = times_phases(proposed, back_rows[k], back_columns[k])
    return ifft2(spectrum) if moves_probe else probe


def _patch(problem: Problem, obj: Complex[Array, "H W"], k: int) -> Complex[Array, "m m"]:
    """A view of ``obj``."""
    (row, column), size = problem.scan_positions_px[k].tolist(), problem.probe_size
    return obj[row : row + size, column : column + size]


def cut_into_batches(
    kind: Sweep, positions: Int[np.ndarray, "N 2"], probe_size: int, batch: int, rng: np.random.Generator
) -> Iterator[Int[np.ndarray, " _"]]:
    """Index arrays that cover the scan once, in random order, of at most ``batch`` positions each.

    ``positions`` are first corners and ``probe_size`` the side of a patch, in pixels.
    """
    order = rng.permutation(len(positions))
    if kind == "colour-groups":
        groups = colour_groups(positions, probe_size, order)
        pieces = [group[i : i + batch] for group in groups for i in range(0, len(group), batch)]
        yield from (pieces[i] for i in rng.permutation(len(pieces)))
    else:
        step = 1 if kind == "sequential" else batch
        yield from (order[i : i + step] for i in range(0, len(order), step))
