"""Adam: minibatch gradients of a likelihood to object and probe, each number with a step of its own.

D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1. Unknown are the
real and imaginary parts x of the object z and of the probe in units of its first maximum, q = Q / s with
s = max |Q|. With g the gradient of a batch's misfit f to x, t the number of steps, and u that of the steps
since m began, which is t where no jump was:

    m <- beta_1 m + (1 - beta_1) g         v <- beta_2 v + (1 - beta_2) g^2                             (a)
    x <- x - rate * (m / (1 - beta_1^u)) / (sqrt(v / (1 - beta_2^t)) + epsilon)                         (b)

    f       mean of the batch's misfits (:mod:`ptychosuite.solvers.gradients`) / s^2
    df/dz   mean of -conj(Q) chi_k, each on its patch, / s^2                                            (c)
    df/dq   mean of -conj(z_k) chi_k / s                                                                (d)

z and q are about 1, so that one rate suits both, and the same rate a probe of any power. A number moves by
about the rate, however small its gradient: dim places keep up with bright ones, and at a constant rate
nothing comes to rest, on noiseless data neither.

v is a mean over some 1 / (1 - beta_2) steps. A scan that is one or two batches takes some hundred iterations
for as many: all that time steps are short by the gradients of the first iterations, which were large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, as_complex, as_reals, copy, modulus, namespace
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import window
from ptychosuite.solvers.gradients import LIKELIHOODS, Pulled, misfit_of, pulled, pulled_stack
from ptychosuite.solvers.positions import PositionShifts
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.stack import RunStack
from ptychosuite.solvers.sweep import JointSweeping, Sweep

EPSILON = 1e-8
Betas = tuple[float, float]
USUAL_BETAS: Betas = (0.9, 0.999)
RATE_DIVISOR = 5.0  # at a plateau
EQUAL = 1e-9  # relative change of the loss that is none


@dataclass(frozen=True)
class Moments:
    """m and v of (a) for one unknown, and the numbers t and u of its steps."""

    first: Float[Array, "*d 2"]
    second: Float[Array, "*d 2"]
    steps: int = 0
    in_this_direction: int = 0

    def with_new_directions(self) -> Moments:
        """The sizes of the gradients, and no direction yet."""
        return replace(self, first=namespace(self.first).zeros_like(self.first), in_this_direction=0)

    @classmethod
    def none_yet(cls, x: Complex[Array, "*d"]) -> Moments:
        zero = namespace(x).zeros_like(as_reals(x))
        return cls(zero, zero)


@dataclass(frozen=True)
class Plateau:
    """What is left of the rates, which are cut where the loss of an iteration has stopped falling."""

    share: float = 1.0
    lowest: float = math.inf
    waited: int = 0  # iterations since the lowest loss, or the last cut

    def after(self, loss: float, patience: int) -> Plateau:
        if math.isinf(self.lowest) or loss < self.lowest - EQUAL * abs(self.lowest):
            return Plateau(self.share, loss)
        if self.waited < patience:
            return replace(self, waited=self.waited + 1)
        return Plateau(self.share / RATE_DIVISOR, self.lowest)


@dataclass(frozen=True, kw_only=True)
class AdamState(SweepState):
    """Object, probe, and what Adam remembers of the way."""

    object_moments: Moments
    probe_moments: Moments
    probe_scale: float  # s
    plateau: Plateau = Plateau()


@dataclass(frozen=True, kw_only=True)
class Adam(JointSweeping):
    """Adam on the Poisson or amplitude likelihood, known or unknown probe.

    Parameters
    ----------
    likelihood
        "poisson", which is right for counts, or "amplitude", which bears better what is no count: read noise,
        a background that was subtracted.
    learning_rate
        Of the object, whose modulus is about 1.
    probe_learning_rate
        Of the probe in units of its first maximum; by default (null) that of the object.
    schedule
        "constant", or "plateau": the rates are divided by 5 where the loss of an iteration has not fallen for
        more than ``patience`` iterations.
    patience
        Iterations.
    batch
        The most positions of a batch. Each batch is one step; a scan of fewer positions is one batch.
    beta_1
        How much of the mean gradient a step leaves, which gives its direction.
    beta_2
        How much of the mean square of gradients a step leaves, which gives its length. By default that of
        Adam's authors and of all libraries; where a scan is a few batches, 0.9 to 0.99 is faster.
    forgets
        What is forgotten where a fast-forward jumps: "directions", which led to where the jump began;
        "everything", the sizes of gradients and the rates left by the schedule too; or "nothing". The sizes
        of an early day, when gradients were large, hold later steps back: to forget them is a gain without
        any jump, as a smaller ``beta_2`` is.
    """

    label: ClassVar[str] = "Adam"
    typical_cost: ClassVar[float] = 3.0
    remembers: ClassVar[str] = "two moments of every gradient"
    same_in_stack: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2")

    likelihood: Literal["poisson", "amplitude"] = "poisson"
    learning_rate: Annotated[float, Gt(0)] = 0.01
    probe_learning_rate: Annotated[float, Gt(0)] | None = None
    schedule: Literal["constant", "plateau"] = "constant"
    patience: Annotated[int, Ge(0)] = 10
    sweep: Sweep = "minibatch"
    batch: Annotated[int, Ge(1)] = 50
    beta_1: Annotated[float, Ge(0), Lt(1)] = USUAL_BETAS[0]
    beta_2: Annotated[float, Ge(0), Lt(1)] = USUAL_BETAS[1]
    forgets: Literal["directions", "everything", "nothing"] = "directions"

    @property
    def stackable(self) -> bool:
        """Whether runs can go side by side: not with a plateau, which each has to find for itself."""
        alike = self.sweep == "minibatch" and self.schedule == "constant"
        return alike and self.positions is None and self.probe_modes == 1

    @property
    def betas(self) -> Betas:
        return self.beta_1, self.beta_2

    def init(self, problem: Problem) -> AdamState:
        first = super().init(problem)
        obj, probe = first.object, first.probe
        return AdamState(
            obj,
            probe,
            object_moments=Moments.none_yet(obj),
            probe_moments=Moments.none_yet(probe),
            probe_scale=float(namespace(probe).max(modulus(probe))),
        )

    def resumed(self, first: AdamState, before: AdamState) -> AdamState:
        """The state after a jump, with what ``forgets`` leaves of the way to it.

        The first step after it is as long as any: a new m has a correction (b) of its own.
        """
        kept = replace(before, object=first.object, probe=first.probe)
        if self.forgets == "nothing":
            return kept
        if self.forgets == "everything":
            return replace(first, data_passes=before.data_passes, found=before.found)
        return replace(
            kept,
            object_moments=before.object_moments.with_new_directions(),
            probe_moments=before.probe_moments.with_new_directions(),
        )

    def swept(
        self,
        problem: Problem,
        state: Any,
        batches: Iterable[Int[np.ndarray, " _"]],
        moves_probe: bool,
        shifts: PositionShifts | None,
    ) -> AdamState:
        """No time goes to where no pattern reaches, so that there is no gradient: the object stays there."""
        reached = partial(window, scan_positions_px=problem.scan_positions_px, size=problem.probe_size)
        part, corners = reached(state.object)
        if self.positions is not None or part.shape == state.object.shape:
            return self._swept(problem, state, batches, moves_probe, shifts)
        before = state.object_moments
        moments = replace(before, first=reached(before.first)[0], second=reached(before.second)[0])
        state_there = replace(state, object=part, object_moments=moments)
        problem_there = replace(problem, scan_positions_px=corners)
        after = self._swept(problem_there, state_there, batches, moves_probe, shifts)

        def put_back(whole: Array, part: Array) -> Array:
            result = copy(whole)
            reached(result)[0][...] = part
            return result

        found = after.object_moments
        moments = replace(
            found, first=put_back(before.first, found.first), second=put_back(before.second, found.second)
        )
        return replace(after, object=put_back(state.object, after.object), object_moments=moments)

    def _swept(
        self,
        problem: Problem,
        state: Any,
        batches: Iterable[Int[np.ndarray, " _"]],
        moves_probe: bool,
        shifts: PositionShifts | None,
    ) -> AdamState:
        """As :meth:`swept`, on all of the object."""
        likelihood, phi = LIKELIHOODS[self.likelihood], 0.0
        for batch in batches:
            now = pulled(problem, state.object, state.probe, batch, likelihood)
            if shifts is not None:
                shifts.see(batch, now.lit, likelihood.share * now.chi)
            if self.schedule == "plateau":
                phi = phi + misfit_of(problem, now.waves, batch, likelihood)
            state = self._moved(state, now, len(batch), moves_probe)
        if self.schedule == "plateau":
            state = replace(state, plateau=state.plateau.after(float(phi), self.patience))
        return replace(state, data_passes=state.data_passes + 1)

    def _moved(self, state: AdamState, now: Pulled, n: int, moves_probe: bool) -> AdamState:
        """The state after a step for the ``n`` patterns of a batch."""
        s, share = state.probe_scale, state.plateau.share
        step = Step(self.learning_rate * share, self.betas, 1 / (n * s**2))  # (c)
        obj, moments = step.taken(state.object, now.to_object(state.object), state.object_moments)
        after = replace(state, object=obj, object_moments=moments)
        if not moves_probe:
            return after
        rate = (self.probe_learning_rate or self.learning_rate) * share
        step = Step(rate * s, self.betas, 1 / (n * s))  # (d)
        probe, moments = step.taken(state.probe, now.to_probe(), state.probe_moments)
        return replace(after, probe=probe, probe_moments=moments)

    def swept_stack(
        self, stack: RunStack, state: AdamState, orders: Int[np.ndarray, "N R"], moves_probe: bool
    ) -> AdamState:
        likelihood, s, rate = LIKELIHOODS[self.likelihood], state.probe_scale, self.learning_rate
        probe_rate = rate if self.probe_learning_rate is None else self.probe_learning_rate
        for first in range(0, len(orders), self.batch):
            batch = orders[first : first + self.batch].T
            now, n = pulled_stack(stack, state.object, state.probe, batch, likelihood), batch.shape[1]
            step = Step(rate, self.betas, 1 / (n * s**2))  # (c)
            obj, moments = step.taken(state.object, now.to_object(state.object), state.object_moments)
            after = replace(state, object=obj, object_moments=moments)
            if moves_probe:
                step = Step(probe_rate * s, self.betas, 1 / (n * s))  # (d)
                probe, moments = step.taken(state.probe, now.to_probe(len(stack)), state.probe_moments)
                after = replace(after, probe=probe, probe_moments=moments)
            state = after
        return replace(state, data_passes=state.data_passes + 1)


@dataclass(frozen=True)
class Step:
    """A step of algorithm 1, real and imaginary parts apart.

    Of runs side by side rates and scales may be (R, 1, 1).
    """

    rate: float | Float[Array, "R 1 1"]
    betas: Betas = USUAL_BETAS
    scale: float | Float[Array, "R 1 1"] = 1.0  # with which a gradient counts

    def taken(
        self, x: Complex[Array, "*d"], gradient: Complex[Array, "*d"], moments: Moments
    ) -> tuple[Complex[Array, "*d"], Moments]:
        """``x`` after the step, and what is remembered then."""
        t, u = moments.steps + 1, moments.in_this_direction + 1
        rate, scale = (_of_reals(number) for number in (self.rate, self.scale))
        past = moments.first, moments.second
        after, m, v = algorithm_1(as_reals(x), as_reals(gradient), *past, rate, t, u, self.betas, scale)
        return as_complex(after), Moments(m, v, t, u)


def _of_reals(number: float | Float[Array, "R 1 1"]) -> float | Float[Array, "R 1 1 1"]:
    """In a shape that goes with real and imaginary parts."""
    return number if isinstance(number, float | int) else number[..., None]


@accelerated
def algorithm_1(
    x: Float[Array, "*d 2"],
    g: Float[Array, "*d 2"],
    m: Float[Array, "*d 2"],
    v: Float[Array, "*d 2"],
    rate: float | Float[Array, "R 1 1 1"],
    t: int,
    u: int,
    betas: Betas = USUAL_BETAS,
    scale: float | Float[Array, "R 1 1 1"] = 1.0,
) -> tuple[Float[Array, "*d 2"], Float[Array, "*d 2"], Float[Array, "*d 2"]]:
    """New x of (b), and the new moments (a), for the gradient ``scale`` * g."""
    beta_1, beta_2 = betas
    g = scale * g
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    spread = namespace(v).sqrt(v / (1 - beta_2**t))
    return x - rate / (1 - beta_1**u) * m / (spread + EPSILON), m, v
