"""Operators that no study would ask for: the answer itself, and the many ways to be of no use.

They derive from nothing of ours: frozen dataclasses with ``advance``, which the registry completes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ptychosuite.backends.arrays import asarray_like, to_numpy
from ptychosuite.errors import CannotAdvance


@dataclass(frozen=True)
class Truth:
    """Goes to the answer: what a perfect network would do."""

    def advance(self, problem, now, before):
        truth = problem.reference
        return asarray_like(truth.object, now.object), asarray_like(truth.probe, now.probe)


@dataclass(frozen=True)
class Beyond:
    """Goes twice as far as the answer is."""

    def advance(self, problem, now, before):
        obj, probe = Truth().advance(problem, now, before)
        return 2 * obj - now.object, 2 * probe - now.probe


@dataclass(frozen=True)
class Noise:
    """Adds noise as strong as the object."""

    def advance(self, problem, now, before):
        real, imaginary = np.random.default_rng(now.iteration).standard_normal((2, *now.object.shape))
        return now.object + asarray_like(real + 1j * imaginary, now.object), now.probe


@dataclass(frozen=True)
class Stale:
    """Goes back to the start."""

    def advance(self, problem, now, before):
        return problem.start_object, problem.probe


@dataclass(frozen=True)
class Half:
    """The answer within some pixels of the middle of the object, a tenth of the object outside."""

    def advance(self, problem, now, before):
        truth = to_numpy(problem.reference.object)
        y, x = np.indices(truth.shape)
        far = np.maximum(abs(y - len(truth) / 2), abs(x - len(truth) / 2)) > 0.33 * len(truth)
        return asarray_like(np.where(far, 0.1 * truth, truth), now.object), now.probe


@dataclass(frozen=True)
class Turned:
    """The state of another problem: this one turned round."""

    def advance(self, problem, now, before):
        turned = to_numpy(now.object)[::-1, ::-1].copy()
        return asarray_like(turned, now.object), now.probe


@dataclass(frozen=True)
class Speckle:
    """Adds a little noise: a slightly worse state."""

    def advance(self, problem, now, before):
        real, imaginary = np.random.default_rng(now.iteration).standard_normal((2, *now.object.shape))
        return now.object + asarray_like(0.05 * (real + 1j * imaginary), now.object), now.probe


@dataclass(frozen=True)
class Huge:
    """Changes the object by ten times its norm."""

    def advance(self, problem, now, before):
        return 11 * now.object, now.probe


@dataclass(frozen=True)
class Bright:
    """Makes one pixel, which no light falls on, ten times as bright."""

    def advance(self, problem, now, before):
        obj = to_numpy(now.object).copy()
        obj[0, 0] = 10
        return asarray_like(obj, now.object), now.probe


@dataclass(frozen=True)
class NotANumber:
    def advance(self, problem, now, before):
        return now.object * float("nan"), now.probe


@dataclass(frozen=True)
class GivesUp:
    def advance(self, problem, now, before):
        raise CannotAdvance("no way ahead\nat some depth")


@dataclass(frozen=True)
class Singular:
    def advance(self, problem, now, before):
        return np.linalg.inv(np.zeros((2, 2))), now.probe


@dataclass(frozen=True)
class Overflows:
    def advance(self, problem, now, before):
        return now.object * 10.0**400, now.probe


@dataclass(frozen=True)
class Divides:
    def advance(self, problem, now, before):
        return now.object * (1 / 0), now.probe


@dataclass(frozen=True)
class Vandal:
    def advance(self, problem, now, before):
        now.object[...] = 0
        now.probe[...] = 0
        raise CannotAdvance("what was shown is spoilt")


@dataclass(frozen=True)
class OutOfMemory:
    def advance(self, problem, now, before):
        raise MemoryError("out of memory")


@dataclass(frozen=True)
class Misspelt:
    def advance(self, problem, now, before):
        return now.objekt, now.probe


@dataclass(frozen=True)
class BadValue:
    def advance(self, problem, now, before):
        raise ValueError("an argument is wrong")


@dataclass(frozen=True)
class WrongShape:
    def advance(self, problem, now, before):
        return now.object[1:], now.probe


@dataclass(frozen=True)
class WrongType:
    def advance(self, problem, now, before):
        return to_numpy(now.object).astype("complex64"), now.probe


@dataclass(frozen=True)
class Nothing:
    def advance(self, problem, now, before):
        return None


@dataclass(frozen=True)
class Watcher:
    """Notes what it is shown."""

    seen: list

    def advance(self, problem, now, before):
        self.seen.append((now, before))
        return now.object, now.probe
