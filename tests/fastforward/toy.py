"""An operator as a newcomer writes it: one file, and nothing of ours in it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Damped:
    """Multiplies the object.

    Parameters
    ----------
    factor
        Of the object.
    probe_factor
        Of the probe.
    """

    factor: float
    probe_factor: float = 1.0

    def advance(self, problem, now, before):
        return self.factor * now.object, self.probe_factor * now.probe
