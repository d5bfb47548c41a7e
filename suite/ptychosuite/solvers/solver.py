"""What a solver is, and what one of the PIE family brings.

A solver is a frozen dataclass whose fields are its settings, with two pure methods: ``init`` makes the
first state, ``step`` returns the next (one iteration: one pass over the scan, or what stands for it).
Neither writes into its arguments. Clock, metrics, stopping and fast-forward live in
``ptychosuite.execute.loop``; a solver knows of none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, divide, namespace, squared_modulus
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Found, Problem
from ptychosuite.physics.forward import Illumination, total_amplitude

Patches = Complex[Array, "*n m m"]
"""Object patches z_k, and whatever has one image a patch: (n, m, m), or (m, m) for one; under a probe of
several modes (n, 1, m, m), and (n, M, m, m) of what each mode has of its own."""
ObjectPatches = Complex[Array, "*#n m m"]
"""z_k alone, beside what each of several modes has of its own: (n, 1, m, m) then."""
LocalProbes = Complex[Array, "*#n m m"]
"""The probe as it lies on patches: as many, or one for all; with several modes (#n, M, m, m)."""


class State(Protocol):
    """What every solver's state offers to the outside."""

    @property
    def object(self) -> Complex[Array, "H W"]: ...
    @property
    def probe(self) -> Complex[Array, "*M m m"]: ...  # of several modes all


@dataclass(frozen=True)
class SweepState:
    """State of a solver that remembers nothing but where it is; or of R runs side by side."""

    object: Complex[Array, "*R H W"]
    probe: Complex[Array, "*_ m m"]  # (R, m, m) of R runs, or (M, m, m) of several modes of one
    data_passes: int = 0  # over all the diffraction data so far
    found: Found | None = None


class Solver:
    """Base of the solvers: one reconstruction algorithm with its settings, a frozen dataclass.

    ``init`` and ``step`` are all that a solver has to bring; everything else has a default here.

    ``label`` is what figures call it, its name by default. ``typical_cost`` is the time of an iteration on a
    CPU in units of one forward and one inverse transform of every pattern, for estimates
    (``benchmarks/speed.py`` measures it). ``can_go_back`` says whether a run may go back to an earlier state,
    which a fast-forward needs; ``stays_because`` says in words why not. ``can_hold_out`` says whether it
    masks its data by ``problem.mask(batch)``, which may be another one for each pattern. ``takes_more`` says
    whether it can go on while patterns come in, by ``given_more``. ``packages`` names
    other distributions that do its work: their versions are part of a run's code. ``remembers`` says in words
    what its states have beyond those of a :class:`SweepState`: only runs whose states are one can be gone on
    with, by ``run --extend``. ``stackable`` says whether runs of it can go side by side, by a method
    ``step_stack``; numbers may differ among them, but for the settings named in ``same_in_stack``.
    """

    label: ClassVar[str] = ""
    typical_cost: ClassVar[float] = 2.0
    can_go_back: ClassVar[bool] = True
    stays_because: ClassVar[str] = "it cannot go back to an earlier state"
    can_hold_out: ClassVar[bool] = True
    takes_more: ClassVar[bool] = True
    remembers: ClassVar[str] = "more of its way than object and probe, or has these in no plain order"
    same_in_stack: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()
    parts: ClassVar[
        Mapping[str, str]
    ] = {}  # settings that are lists of nouns of their own, with their groups

    @property
    def constituents(self) -> tuple[Solver, ...]:
        """The solvers that do its work: itself, but for one that hands it on."""
        return (self,)

    @property
    def stackable(self) -> bool:
        return False

    def init(self, problem: Problem) -> Any:
        """The state before the first iteration."""
        raise NotImplementedError

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        """The state after one more iteration; ``rng`` draws the scan order, on the host."""
        raise NotImplementedError

    def check(self, probe_size: int) -> None:
        """Refuse a setting that cannot work with a probe of ``probe_size`` pixels on a side.

        Raises
        ------
        ValueError
            Its text begins with the field's name.
        """

    def data_passes(self, state: Any, iterations: int) -> int | float:
        """Passes over all the diffraction data up to ``state``, which so many iterations have led to."""
        return iterations

    def resumed(self, first: Any, before: Any) -> Any:
        """``first``, which ``init`` has made where a jump led, told of the state ``before`` the jump.

        A state that counts, or remembers what a jump does not change, goes on from there.
        """
        return first

    def carried(
        self, problem: Problem, state: Any, obj: Complex[Array, "H W"], probe: Complex[Array, "m m"]
    ) -> tuple[Any, int | float]:
        """The state that goes on from object and probe where a jump from ``state`` led, and the passes over
        the data that it took. ``state`` stays as it is."""
        first = self.init(replace(problem, start_object=obj, probe=probe))
        return self.resumed(first, state), self.data_passes(first, 0)

    def given_more(self, problem: Problem, state: Any) -> Any:
        """The state that goes on with ``problem``, which has more patterns than ``state`` has seen."""
        return self.carried(problem, state, state.object, state.probe)[0]

    def copied(self, state: Any) -> Any:
        """``state``, to be stepped from without spending it: itself where ``step`` is pure."""
        return state

    def narrowed(self, part: Problem, state: Any) -> tuple[Any, int | float] | None:
        """``state`` as that of a run on ``part`` alone, and the passes over that part that it took.

        ``part`` has some of the problem's patterns, where ``state`` has found them. None where a run cannot
        go on with some of its patterns: a jump is then judged on all.
        """
        return None

    def in_part(self, share: float) -> Solver:
        """The solver for a part of a scan, ``share`` of its patterns: with as many steps an iteration."""
        return self

    def figures(self, state: Any) -> Mapping[str, float]:
        """What the solver tells of its way to ``state`` beside the metrics, by name, for the run's record."""
        return {}

    def step_seconds(self, state: Any, measured: float) -> float:
        """Seconds of the step that led to ``state``, of which the loop has ``measured`` so many.

        Other than measured where the work is done elsewhere, and that place has a clock of its own.
        """
        return measured

    def provenance(self, state: Any) -> Mapping[str, Any]:
        """What a run's provenance says of who did the work, where that is somebody else."""
        return {}

    def remarks(self, state: Any) -> str:
        """What a run's message says of the way to ``state``, after why the run ended; begins with ``; ``."""
        return ""


class CountingSolver(Solver):
    """Base of the solvers whose states count their passes over the data, in ``data_passes``."""

    def data_passes(self, state: Any, iterations: int) -> int:
        return int(state.data_passes)

    def resumed(self, first: Any, before: Any) -> Any:
        """The count goes on: some settings, such as ``probe_start``, refer to it. So does what was found."""
        found = {"found": before.found} if hasattr(first, "found") else {}
        return replace(first, data_passes=before.data_passes, **found)


class PatchSolver(Solver):
    """Base of the PIE family, whose update is made patch by patch (MAGPIE, arXiv 2504.10118, section 2):

        z   object patches            chi   R - psi, the correction of their exit waves psi = Q * z
        Q   the probe that lies on them

        g   conj(Q) * chi, the direction in which a patch has to go; summed over modes where there are several

    A subclass says what becomes of z and of Q, both from the same z, Q and chi.
    """

    def object_weights(self, Q: LocalProbes) -> Any:
        """What :meth:`new_patches` needs of the probe alone: made once a sweep where the probe stays."""
        raise NotImplementedError

    def modes_weights(self, Q: LocalProbes) -> Any:
        """As :meth:`object_weights`, of several modes; right for what depends on sum_i |Q_i|^2 alone."""
        return self.object_weights(total_amplitude(Q))

    def new_patches(self, z: Patches, g: Patches, weights: Any) -> Patches:
        """The patches after their update."""
        raise NotImplementedError

    def new_probes(self, Q: LocalProbes, z: ObjectPatches, chi: Patches) -> Patches:
        """What each patch makes of the probe that lies on it; asked for where the probe is updated."""
        raise NotImplementedError

    def fixed_weights(
        self, problem: Problem, probe: Complex[Array, "*R m m"], moves_probe: bool, has_modes: bool = False
    ) -> Any:
        """The weights for all patches of a sweep; None where the probe on them is not always the same.

        ``has_modes``: the first axis of ``probe`` is that of its modes, not that of runs side by side.
        """
        if moves_probe or problem.subpixel_shifts_px is not None or problem.variation is not None:
            return None
        return self.modes_weights(probe[None]) if has_modes else self.object_weights(probe)

    def updated(
        self, lit: Illumination, chi: Patches, weights: Any, moves_probe: bool
    ) -> tuple[Complex[Array, "*k m m"], Patches | None]:
        """New patches of a batch, and what each makes of the probe, without its sub-pixel shift, if it moves.

        ``weights`` as from :meth:`fixed_weights`.
        """
        xp = namespace(chi)
        g = direction(lit.probes, chi)
        if lit.has_modes:
            g = xp.sum(g, axis=1)[:, None]
        if weights is None:
            weights = (self.modes_weights if lit.has_modes else self.object_weights)(lit.probes)
        patches = self.new_patches(lit.patches, g, weights)
        if not moves_probe:
            return patches, None
        return patches, lit.own_probes(self.new_probes(lit.probes, lit.patches, chi))


def mean_probe(
    probe: Complex[Array, "*M m m"],
    proposals: Complex[Array, "n *M m m"],
    patches: Complex[Array, "n *#M m m"],
) -> Complex[Array, "*M m m"]:
    """Mean of the proposed probes, weighted with |z_k|^2 where there are several."""
    return proposals[0] if len(proposals) == 1 else weighted_mean(probe, proposals, patches)


@accelerated
def direction(Q: LocalProbes, chi: Patches) -> Patches:
    """conj(Q) * chi."""
    return namespace(Q).conj(Q) * chi


@accelerated
def weighted_mean(
    probe: Complex[Array, "*M m m"],
    proposals: Complex[Array, "n *M m m"],
    patches: Complex[Array, "n *#M m m"],
) -> Complex[Array, "*M m m"]:
    """As :func:`mean_probe`, of several."""
    xp = namespace(probe)
    weights = squared_modulus(patches)
    norm = xp.sum(weights, axis=0)
    return xp.where(norm > 0, divide(xp.sum(weights * proposals, axis=0), norm), probe)
