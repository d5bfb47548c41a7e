"""Operators that no study would ask for: the answer itself, and the many ways to be of no use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ptychosuite.backends.arrays import namespace, to_numpy
from ptychosuite.core.schedule import Schedule


def like(array, host):
    """``host`` in the library and precision of ``array``."""
    return namespace(array).asarray(host, dtype=array.dtype)


@dataclass(frozen=True, kw_only=True)
class Truth(Schedule):
    """Goes to the answer: what a perfect network would do."""

    def advance(self, problem, now, before):
        return like(now.object, problem.reference.object), like(now.probe, problem.reference.probe)


@dataclass(frozen=True, kw_only=True)
class Beyond(Schedule):
    """Goes twice as far as the answer is."""

    def advance(self, problem, now, before):
        obj, probe = Truth().advance(problem, now, before)
        return 2 * obj - now.object, 2 * probe - now.probe


@dataclass(frozen=True, kw_only=True)
class Noise(Schedule):
    """Adds noise as strong as the object."""

    def advance(self, problem, now, before):
        real, imaginary = np.random.default_rng(now.iteration).standard_normal((2, *now.object.shape))
        return now.object + like(now.object, real + 1j * imaginary), now.probe


@dataclass(frozen=True, kw_only=True)
class NotANumber(Schedule):
    def advance(self, problem, now, before):
        return now.object * float("nan"), now.probe


@dataclass(frozen=True, kw_only=True)
class Raises(Schedule):
    def advance(self, problem, now, before):
        raise RuntimeError("out of memory\nat some depth")


@dataclass(frozen=True, kw_only=True)
class Vandal(Schedule):
    def advance(self, problem, now, before):
        now.object[...] = 0
        now.probe[...] = 0
        raise RuntimeError("what was shown is spoilt")


@dataclass(frozen=True, kw_only=True)
class WrongShape(Schedule):
    def advance(self, problem, now, before):
        return now.object[1:], now.probe


@dataclass(frozen=True, kw_only=True)
class WrongType(Schedule):
    def advance(self, problem, now, before):
        return to_numpy(now.object).astype("complex64"), now.probe


@dataclass(frozen=True, kw_only=True)
class Nothing(Schedule):
    def advance(self, problem, now, before):
        return None


@dataclass(frozen=True, kw_only=True)
class Watcher(Schedule):
    """Notes what it is shown."""

    seen: list

    def advance(self, problem, now, before):
        self.seen.append((now, before))
        return now.object, now.probe
