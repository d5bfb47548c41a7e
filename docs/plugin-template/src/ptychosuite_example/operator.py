"""What absorbs does not amplify: an operator that brings an object back to what is possible."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from ptychosuite.backends.arrays import modulus, namespace


@dataclass(frozen=True)
class Passive:
    """z <- z min(1, limit / |z|); the probe stays.

    Parameters
    ----------
    limit
        The largest transmission.
    """

    limit: Annotated[float, Gt(0)] = 1.0

    def advance(self, problem, now, before):
        z, xp = now.object, namespace(now.object)
        size = modulus(z)
        return z * (self.limit / xp.where(size > self.limit, size, self.limit)), now.probe
