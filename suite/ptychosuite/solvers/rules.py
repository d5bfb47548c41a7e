"""What an algorithm of the PIE family does with a batch of patches, apart from where they lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ptychosuite.backends.arrays import Array, divide, namespace, squared_modulus
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import own_probes

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

    def new_patches(self, step: Step, probes: Array, patches: Array, correction: Array) -> Array:
        """Object patches after ``step``, made of ``probes``; ``correction`` is R - psi, all (n, m, m)."""
        proposed = patches + step(namespace(probes).conj(probes) * correction)
        return proposed if self.accept is None else self.accept(patches, proposed)

    def new_probes(self, probes: Array, patches: Array, correction: Array, phases: Array | None) -> Array:
        """What each patch makes of the probe that lies on it, without its sub-pixel shift.

        Only where the probe is updated.
        """
        assert self.probe_step is not None
        step = self.probe_step(patches)
        proposed = probes + step(namespace(patches).conj(patches) * correction)
        accepted = proposed if self.accept is None else self.accept(probes, proposed)
        return own_probes(accepted, phases)


def fixed_step(problem: Problem, probe: Array, rules: Rules) -> Step | None:
    """The step for all patches of a sweep, where the probe on them is always the same."""
    if rules.probe_step is None and problem.subpixel_shifts_px is None:
        return rules.object_step(probe)
    return None


def mean_probe(probe: Array, proposals: Array, patches: Array) -> Array:
    """Mean of the proposed probes (n, m, m), weighted with |z_k|^2 where there are several."""
    if len(proposals) == 1:
        return proposals[0]
    xp = namespace(probe)
    weights = squared_modulus(patches)
    norm = xp.sum(weights, axis=0)
    return xp.where(norm > 0, divide(xp.sum(weights * proposals, axis=0), norm), probe)
